package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"plimsoll.dev/plimsoll/collector/host"
)

const mountinfoHybrid = `24 1 0:22 / /sys/fs/cgroup ro - tmpfs cgroup rw
29 24 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
31 24 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 24 0:33 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
33 24 0:34 / /sys/fs/cgroup/uni\040fied rw,relatime - cgroup2 cgroup2 rw
34 24 0:35 / /elsewhere/memory rw,relatime - cgroup cgroup rw,memory
35 24 0:36 / /sys/fs/cgroupx rw,relatime - cgroup cgroup rw,memory
36 24 0:37 / /Docker/host rw,noatime - 9p C:\134Program\040Files rw,aname=drvfs;path=C:\Program Files\Docker;symlinkroot=/mnt/,trans=fd
torn line -
`

func TestParseMountinfo(t *testing.T) {
	got := below(host.ParseMounts([]byte(mountinfoHybrid)), "/sys/fs/cgroup")
	want := []mount{
		{dir: "/sys/fs/cgroup/cpu,cpuacct", controllers: []string{"cpu", "cpuacct"}},
		{dir: "/sys/fs/cgroup/memory", controllers: []string{"memory"}},
		{dir: "/sys/fs/cgroup/systemd"},
		{dir: "/sys/fs/cgroup/uni fied", v2: true},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(mount{}), cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
}

func TestAccounting(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		if d := cmp.Diff(want, accounting(below(host.ParseMounts([]byte(text)), "/sys/fs/cgroup"))); d != "" {
			t.Errorf("%q: %s", text, d)
		}
	}
	const v2 = "33 24 0:34 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
	f(mountinfoHybrid, "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/memory")
	f(v2, "/sys/fs/cgroup")
	f("32 24 0:33 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"+v2, "/sys/fs/cgroup")
	f("")
}

func TestAssign(t *testing.T) {
	f := func(name string, in []mount, version, cpu, throttling, memory string, hierarchies ...hierarchy) {
		t.Helper()
		l := assign(in)
		got := []string{l.info.Version, l.info.CPU, l.info.Throttling, l.info.Memory}
		if d := cmp.Diff([]string{version, cpu, throttling, memory}, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if d := cmp.Diff(hierarchies, l.hierarchies, cmp.AllowUnexported(hierarchy{})); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	v1 := func(dir string, c ...string) mount { return mount{dir: dir, controllers: c} }
	v2 := func(dir string, c ...string) mount { return mount{dir: dir, v2: true, controllers: c} }
	f("pure v2", []mount{v2("/c", "cpu", "memory", "io")}, V2, "/c", "/c", "/c",
		hierarchy{"/c", []kind{v2CPU, v2Memory, v2MemoryStat}})
	f("v2 without memory", []mount{v2("/c", "cpu")}, V2, "/c", "/c", "", hierarchy{"/c", []kind{v2CPU}})
	f("v1 apart", []mount{v1("/cpu", "cpu"), v1("/acct", "cpuacct"), v1("/mem", "memory"), v2("/uni")}, Hybrid, "/acct", "/cpu", "/mem",
		hierarchy{"/acct", []kind{v1Usage}}, hierarchy{"/cpu", []kind{v1Throttling}}, hierarchy{"/mem", []kind{v1Memory, v1MemoryStat}})
	f("v1 together", []mount{v1("/c", "cpu", "cpuacct"), v1("/mem", "memory")}, V1, "/c", "/c", "/mem",
		hierarchy{"/c", []kind{v1Usage, v1Throttling}}, hierarchy{"/mem", []kind{v1Memory, v1MemoryStat}})
	f("memory moved to v2", []mount{v1("/c", "cpu", "cpuacct"), v2("/uni", "memory")}, Hybrid, "/c", "/c", "/uni",
		hierarchy{"/c", []kind{v1Usage, v1Throttling}}, hierarchy{"/uni", []kind{v2Memory, v2MemoryStat}})
	f("mounted twice", []mount{v1("/a", "memory"), v1("/b", "memory")}, V1, "", "", "/a", hierarchy{"/a", []kind{v1Memory, v1MemoryStat}})
}

func TestDetectNothing(t *testing.T) {
	if _, err := Detect(host.Host{Cgroups: t.TempDir()}); !errors.Is(err, ErrNoCgroups) {
		t.Errorf("got %v, want ErrNoCgroups", err)
	}
}

// A link as systemd makes it for cpu and cpuacct is one hierarchy.
func TestGuessMountsFollowsLinks(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "cpu,cpuacct"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"cpu", "cpuacct"} {
		if err := os.Symlink("cpu,cpuacct", filepath.Join(root, n)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := detect(host.Host{Cgroups: root, Proc: root}.Settled())
	if err != nil {
		t.Fatal(err)
	}
	if len(l.hierarchies) != 1 || l.info.CPU != l.info.Throttling {
		t.Errorf("got %+v", l)
	}
}

func TestDetectReal(t *testing.T) {
	info, err := Detect(host.Host{})
	if errors.Is(err, ErrNoCgroups) {
		t.Skip("needs cgroups: none are mounted on /sys/fs/cgroup")
	}
	if err != nil {
		t.Fatal(err)
	}
	if info.CPU == "" || info.Memory == "" {
		t.Errorf("got %+v", info)
	}
	t.Log(info)
}
