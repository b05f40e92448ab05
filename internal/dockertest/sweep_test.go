package dockertest

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// left is what there is of a folder: processes, mounts, cgroups, files.
func left(dir string, container string) (out []string) {
	for range running(dir) {
		out = append(out, "a process")
	}
	out = append(out, mounted(dir)...)
	cgroups, _ := filepath.Glob("/sys/fs/cgroup/*/docker/" + container)
	out = append(out, cgroups...)
	if _, err := os.Stat(dir); err == nil {
		out = append(out, dir)
	}
	return out
}

// TestNothingIsLeft: neither a test that ends nor one that is killed leaves a process, a mount, a cgroup or a file behind, the latter once another begins.
func TestNothingIsLeft(t *testing.T) {
	if os.Getenv("PLIMSOLL_KILLED") != "" {
		d := New(t)
		d.Start()
		d.Import("app:1", "app", "../../collector/testdata/load")
		id := d.Docker("run", "-d", "--network", "none", "app:1", "/app", "idle")
		os.Stdout.WriteString("runs " + d.Dir + " " + id + "\n")
		if os.Getenv("PLIMSOLL_KILLED") == "late" {
			select {}
		}
		return
	}
	New(t) // or it skips
	for _, when := range []string{"late", "never"} {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestNothingIsLeft$", "-test.v", "-test.timeout=5m")
		cmd.Env = append(os.Environ(), "PLIMSOLL_KILLED="+when)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var dir, container string
		for s := bufio.NewScanner(out); s.Scan(); {
			if f := strings.Fields(s.Text()); len(f) == 3 && f[0] == "runs" {
				dir, container = f[1], f[2]
				if when == "late" {
					_ = cmd.Process.Kill()
				}
			}
		}
		_ = cmd.Wait()
		if dir == "" {
			t.Fatal("it did not run")
		}
		if when == "late" {
			if len(left(dir, container)) == 0 {
				t.Error("killed, it left nothing: nothing is tested")
			}
			New(t)
		}
		if all := left(dir, container); len(all) > 0 {
			t.Errorf("%s: left is %q", when, all)
		}
	}
}
