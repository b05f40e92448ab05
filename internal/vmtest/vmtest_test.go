package vmtest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMachine(t *testing.T) {
	fixture := filepath.Join(t.TempDir(), "fixture")
	if err := os.WriteFile(fixture, []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	Run(t, Options{Run: "^TestInVM$", Files: map[string]string{"/fixture": fixture}, Env: []string{"QUOTED=it's"}})
}

func TestInVM(t *testing.T) {
	Inside(t)
	got, err := os.ReadFile("/fixture")
	if err != nil || string(got) != "hello" {
		t.Errorf("fixture: got %q, %v", got, err)
	}
	if got, want := os.Getenv("QUOTED"), "it's"; got != want {
		t.Errorf("environment: got %q, want %q", got, want)
	}
	if got, err := os.ReadFile("testdata/note.txt"); err != nil || string(got) != "a fixture\n" {
		t.Errorf("testdata: got %q, %v", got, err)
	}
	if err := os.Mkdir("/sys/fs/cgroup/a", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"cpu.max", "memory.max", "io.stat", "pids.max", "cpu.pressure"} {
		if _, err := os.Stat("/sys/fs/cgroup/a/" + f); err != nil {
			t.Error(err)
		}
	}
	if out, err := exec.Command("ip", "addr", "show", "lo").CombinedOutput(); err != nil || !strings.Contains(string(out), "127.0.0.1") {
		t.Errorf("loopback: %s, %v", out, err)
	}
}

func TestMachineV1(t *testing.T) { Run(t, Options{Run: "^TestV1InVM$", Cgroup: CgroupV1}) }

func TestV1InVM(t *testing.T) {
	Inside(t)
	for _, f := range []string{"cpu/cpuacct.usage", "cpuacct/cpu.shares", "cpu,cpuacct/tasks", "memory/memory.stat"} {
		if _, err := os.Stat("/sys/fs/cgroup/" + f); err != nil {
			t.Error(err)
		}
	}
}

// TestHung stops the pulse of a machine from inside; whoever waits for the machine must notice long before its time is up.
func TestHung(t *testing.T) {
	x, err := findTools()
	if err != nil {
		t.Skip(err.Error())
	}
	bin, initrd := filepath.Join(t.TempDir(), "tests"), filepath.Join(t.TempDir(), "initrd")
	if err := build(t.Context(), bin, "."); err != nil {
		t.Fatal(err)
	}
	o := Options{Run: "^TestHangs$", patience: 15 * time.Second}.withDefaults() // over what it takes to boot on a busy host
	if err := pack(initrd, bin, "mark", x, o); err != nil {
		t.Fatal(err)
	}
	done, err := turn(t.Context(), os.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	out, err := boot(t.Context(), initrd, x, o)
	t.Logf("the machine said:\n%s", out)
	if !errors.Is(err, errNoPulse) {
		t.Errorf("got %v, want %v", err, errNoPulse)
	}
	if !strings.Contains(string(out), "TestHangs") {
		t.Errorf("what the machine said is lost: %q", out)
	}
}

// TestHangs is run by TestHung.
func TestHangs(t *testing.T) {
	if os.Getenv(Env) != "1" {
		t.Skip("runs in a virtual machine only (" + Env + "=1)")
	}
	out, err := exec.Command("sh", "-c", "kill -STOP $(cat /tmp/pulse.pid)").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	select {}
}

// A machine that panics while it boots has no pulse; here there is nothing in it to start.
func TestNoBoot(t *testing.T) {
	x, err := findTools()
	if err != nil {
		t.Skip(err.Error())
	}
	initrd := filepath.Join(t.TempDir(), "initrd")
	if err := os.WriteFile(initrd, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	done, err := turn(t.Context(), os.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if out, err := boot(t.Context(), initrd, x, Options{}.withDefaults()); !errors.Is(err, errNoPulse) {
		t.Errorf("got %v, want %v; the machine said:\n%s", err, errNoPulse, out)
	}
}

func TestVerdict(t *testing.T) {
	const mark = "m"
	f := func(out string, want string) {
		t.Helper()
		text, code, ended := split([]byte(out), mark)
		got := "not ended"
		if ended {
			got = "ok"
			if err := verdict(text, code); err != nil {
				got = err.Error()
			}
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", out, got, want)
		}
	}
	f("PASS\r\nm 0\r\n", "ok")
	f("PASS\nm 1\n", "the tests in the machine failed with exit code 1")
	f("PASS\n", "not ended")
	f("m x\n", "not ended")
	f("testing: warning: no tests to run\nPASS\nm 0\n", "no test in the machine matched")
	f("--- SKIP: TestA (0.00s)\nPASS\nm 0\n", `test "TestA" skipped in the machine`)
}

func TestValidate(t *testing.T) {
	f := func(o Options, want string) {
		t.Helper()
		got := ""
		if err := o.Validate(); err != nil {
			got = err.Error()
		}
		if got != want && (want == "" || !strings.HasPrefix(got, want)) {
			t.Errorf("%+v: got %q, want %q", o, got, want)
		}
	}
	f(Options{}, "")
	f(Options{Run: "("}, `cannot use test pattern "("`)
	f(Options{Cgroup: "v3"}, `cannot mount cgroup version "v3"`)
	f(Options{Files: map[string]string{"a": "b"}}, `cannot place file "a"`)
	f(Options{Timeout: -time.Second}, "cannot use a negative")
}

// The archive is read back by Debian's own cpio, where there is one.
func TestArchive(t *testing.T) {
	cpio, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("needs cpio: install Debian's cpio")
	}
	var buf bytes.Buffer
	a := newArchive(&buf)
	a.file("/a/b/c", 0o755, 5, strings.NewReader("hello"))
	a.file("/a/d", 0o644, 0, strings.NewReader(""))
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(cpio, "-id", "--quiet")
	cmd.Dir, cmd.Stdin = dir, &buf
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got, err := os.ReadFile(filepath.Join(dir, "a/b/c"))
	if err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v, want %q", got, err, "hello")
	}
	if st, err := os.Stat(filepath.Join(dir, "a/b/c")); err != nil || st.Mode().Perm() != 0o755 {
		t.Errorf("mode: got %v, %v, want 0755", st, err)
	}
}
