package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// eachHost runs a test once with cgroups, as far as there are any here, and once without.
func eachHost(t *testing.T, f func(t *testing.T, root string)) {
	t.Run("cgroups", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("needs root: to make cgroups")
		}
		f(t, "/sys/fs/cgroup")
	})
	t.Run("no cgroups", func(t *testing.T) { f(t, "none") })
}

// eventually polls, because real processes take the time they take.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited three minutes in vain: %s", what)
		}
	}
}

func actor(act string, replicas int32) Service {
	return Service{Namespace: "test", Name: "web", Command: []string{"/proc/self/exe"}, Replicas: replicas, Drain: 5 * time.Second,
		Env: map[string]string{"TEST_ACT": act}}
}

var web = Key{"test", "web"}

// run runs a supervisor until the test ends and checks that nothing is left of it.
func run(t *testing.T, o Options) (s *Supervisor, stop func()) {
	t.Helper()
	o.Env = os.Environ()
	var log bytes.Buffer
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.Registerer = prometheus.NewPedanticRegistry()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if left := procsMarked(s.token); len(left) > 0 {
			t.Errorf("processes left: %v", left)
		}
		if left := tops(fmt.Sprint(topPrefix, os.Getpid())); len(left) > 0 {
			t.Errorf("cgroups left: %v", left)
		}
		if _, err := o.Registerer.(prometheus.Gatherer).Gather(); err != nil {
			t.Errorf("metrics: %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", log.String())
		}
	}
	t.Cleanup(stop)
	return s, stop
}

// tops returns the cgroups of that name at the top of any hierarchy.
func tops(name string) []string {
	a, _ := filepath.Glob("/sys/fs/cgroup/" + name)
	b, _ := filepath.Glob("/sys/fs/cgroup/*/" + name)
	return append(a, b...)
}

// states returns "web-1 ready, web-2 draining".
func states(s *Supervisor) string {
	rs, _ := s.Replicas(web)
	var out []string
	for _, r := range rs {
		out = append(out, r.Name+" "+string(r.State))
	}
	return strings.Join(out, ", ")
}

func wantStates(t *testing.T, s *Supervisor, want string) {
	t.Helper()
	eventually(t, "states "+want, func() bool { return states(s) == want })
}

// backedOff waits until web-1 backs off and returns what is known of it at that moment.
func backedOff(t *testing.T, s *Supervisor) (r Replica) {
	t.Helper()
	eventually(t, "web-1 backing-off", func() bool {
		rs, _ := s.Replicas(web)
		if len(rs) == 1 {
			r = rs[0]
		}
		return r.Name == "web-1" && r.State == BackingOff
	})
	return r
}

func TestScaleUpAndDown(t *testing.T) {
	eachHost(t, func(t *testing.T, root string) {
		s, _ := run(t, Options{CgroupRoot: root, Services: []Service{actor("serve", 2)}})
		wantStates(t, s, "web-1 ready, web-2 ready")
		if err := s.Scale(t.Context(), web, 4); err != nil {
			t.Fatal(err)
		}
		wantStates(t, s, "web-1 ready, web-2 ready, web-3 ready, web-4 ready")
		rs, _ := s.Replicas(web)
		for _, r := range rs {
			want := ""
			if root != "none" {
				want = fmt.Sprintf("/plimsoll-%d/test/web/%s", os.Getpid(), r.Name)
			}
			if r.Cgroup != want {
				t.Errorf("cgroup of %s: got %q, want %q", r.Name, r.Cgroup, want)
			}
			if !r.Ready || r.ReadyAt.IsZero() || r.StartTime.IsZero() || r.Created.After(r.StartTime) || r.PID == 0 {
				t.Errorf("odd replica: %+v", r)
			}
			if root != "none" {
				if got, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", r.PID)); !strings.Contains(string(got), want) {
					t.Errorf("%s is not in %q but in:\n%s", r.Name, want, got)
				}
			}
		}
		if err := s.Scale(t.Context(), web, 1); err != nil {
			t.Fatal(err)
		}
		wantStates(t, s, "web-1 ready")
		if err := s.Scale(t.Context(), web, 0); err != nil {
			t.Fatal(err)
		}
		wantStates(t, s, "")
	})
}

func TestScaleErrors(t *testing.T) {
	s, stop := run(t, Options{CgroupRoot: "none"})
	if err := s.Scale(t.Context(), web, 1); !errors.Is(err, ErrUnknownService) {
		t.Errorf("unknown service: got %v", err)
	}
	if err := s.Scale(t.Context(), web, -1); err == nil {
		t.Error("negative replicas: no error")
	}
	stop()
	if err := s.Scale(t.Context(), web, 1); !errors.Is(err, ErrEnded) {
		t.Errorf("after the end: got %v", err)
	}
}

func TestCrashBacksOff(t *testing.T) {
	eachHost(t, func(t *testing.T, root string) {
		s, _ := run(t, Options{CgroupRoot: root, Services: []Service{actor("crash", 1)}, jitter: func() float64 { return 0 }})
		r := backedOff(t, s)
		for _, want := range []string{"exited with status 3", `its last line was "something is wrong"`} {
			if !strings.Contains(r.Detail, want) {
				t.Errorf("detail %q does not say %q", r.Detail, want)
			}
		}
		eventually(t, "a second restart", func() bool { rs, _ := s.Replicas(web); return len(rs) == 1 && rs[0].Restarts >= 2 })
	})
}

func TestMissingCommand(t *testing.T) {
	for _, c := range []struct{ command, dir, want string }{
		{"no-such-command", "", `cannot start "no-such-command": executable file not found in $PATH`},
		{"/no/such/command", "", `cannot start "/no/such/command": no such file or directory`},
		{"/etc/passwd", "", `cannot start "/etc/passwd": permission denied`},
		{"true", "/no/such/dir", `cannot use directory "/no/such/dir": no such file or directory`},
	} {
		svc := actor("serve", 1)
		svc.Command, svc.Dir = []string{c.command}, c.dir
		s, stop := run(t, Options{CgroupRoot: "none", Services: []Service{svc}})
		if r := backedOff(t, s); !strings.Contains(r.Detail, c.want) {
			t.Errorf("%s: detail %q does not say %q", c.command, r.Detail, c.want)
		}
		stop()
	}
}

func TestDeafReplicaIsKilled(t *testing.T) {
	eachHost(t, func(t *testing.T, root string) {
		svc := actor("deaf", 1)
		svc.Drain = 300 * time.Millisecond
		s, _ := run(t, Options{CgroupRoot: root, Services: []Service{svc}})
		eventually(t, "output", func() bool { return cmp.Equal(s.Output(web, "web-1"), []string{"deaf"}) })
		began := time.Now()
		if err := s.Scale(t.Context(), web, 0); err != nil {
			t.Fatal(err)
		}
		if got := states(s); got != "web-1 draining" && time.Since(began) < 300*time.Millisecond {
			t.Errorf("got %q, want web-1 draining", got)
		}
		wantStates(t, s, "")
		if d := time.Since(began); d < 300*time.Millisecond {
			t.Errorf("killed after %s, before its drain time", d)
		}
	})
}

func TestFamilyEndsWithReplica(t *testing.T) {
	eachHost(t, func(t *testing.T, root string) {
		svc := actor("family", 2)
		svc.Env["GENERATIONS"], svc.Drain = "3", 200*time.Millisecond
		s, _ := run(t, Options{CgroupRoot: root, Services: []Service{svc}})
		count := func(n int) func() bool {
			return func() bool { return len(procsMarked(s.token)) == n }
		}
		eventually(t, "two families of 15", count(30))
		// The head of a family dies: the rest is cleared before it begins anew.
		rs, _ := s.Replicas(web)
		if err := syscall.Kill(rs[0].PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "one family", count(15))
		eventually(t, "two families again", count(30))
		if err := s.Scale(t.Context(), web, 1); err != nil {
			t.Fatal(err)
		}
		eventually(t, "one family", count(15))
	})
}

func TestReadiness(t *testing.T) {
	sock := filepath.Join(t.TempDir(), "$(REPLICA).sock")
	connect := actor("serve", 1)
	connect.Env["LISTEN"] = sock
	connect.ReadyWhen.Connect = "unix:" + sock
	probe := actor("serve", 1)
	probe.Port = 9000
	probe.ReadyWhen.Exec = []string{"/bin/sh", "-c", `test "$PORT" = 9000 && test "$(ORDINAL)" = 1`}
	never := actor("serve", 1)
	never.ReadyWhen.Exec = []string{"/bin/sh", "-c", "echo not yet; exit 4"}
	after := actor("serve", 1)
	after.ReadyWhen.After = 200 * time.Millisecond
	for _, c := range []struct {
		name string
		svc  Service
		want string
	}{{"connect", connect, "web-1 ready"}, {"exec", probe, "web-1 ready"}, {"never", never, "web-1 starting"}, {"after", after, "web-1 ready"}} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := run(t, Options{CgroupRoot: "none", Services: []Service{c.svc}})
			wantStates(t, s, c.want)
			if c.name == "never" {
				eventually(t, "the reason", func() bool {
					rs, _ := s.Replicas(web)
					return len(rs) == 1 && strings.Contains(rs[0].Detail, `not ready: "/bin/sh" exited with status 4`)
				})
			}
		})
	}
}

func TestApply(t *testing.T) {
	s, _ := run(t, Options{CgroupRoot: "none", Services: []Service{actor("serve", 3)}})
	wantStates(t, s, "web-1 ready, web-2 ready, web-3 ready")
	pids := func() (out []int) {
		rs, _ := s.Replicas(web)
		for _, r := range rs {
			out = append(out, r.PID)
		}
		return out
	}
	before := pids()

	if err := s.Apply([]Service{{Namespace: "test", Name: "web"}}); err == nil {
		t.Error("a service without a command was accepted")
	}
	again := actor("serve", 1) // the number in the file does not count for a service that runs
	again.Drain = time.Second
	if err := s.Apply([]Service{again}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, pids()); diff != "" {
		t.Errorf("processes changed with nothing to renew (-before +after):\n%s", diff)
	}

	changed := actor("serve", 1)
	changed.Env["NEW"] = "1"
	other := actor("serve", 1)
	other.Name = "other"
	if err := s.Apply([]Service{changed, other}); err != nil {
		t.Fatal(err)
	}
	fewest := 3
	eventually(t, "all renewed", func() bool {
		ready, old := 0, 0
		rs, _ := s.Replicas(web)
		for _, r := range rs {
			if r.Ready {
				ready++
			}
			for _, b := range before {
				if r.PID == b {
					old++
				}
			}
		}
		fewest = min(fewest, ready)
		return len(rs) == 3 && ready == 3 && old == 0
	})
	if fewest < 2 {
		t.Errorf("only %d of 3 replicas were ready during the renewal", fewest)
	}
	if err := s.Apply(nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all gone", func() bool { _, err := s.Replicas(web); return errors.Is(err, ErrUnknownService) })
}

func TestFiftyReplicas(t *testing.T) {
	eachHost(t, func(t *testing.T, root string) {
		svc := actor("serve", 0)
		svc.Command = []string{"sleep", "1000"}
		s, _ := run(t, Options{CgroupRoot: root, Services: []Service{svc}})
		count := func(n int) func() bool {
			return func() bool {
				rs, _ := s.Replicas(web)
				ready := 0
				for _, r := range rs {
					if r.Ready {
						ready++
					}
				}
				return ready == n && len(rs) == n
			}
		}
		began := time.Now()
		_ = s.Scale(t.Context(), web, 50)
		eventually(t, "50 replicas", count(50))
		up := time.Since(began)
		began = time.Now()
		_ = s.Scale(t.Context(), web, 1)
		eventually(t, "1 replica", count(1))
		t.Logf("50 up in %s, 49 down in %s", up, time.Since(began))
	})
}

func TestLimits(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: to make cgroups")
	}
	svc := actor("busy", 1)
	svc.Env["GOMAXPROCS"] = "1"
	svc.Requests, svc.Limits = Resources{CPU: 250, Memory: 32 << 20}, Resources{CPU: 200 + 50, Memory: 64 << 20}
	s, _ := run(t, Options{Services: []Service{svc}})
	wantStates(t, s, "web-1 ready")
	rs, _ := s.Replicas(web)
	read := func(file string) string {
		for _, pattern := range []string{"/sys/fs/cgroup" + rs[0].Cgroup, "/sys/fs/cgroup/*" + rs[0].Cgroup} {
			found, _ := filepath.Glob(filepath.Join(pattern, file))
			if len(found) > 0 {
				b, _ := os.ReadFile(found[0])
				return strings.TrimSpace(string(b))
			}
		}
		return ""
	}
	want := map[string]string{"cpu.max": "25000 100000", "memory.max": "67108864", "cpu.weight": "10"}
	if read("cpu.max") == "" {
		want = map[string]string{"cpu.cfs_quota_us": "25000", "cpu.cfs_period_us": "100000", "memory.limit_in_bytes": "67108864", "cpu.shares": "256"}
	}
	for file, v := range want {
		if got := read(file); got != v {
			t.Errorf("%s: got %q, want %q", file, got, v)
		}
	}
	eventually(t, "throttling", func() bool {
		stat := read("cpu.stat")
		return strings.Contains(stat, "nr_throttled") && !strings.Contains(stat, "nr_throttled 0")
	})
}

func TestOutOfMemory(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: to make cgroups")
	}
	svc := actor("hog", 1)
	svc.Limits.Memory = 48 << 20
	s, _ := run(t, Options{Services: []Service{svc}})
	if r := backedOff(t, s); !strings.Contains(r.Detail, "was out of memory (limit 48 MiB): was killed by SIGKILL") {
		t.Errorf("detail %q", r.Detail)
	}
}

func TestGuardIsReplaced(t *testing.T) {
	s, _ := run(t, Options{CgroupRoot: "none", Services: []Service{actor("serve", 1)}})
	wantStates(t, s, "web-1 ready")
	first := guards()
	if len(first) != 1 {
		t.Fatalf("got guards %v, want one", first)
	}
	if err := syscall.Kill(first[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another guard", func() bool { g := guards(); return len(g) == 1 && g[0] != first[0] && s.Health() == nil })
}

// guards returns our children that are guards.
func guards() (out []int) {
	names, _ := filepath.Glob("/proc/[0-9]*")
	for _, n := range names {
		line, _ := os.ReadFile(n + "/cmdline")
		stat, _ := os.ReadFile(n + "/stat")
		var pid, ppid int
		if i := bytes.LastIndexByte(stat, ')'); i > 0 {
			var state string
			fmt.Sscan(string(stat[i+1:]), &state, &ppid)
			fmt.Sscan(filepath.Base(n), &pid)
		}
		if string(line) == guardName+"\x00" && ppid == os.Getpid() {
			out = append(out, pid)
		}
	}
	return out
}

// TestKilledPlimsoll kills a Plimsoll whose replicas have left its process group and do not hear SIGTERM.
func TestKilledPlimsoll(t *testing.T) {
	eachHost(t, func(t *testing.T, root string) {
		tag := fmt.Sprintf("TEST_TAG=%s-%d", t.Name(), os.Getpid())
		family := func() (n int) {
			names, _ := filepath.Glob("/proc/[0-9]*/environ")
			for _, f := range names {
				if env, _ := os.ReadFile(f); bytes.Contains(env, []byte(tag)) && bytes.Contains(env, []byte("TEST_ACT=family")) {
					n++
				}
			}
			return n
		}
		for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
			c := exec.Command("/proc/self/exe")
			c.Env = append(os.Environ(), "TEST_ACT=plimsoll", "CGROUPS="+root, tag)
			var log bytes.Buffer
			c.Stdout, c.Stderr = &log, &log
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "three families of 7", func() bool { return family() == 21 })
			_ = c.Process.Signal(sig)
			began := time.Now()
			_ = c.Wait()
			eventually(t, "nothing left", func() bool { return family() == 0 })
			eventually(t, "no cgroups left", func() bool { return len(tops(fmt.Sprint(topPrefix, c.Process.Pid))) == 0 })
			t.Logf("%v: all gone after %s", sig, time.Since(began))
			if t.Failed() {
				t.Log(log.String())
			}
		}
	})
}
