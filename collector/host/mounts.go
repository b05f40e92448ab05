package host

import (
	"bytes"
	"os"
	"path"
	"strings"
)

// Mount is one mounted file system.
type Mount struct {
	// Dir is where it is mounted, as this process sees it.
	Dir string
	// Type is its kind, Source what is mounted, Device the numbers that its files carry, "254:0".
	Type, Source, Device string
	// Options are those of the file system, not of the mount.
	Options []string
}

// Mounts are the file systems that this process sees, in the order in which they were mounted; none if that cannot be told.
func (h Host) Mounts() []Mount {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil { // no /proc of its own
		text, _ = os.ReadFile(path.Join(h.Settled().Proc, "self/mountinfo"))
	}
	return ParseMounts(text)
}

// OnMachine is what a path of this process is called on the machine itself, and whether it is there.
func (h Host) OnMachine(dir string) (string, bool) {
	root := h.Settled().Root
	if root == "/" || dir == root {
		return "/" + strings.TrimPrefix(strings.TrimPrefix(dir, root), "/"), true
	}
	below, ok := strings.CutPrefix(dir, root+"/")
	return "/" + below, ok
}

// ParseMounts reads /proc/self/mountinfo (proc(5)). procfs refuses the whole file for one line that it cannot read, and there are such
// lines: Docker's integration into WSL 2 mounts with unescaped blanks among the options.
func ParseMounts(text []byte) []Mount {
	var out []Mount
	for line := range bytes.Lines(text) {
		before, after, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), " - ")
		pre, post := strings.Fields(before), strings.Fields(after)
		if !ok || len(pre) < 5 || len(post) < 3 {
			continue
		}
		out = append(out, Mount{Dir: unescape(pre[4]), Type: post[0], Source: unescape(post[1]), Device: pre[2], Options: strings.Split(post[len(post)-1], ",")})
	}
	return out
}

// unescape turns back what the kernel writes for a blank, a tab, a newline, a backslash and a number sign.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`, `\043`, "#").Replace(s)
}
