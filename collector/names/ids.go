package names

import (
	"strings"

	"plimsoll.dev/plimsoll/internal/identity"
)

// idPrefixes are the prefixes that runtimes give a container's cgroup, with the systemd driver (followed
// by ".scope") and with cgroupfs.
var idPrefixes = [...]struct {
	prefix  string
	kind    kind
	runtime string
}{
	{"docker-", docker, "docker"},
	{"libpod-", podman, "podman"},
	{"cri-containerd-", containerd, "containerd"},
	{"nerdctl-", containerd, "containerd"},
	{"crio-", crio, "cri-o"},
}

// byName recognises a container by its own component alone. The monitors of podman and CRI-O (conmon) are
// no containers.
func byName(c string) (place, bool) {
	base := strings.TrimSuffix(c, ".scope")
	if strings.HasPrefix(base, "libpod-conmon-") || strings.HasPrefix(base, "crio-conmon-") {
		return place{}, true
	}
	for _, x := range idPrefixes {
		id, ok := strings.CutPrefix(base, x.prefix)
		if ok && hex64(id) {
			return place{kind: x.kind, runtime: x.runtime, id: id}, true
		}
	}
	return place{}, false
}

// splitID takes the id and the runtime out of the component of a pod's container; "" is no container.
func splitID(c string) (id, runtime string) {
	if hex64(c) {
		return c, ""
	}
	pl, _ := byName(c)
	return pl.id, pl.runtime
}

// podUID takes the UID out of "pod<uid>" (cgroupfs) or "kubepods-burstable-pod<uid>.slice" (systemd, with
// "_" for "-"). A static pod's UID is 32 hexadecimal digits.
func podUID(c string) string {
	c, slice := strings.CutSuffix(c, ".slice")
	if slice {
		i := strings.LastIndex(c, "-pod")
		if i < 0 {
			return ""
		}
		c = strings.ReplaceAll(c[i+1:], "_", "-")
	}
	uid, ok := strings.CutPrefix(c, "pod")
	if !ok || len(uid) < 32 || len(uid) > 36 || strings.Trim(uid, hexadecimal+"-") != "" {
		return ""
	}
	return uid
}

const (
	decimal     = "0123456789"
	hexadecimal = decimal + "abcdef"
)

func hex64(s string) bool { return len(s) == 64 && strings.Trim(s, hexadecimal) == "" }

func digits(s string) bool { return s != "" && strings.Trim(s, decimal) == "" }

// maxName is the longest name that is passed on, in bytes.
const maxName = 256

// clip makes a name from outside fit to be shown.
func clip(s string) string { return identity.PlainTo(s, maxName) }

// distinct is clip for a name that another cgroup must not have.
func distinct(s string) string { return identity.CleanTo(s, maxName) }
