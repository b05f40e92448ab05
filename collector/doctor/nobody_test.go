package doctor

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"plimsoll.dev/plimsoll/collector/host"
)

// TestNobody: what is said as a user without rights, in a container, is what that user can do and not what this one can.
func TestNobody(t *testing.T) {
	if run := os.Getenv("PLIMSOLL_AS"); run != "" {
		h := host.Host{Root: os.Getenv("PLIMSOLL_ROOT"), Cgroups: "/sys/fs/cgroup", Proc: "/proc"}
		fmt.Println(User(h), sockets(t.Context(), h))
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: the test becomes another user")
	}
	if got := User(host.Host{}); !strings.Contains(got.Found, "root") || !strings.Contains(got.Found, "gives each replica of a process service a cgroup") {
		t.Errorf("root: %+v", got)
	}
	exe, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "plimsoll-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	bin := filepath.Join(dir, "doctor.test")
	for _, err := range []error{os.Chmod(dir, 0o755), os.WriteFile(bin, exe, 0o755), os.MkdirAll(dir+"/run/user/1000", 0o755), os.Chmod(dir+"/run/user/1000", 0o700)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	f := func(root string, flags uintptr, want ...string) {
		t.Helper()
		cmd := exec.Command(bin, "-test.run=^TestNobody$", "-test.v")
		cmd.Env, cmd.Dir = append(os.Environ(), "PLIMSOLL_AS=1", "PLIMSOLL_ROOT="+root), "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, Cloneflags: flags}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, text := range want {
			if !strings.Contains(string(out), text) {
				t.Errorf("nothing says %q: %s", text, out)
			}
		}
		if strings.Contains(string(out), "is here") || strings.Contains(string(out), "reads") {
			t.Errorf("as nobody: %s", out)
		}
	}
	f(dir, 0, "uid 65534", "may not make cgroups in", "without a cgroup each", "may not look for a runtime's socket in "+dir+"/run/user/1000")
	if here, _ := filepath.Glob("/run/*/*.sock"); len(here) > 0 || exists("/run/docker.sock") || exists("/run/podman") {
		return // a runtime's socket is here
	}
	f("", syscall.CLONE_NEWCGROUP, "no socket of Docker or podman is to be seen from this container", "-v /var/run/docker.sock")
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
