package names

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/metric"
)

var (
	idA = strings.Repeat("3f2a", 16)
	idB = strings.Repeat("0b1c", 16)
	uid = "1b6e2f3c-9d40-4c1a-8a55-0123456789ab"
)

// none is the entity of what is not measured.
var none = metric.Entity{}

func named(ns, kind, workload, pod, container, runtime string) metric.Entity {
	return metric.Entity{Level: metric.Container, Node: "n1", Namespace: ns, WorkloadKind: kind, Workload: workload,
		Pod: pod, Container: container, Runtime: runtime}
}

// childless is a Names that knows of no cgroup with children.
func childless(t testing.TB, o Options) *Names {
	t.Helper()
	o.Node = "n1"
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	n.hasKids, n.inUse = func(string) bool { return false }, func(string) bool { return false }
	return n
}

func TestNameFromPath(t *testing.T) {
	f := func(path string, want metric.Entity) {
		t.Helper()
		n := childless(t, Options{})
		got, ok := n.Name(path)
		if want == none {
			if ok {
				t.Errorf("Name(%q) = %v, want nothing", path, got)
			}
			return
		}
		if want.Level == metric.Container {
			want.ID = path
		}
		if !ok {
			t.Errorf("Name(%q) is nothing, want %v", path, &want)
		} else if d := cmp.Diff(*got, want); d != "" {
			t.Errorf("Name(%q) (-got +want):\n%s", path, d)
		}
		if again, _ := n.Name(path); again != got {
			t.Errorf("Name(%q) gave another pointer the second time", path)
		}
	}
	a, b, uid_ := idA[:12], idB[:12], strings.ReplaceAll(uid, "-", "_")
	f("/", metric.Entity{Level: metric.Node, Node: "n1", ID: "/"})

	f("/docker", none)
	f("/docker/"+idA, named("docker", "Docker", a, a, a, "docker"))
	f("/docker/"+idA+"/init.scope", none)
	f("/docker/"+idA+"/docker/"+idB, none)
	f("/docker/buildkit", named("cgroup", "Cgroup", "docker", "docker/buildkit", "buildkit", "cgroup"))
	f("/system.slice/docker-"+idA+".scope", named("docker", "Docker", a, a, a, "docker"))
	f("/system.slice/docker-"+idA+".scope/sub", none)
	f("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-"+idB+".scope", named("docker@user-1000", "Docker", b, b, b, "docker"))

	f("/machine.slice/libpod-"+idA+".scope", named("podman", "Podman", a, a, a, "podman"))
	f("/machine.slice/libpod-"+idA+".scope/container", none)
	f("/machine.slice/libpod-conmon-"+idA+".scope", none)
	f("/libpod_parent", none)
	f("/libpod_parent/libpod-"+idA, named("podman", "Podman", a, a, a, "podman"))
	f("/libpod_parent/libpod-conmon-"+idA, none)

	f("/default", none)
	f("/default/web", named("default", "Containerd", "web", "web", "web", "containerd"))
	f("/default/web/sub", none)
	f("/team/"+idA, named("team", "Containerd", a, a, a, "containerd"))
	f("/system.slice/cri-containerd-"+idA+".scope", named("containerd", "Containerd", a, a, a, "containerd"))
	f("/machine.slice/crio-"+idA+".scope", named("cri-o", "CRI-O", a, a, a, "cri-o"))
	f("/machine.slice/crio-conmon-"+idA+".scope", none)

	f("/kubepods", none)
	f("/kubepods/besteffort", none)
	f("/kubepods/burstable/pod"+uid, none)
	f("/kubepods/burstable/pod"+uid+"/"+idA, named("kubernetes", "Pod", uid, uid, a, "containerd"))
	f("/kubepods/pod"+strings.Repeat("ab", 16)+"/crio-"+idA, named("kubernetes", "Pod", strings.Repeat("ab", 16), strings.Repeat("ab", 16), a, "cri-o"))
	f("/kubepods/burstable/pod"+uid+"/crio-conmon-"+idA, none)
	f("/kubepods.slice/kubepods-burstable.slice", none)
	f("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"+uid_+".slice", none)
	f("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"+uid_+".slice/cri-containerd-"+idA+".scope", named("kubernetes", "Pod", uid, uid, a, "containerd"))
	f("/kubepods.slice/kubepods-pod"+uid_+".slice/crio-"+idA+".scope", named("kubernetes", "Pod", uid, uid, a, "cri-o"))
	f("/kubepods.slice/kubepods-pod"+uid_+".slice/crio-"+idA+".scope/container", none)
	f("/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod"+uid_+".slice/cri-containerd-"+idA+".scope", named("kubernetes", "Pod", uid, uid, a, "containerd"))

	f("/system.slice/init.scope", named("system", "Unit", "system.slice/init.scope", "system.slice/init.scope", "init.scope", "systemd"))
	f("/init.scope", named("system", "Unit", "init.scope", "init.scope", "init.scope", "systemd"))
	f("/system.slice", none)
	f("/system.slice/ssh.service", named("system", "Unit", "ssh.service", "ssh.service", "ssh.service", "systemd"))
	f("/system.slice/system-getty.slice/getty@tty1.service", named("system", "Unit", "getty@tty1.service", "getty@tty1.service", "getty@tty1.service", "systemd"))
	fsck := `systemd-fsck@dev-disk-by\x2duuid-12.service`
	f(`/system.slice/system-systemd\x2dfsck.slice/`+fsck, named("system", "Unit", fsck, fsck, fsck, "systemd"))
	f("/system.slice/"+fsck, named("system", "Unit", "system.slice/"+fsck, "system.slice/"+fsck, fsck, "systemd")) // its manager puts it elsewhere
	f("/machine.slice/ssh.service", named("system", "Unit", "machine.slice/ssh.service", "machine.slice/ssh.service", "ssh.service", "systemd"))
	f("/lxc.payload.web/system.slice/ssh.service", named("system", "Unit", "lxc.payload.web/system.slice/ssh.service", "lxc.payload.web/system.slice/ssh.service", "ssh.service", "systemd"))
	f("/ssh.service", named("system", "Unit", "/ssh.service", "/ssh.service", "ssh.service", "systemd"))
	f("/machine.slice/systemd-nspawn@web.service/payload/system.slice/ssh.service", none) // part of the container
	f("/system.slice/run-lock.mount", none)
	f("/system.slice/docker.service", named("system", "Unit", "docker.service", "docker.service", "docker.service", "systemd"))
	f("/system.slice/docker.service/runtime", none)
	f("/user.slice", none)
	f("/user.slice/user-1000.slice/session-3.scope", named("user-1000", "Unit", "session-3.scope", "session-3.scope", "session-3.scope", "systemd"))
	f("/user.slice/user-1000.slice/user@1000.service", none)
	f("/user.slice/user-1000.slice/user@1000.service/init.scope", named("user-1000", "Unit", "init.scope", "init.scope", "init.scope", "systemd"))
	f("/user.slice/user-1000.slice/user@1000.service/app.slice/dbus.service", named("user-1000", "Unit", "dbus.service", "dbus.service", "dbus.service", "systemd"))
	f("/user.slice/user-1001.slice/user@1001.service/app.slice/dbus.service", named("user-1001", "Unit", "dbus.service", "dbus.service", "dbus.service", "systemd"))
	f("/user.slice/user-1000.slice/user@1000.service/session.slice/dbus.service", named("user-1000", "Unit", "session.slice/dbus.service", "session.slice/dbus.service", "dbus.service", "systemd"))

	f("/plimsoll-4711", none)
	f("/plimsoll-4711/demo/web", none)
	f("/plimsoll-4711/demo/web/web-3", named("plimsoll-4711", "ProcessService", "demo/web", "demo/web/web-3", "web", "process"))
	f("/system.slice/plimsoll.service/plimsoll-4711/demo/web/web-3", none) // part of the unit, whatever it is called
	f("/batch/plimsoll-4711/demo/web/web-3", named("cgroup", "Cgroup", "batch/plimsoll-4711/demo/web", "batch/plimsoll-4711/demo/web/web-3", "web-3", "cgroup"))
	f("/plimsoll-4711/demo/web/web-3/sub", none)

	f("/batch", named("cgroup", "Cgroup", "batch", "batch", "batch", "cgroup"))
	f("/bench/c001", named("cgroup", "Cgroup", "bench", "bench/c001", "c001", "cgroup"))
}

// TestClip: no name steers a terminal or turns the direction of writing around.
func TestClip(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := clip(in); got != want {
			t.Errorf("clip(%q) = %q, want %q", in, got, want)
		}
	}
	f("web-1", "web-1")
	f("bücher 書 🚢", "bücher 書 🚢")
	f("a\x1b[31mred", "a[31mred")
	f("a\u009b31mred", "a31mred") // the same escape in one character
	f("a\r\n\tb\x00\x7f", "ab")
	f("user\u202egpj.exe\u2066", "usergpj.exe")
	f("\xff\xfea", "\ufffda")
	f(strings.Repeat("é", 200), strings.Repeat("é", maxName/2))
}

func TestForgetting(t *testing.T) {
	n := childless(t, Options{})
	n.Name("/docker/" + idA)
	keep, _ := n.Name("/docker/" + idB)
	for range 3 {
		n.sweep()
		n.Name("/docker/" + idB)
	}
	if got, want := n.count.Load(), int64(1); got != want {
		t.Errorf("%d paths are kept, want %d", got, want)
	}
	if len(n.byID) != 1 || len(n.byID[idB]) != 1 {
		t.Errorf("the index by id holds %v", n.byID)
	}
	if again, _ := n.Name("/docker/" + idB); again != keep {
		t.Error("a living container got another pointer")
	}
}

func TestManyPathsAreBounded(t *testing.T) {
	n := childless(t, Options{})
	for i := range 5 * maxPaths {
		n.Name("/churn/" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + itoa(i))
	}
	if got := n.count.Load(); got > 4*maxPaths {
		t.Errorf("%d paths are kept", got)
	}
}

func itoa(i int) string {
	var b []byte
	for ; i > 0; i /= 10 {
		b = append(b, byte('0'+i%10))
	}
	return string(b)
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"/", "", "//", "/docker/" + idA, "/a/../..", "/kubepods/pod" + uid + "/" + idA, `/system.slice/a\x2d\xff\x.service`,
		"/plimsoll-1/a/b/c", "/user@.service/x.scope", "/\xff\xfe", strings.Repeat("/a", 500)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		n := childless(t, Options{})
		e, ok := n.Name(path)
		if ok != (e != nil) {
			t.Fatalf("Name(%q) = %v, %v", path, e, ok)
		}
		if !ok || e.Level == metric.Node {
			return
		}
		if e.Namespace == "" || e.Runtime == "" || e.ID != path {
			t.Errorf("Name(%q) = %+v", path, e)
		}
		for _, s := range []string{e.Namespace, e.Workload, e.Pod, e.Container} {
			if len(s) > maxName || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
				t.Errorf("Name(%q) has the name %q", path, s)
			}
		}
		if below, ok := n.Name(path + "/below"); ok && e.Runtime != "cgroup" {
			t.Errorf("Name(%q) is measured, and so is %v below it", path, below)
		}
	})
}

func BenchmarkNameHit(b *testing.B) {
	n := childless(b, Options{})
	path := "/docker/" + idA
	n.Name(path)
	b.ReportAllocs()
	for b.Loop() {
		n.Name(path)
	}
}
