package host

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSettled(t *testing.T) {
	f := func(in, want Host) {
		t.Helper()
		if d := cmp.Diff(want, in.Settled()); d != "" {
			t.Errorf("%+v: %s", in, d)
		}
	}
	f(Host{}, Host{"/", "/sys/fs/cgroup", "/proc"})
	f(Host{Root: "/host/"}, Host{"/host", "/host/sys/fs/cgroup", "/host/proc"})
	f(Host{Cgroups: "/cg"}, Host{"/", "/cg", "/proc"})
	f(Host{Root: "/host", Proc: "/proc"}, Host{"/host", "/host/sys/fs/cgroup", "/proc"})
}

func TestValidate(t *testing.T) {
	f := func(in Host, ok bool) {
		t.Helper()
		if err := in.Validate(); (err == nil) != ok {
			t.Errorf("%+v: got %v", in, err)
		}
	}
	f(Host{}, true)
	f(Host{Root: "/host", Cgroups: "/cg", Proc: "/p"}, true)
	f(Host{Root: "host"}, false)
	f(Host{Cgroups: "cg"}, false)
	f(Host{Proc: "../proc"}, false)
}

func TestOnMachine(t *testing.T) {
	f := func(root, dir, want string, ok bool) {
		t.Helper()
		if got, is := (Host{Root: root}).OnMachine(dir); is != ok || ok && got != want {
			t.Errorf("%q below %q: got %q, %v", dir, root, got, is)
		}
	}
	f("", "/", "/", true)
	f("", "/boot", "/boot", true)
	f("/host", "/host", "/", true)
	f("/host", "/host/boot/efi", "/boot/efi", true)
	f("/host", "/hostile", "", false)
	f("/host", "/etc/hosts", "", false)
}

func TestParseMounts(t *testing.T) {
	got := ParseMounts([]byte(`33 24 0:34 / /sys/fs/cgroup/uni\040fied rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate
36 24 0:37 / /Docker/host rw,noatime - 9p C:\134Program\040Files rw,aname=drvfs;path=C:\Program Files\Docker;symlinkroot=/mnt/,trans=fd
torn line -
`))
	want := []Mount{{Dir: "/sys/fs/cgroup/uni fied", Type: "cgroup2", Source: "cgroup2", Device: "0:34", Options: []string{"rw", "nsdelegate"}},
		{Dir: "/Docker/host", Type: "9p", Source: `C:\Program Files`, Device: "0:37", Options: []string{`Files\Docker;symlinkroot=/mnt/`, "trans=fd"}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add([]byte("33 24 0:34 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range ParseMounts(b) {
			if m.Type == "" || m.Device == "" {
				t.Errorf("%q: %+v", b, m)
			}
		}
	})
}

// A test runs on the machine itself, or says that it is in a container.
func TestLacks(t *testing.T) {
	if !Contained() && !apart("cgroup", firstCgroups) {
		if got := (Host{}).Lacks(); got != nil {
			t.Errorf("on the machine itself: %v", got)
		}
	}
	if got := (Host{Cgroups: "/elsewhere"}).Lacks(); len(got) == 0 {
		t.Error("cgroups from elsewhere alone: no word of the file systems")
	}
}
