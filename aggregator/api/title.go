package api

import (
	"cmp"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
)

// TitleOf names an entity as a person would: "demo/web-3" for a replica of a process service, Docker's name
// for a container of its own, "project/service-1" for one of Compose, the unit of systemd, the path of a
// plain cgroup; a user's own with the user before it. On a node of a cluster the namespaces of what is no pod's end in "@node".
func TitleOf(e *metric.Entity) string {
	switch e.Level {
	case metric.Container, metric.Pod:
		return memberTitle(e)
	case metric.Workload:
		return slashed(e.Namespace, e.Workload)
	case metric.Namespace:
		return e.Namespace
	case metric.Node:
		return e.Node
	}
	return e.Level.String()
}

func memberTitle(e *metric.Entity) string {
	own := cmp.Or(e.Pod, e.Container, e.Workload, e.ID)
	switch e.Runtime {
	case "self":
		return "plimsoll"
	case "process":
		return slashed(e.Namespace, own)
	case "systemd":
		if e.Namespace != "system" && e.Namespace != "system@node" {
			return slashed(e.Namespace, own)
		}
		return own
	case "cgroup":
		return cmp.Or(e.ID, own)
	case "docker", "podman":
		if e.WorkloadKind == "Compose" {
			project, _, _ := strings.Cut(e.Namespace, "@")
			return slashed(e.Namespace, composeName(project, own))
		}
		if strings.TrimSuffix(e.Namespace, "@node") != e.Runtime {
			return slashed(e.Namespace, own)
		}
		return own
	}
	if e.Container != "" && e.Container != e.Pod {
		return slashed(slashed(e.Namespace, e.Pod), e.Container)
	}
	return slashed(e.Namespace, own)
}

// composeName takes the project off a Compose container's name: shop-web-1 (or shop_web_1) is web-1 of shop.
func composeName(project, name string) string {
	for _, sep := range []string{"-", "_"} {
		if rest, ok := strings.CutPrefix(name, project+sep); ok && rest != "" {
			return rest
		}
	}
	return name
}

func slashed(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "/" + b
}
