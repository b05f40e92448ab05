package cluster_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/test/cluster/product"
)

// TestCollectorCost looks at what the chart's collector needs in its pod, at its usual pace, on a node with 50 pods: by the kernel's own accounts of its cgroup, of
// which the working set is what a limit, an eviction and kubectl top go by.
func TestCollectorCost(t *testing.T) {
	ours(t)
	long(t)
	p, ns := built(t), namespace(t)
	for i := range 50 {
		create(t, ns, fmt.Sprint("idle-", i), "node1", corev1.PodSpec{Containers: []corev1.Container{container("app", "", "", "-cpu=1")}})
	}
	install(t, p, nil)
	until(t, "all 50 are measured", func() error {
		out, err := shared.Kubectl(t.Context(), "top", "pods", "-n", ns, "--no-headers")
		if n := strings.Count(out, "idle-"); err == nil && n < 50 {
			err = fmt.Errorf("%d are", n)
		}
		return err
	})
	of := collectorGroup(t, "node1")
	at, before := time.Now(), of.cpu(t)
	time.Sleep(time.Minute)
	cores := (of.cpu(t) - before) / time.Since(at).Seconds()
	working := of.workingSet(t)
	top, err := shared.Kubectl(t.Context(), "top", "pods", "-n", product.Namespace, "--no-headers")
	t.Logf("with 50 pods a collector's pod uses %.3f cores; its working set is %.1f MiB of %.1f MiB that its cgroup is charged for, of which %.1f MiB are anonymous (%v)\n%s", cores, working/(1<<20), of.usage(t)/(1<<20), of.stat(t, "rss", "anon")/(1<<20), err, top)
	if cores > 0.05 || working > 60<<20 {
		t.Errorf("want 0.05 cores and 60 MiB at most")
	}
}

// group is a container's cgroup, by its path in each hierarchy.
type group struct{ memory, time string }

// collectorGroup finds the collector's on a node.
func collectorGroup(t *testing.T, node string) group {
	t.Helper()
	for _, p := range podsOf(t) {
		if p.Spec.NodeName != node || !strings.HasPrefix(p.Name, product.Name+"-collector") {
			continue
		}
		_, id, _ := strings.Cut(p.Status.ContainerStatuses[0].ContainerID, "://")
		if g := (group{find("/sys/fs/cgroup/memory", id), find("/sys/fs/cgroup/cpuacct", id)}); g.memory != "" && g.time != "" {
			return g
		}
		if both := find("/sys/fs/cgroup", id); both != "" {
			return group{both, both}
		}
		t.Fatalf("container %q has no cgroup", id)
	}
	t.Fatalf("there is no collector on %s", node)
	return group{}
}

// find looks for the cgroup of a container below a folder; "" if there is none.
func find(root, id string) (out string) {
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.Contains(d.Name(), id) {
			out = path
			return fs.SkipAll
		}
		return nil // what goes away meanwhile is none that is looked for
	})
	return out
}

// first is the number in the first of the files that there is.
func first(t *testing.T, files ...string) float64 {
	t.Helper()
	var errs []error
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err == nil {
			var v float64
			if v, err = strconv.ParseFloat(strings.TrimSpace(string(raw)), 64); err == nil {
				return v
			}
		}
		errs = append(errs, err)
	}
	t.Fatal(errors.Join(errs...))
	return 0
}

func (g group) usage(t *testing.T) float64 {
	return first(t, g.memory+"/memory.current", g.memory+"/memory.usage_in_bytes")
}

// stat is the line of memory.stat that has one of the names.
func (g group) stat(t *testing.T, names ...string) float64 {
	return line(t, g.memory+"/memory.stat", names...)
}

func line(t *testing.T, file string, names ...string) float64 {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		for l := range strings.Lines(string(raw)) {
			if rest, ok := strings.CutPrefix(l, name+" "); ok {
				v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
		}
	}
	t.Fatalf("%s has no line of %v: %s", file, names, raw)
	return 0
}

// workingSet is what kubelet makes of a cgroup's memory.
func (g group) workingSet(t *testing.T) float64 {
	return g.usage(t) - g.stat(t, "total_inactive_file", "inactive_file")
}

// cpu is the processor time in seconds.
func (g group) cpu(t *testing.T) float64 {
	t.Helper()
	if _, err := os.Stat(g.time + "/cpuacct.usage"); err == nil {
		return first(t, g.time+"/cpuacct.usage") / 1e9
	}
	return line(t, g.time+"/cpu.stat", "usage_usec") / 1e6
}
