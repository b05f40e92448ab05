package collector_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/collector"
	"plimsoll.dev/plimsoll/collector/cadvisor"
	"plimsoll.dev/plimsoll/collector/cgroup"
	"plimsoll.dev/plimsoll/collector/host"
	"plimsoll.dev/plimsoll/collector/names"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/vmtest"
)

// TestVMBoxed1 runs the box on version 1; TestVM does on version 2.
func TestVMBoxed1(t *testing.T) {
	vmtest.Run(t, vmtest.Options{Run: "^TestInVMBoxed$", Cgroup: vmtest.CgroupV1})
}

// TestInVMBoxed reads the machine from a box, made by hand as runtimes make containers: processes, mounts and cgroups of its own, a
// root of its own, and in there the machine's root.
func TestInVMBoxed(t *testing.T) {
	vmtest.Inside(t)
	roots := cgroup.Mounts(host.Host{})
	var join strings.Builder
	for _, root := range roots {
		for _, name := range []string{"box", "web"} {
			if err := os.Mkdir(root+"/"+name, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprintf(&join, "echo $$ >%s/box/cgroup.procs && ", root)
		for _, file := range []string{"memory.max", "memory.limit_in_bytes"} {
			if p := root + "/web/" + file; exists(p) {
				if err := os.WriteFile(p, []byte("67108864"), 0); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	web := exec.Command("sh", "-c", strings.ReplaceAll(join.String(), "/box/", "/web/")+"exec sleep 1000")
	if err := web.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = web.Process.Kill(); _ = web.Wait() }()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	box := exec.Command("sh", "-c", join.String()+`exec "$0" -test.run '^TestBox$' -test.v`, self)
	box.Env = append(os.Environ(), "BOX=outside")
	if out, err := box.CombinedOutput(); err != nil || !strings.Contains(string(out), "seen from inside") {
		t.Fatalf("%v: %s", err, out)
	}
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// TestBox is what runs in the box.
func TestBox(t *testing.T) {
	switch os.Getenv("BOX") {
	case "outside": // in its cgroup, whose name is not known inside
		c := exec.Command("/proc/self/exe", "-test.run", "^TestBox$", "-test.v")
		c.Env = append(os.Environ(), "BOX=inside")
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWCGROUP}
		out, err := c.CombinedOutput()
		fmt.Println(string(out))
		if err != nil {
			t.Fatal(err)
		}
	case "inside":
		enterBox(t)
		lookFromBox(t, host.Host{Root: "/host"})
		fmt.Println("seen from inside")
	default:
		t.Skip("runs in the box that another test makes")
	}
}

// enterBox makes an empty root with a /proc and cgroups of its own and the machine at /host, and enters it.
func enterBox(t *testing.T) {
	root := "/tmp/box"
	mount := func(source, dir, kind string, flags uintptr) {
		t.Helper()
		if err := os.MkdirAll(root+dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount(source, root+dir, kind, flags, ""); err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	mount("box", "", "tmpfs", 0)
	mount("/sys/fs/cgroup", "/host/sys/fs/cgroup", "", syscall.MS_BIND|syscall.MS_REC)
	mount("/proc", "/host/proc", "", syscall.MS_BIND|syscall.MS_REC)
	mount("proc", "/proc", "proc", 0)
	if exists("/sys/fs/cgroup/cgroup.controllers") {
		mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0) // whose root is the box's
	} else {
		mount("/sys/fs/cgroup", "/sys/fs/cgroup", "", syscall.MS_BIND|syscall.MS_REC)
	}
	if err := syscall.Chroot(root); err != nil {
		t.Fatal(err)
	}
	if err := os.Chdir("/"); err != nil {
		t.Fatal(err)
	}
}

func lookFromBox(t *testing.T, h host.Host) {
	n, err := names.New(names.Options{Node: "n1", Host: h})
	if err != nil {
		t.Fatal(err)
	}
	fast, err := cgroup.New(cgroup.Options{Node: "n1", Host: h, Namer: n})
	if err != nil {
		t.Fatal(err)
	}
	defer fast.Close()
	full, err := cadvisor.New(cadvisor.Options{Node: "n1", Host: h, Namer: n, Starts: fast})
	if err != nil {
		t.Fatal(err)
	}
	f, g := fast.Read(time.Now()), full.Read(time.Now())
	web := boxed(g, "/web")
	if boxed(f, "/web") == nil || web == nil || boxed(g, "/box") == nil {
		t.Fatalf("not all cgroups of the machine are seen: %d and %d", len(f.Groups), len(g.Groups))
	}
	seen := map[metric.ID]float64{}
	for _, p := range web.Points {
		seen[p.ID] = p.V
	}
	if _, counted := seen[metric.Processes]; counted || seen[metric.MemoryLimit] != 64<<20 {
		t.Errorf("web: %v", seen)
	}
	if full.Unseen() == 0 {
		t.Error("no word of the processes that cannot be seen")
	}
	if got := h.Holder(os.Getpid(), cgroup.Mounts(h)); got != "/box" {
		t.Errorf("the box is %q", got)
	}
	if got := collector.NewPods("n1", "plimsoll", h, os.Getpid(), n, nil).Processes(); len(got) != 0 {
		t.Errorf("what /box holds is measured again: %+v", got)
	}
	node := g.Groups[len(g.Groups)-1]
	for _, p := range node.Points {
		if p.ID == metric.Processes && p.V < 10 {
			t.Errorf("%v processes of the machine", p.V)
		}
	}
	for _, gap := range g.Gaps {
		t.Errorf("gap: %+v", gap)
	}
	if outside, _ := filepath.Glob("/host/proc/[0-9]*"); len(outside) < 10 {
		t.Errorf("the machine's /proc has %d processes", len(outside))
	}
}

func boxed(b *metric.Batch, id string) *metric.Group {
	for i := range b.Groups {
		if b.Groups[i].Entity.ID == id {
			return &b.Groups[i]
		}
	}
	return nil
}
