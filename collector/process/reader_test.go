package process

import (
	"bufio"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"plimsoll.dev/plimsoll/internal/metric"
)

// The processes in these tests are real shells.

// burn is a shell's piece of work that takes a few tenths of a second.
const burn = `i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done;`

// play is a running shell in a process group of its own, which says what it has done line by line, and may wait on its
// standard input for the word to go on.
type play struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	in    io.WriteCloser
	start time.Time
}

func start(t *testing.T, script string) *play {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &play{cmd: cmd, lines: bufio.NewScanner(out), in: in, start: time.Now()}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	return p
}

func (p *play) target(e *metric.Entity) Target {
	return Target{Entity: e, PID: p.cmd.Process.Pid, Start: p.start}
}

// goOn ends a wait.
func (p *play) goOn(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(p.in, "go on\n"); err != nil {
		t.Fatal(err)
	}
}

// said waits for the next line.
func (p *play) said(t *testing.T, want string) {
	t.Helper()
	if !p.lines.Scan() || p.lines.Text() != want {
		t.Fatalf("got line %q, %v, want %q", p.lines.Text(), p.lines.Err(), want)
	}
}

func newReader(t *testing.T, list func() []Target) *Reader {
	t.Helper()
	r, err := New(Options{List: list, Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sample takes a sample of the only target, which must be there.
func sample(t *testing.T, r *Reader) map[metric.ID]float64 {
	t.Helper()
	groups, gaps := r.Read(time.Now())
	if len(groups) != 1 || len(gaps) != 0 {
		t.Fatalf("got groups %+v, gaps %+v", groups, gaps)
	}
	out := map[metric.ID]float64{}
	for _, p := range groups[0].Points {
		out[p.ID] = p.V
	}
	return out
}

func one(p *play, e *metric.Entity) func() []Target {
	return func() []Target { return []Target{p.target(e)} }
}

// What a process alone has started is not its own: neither what runs, nor what ended and was waited for.
func TestAlone(t *testing.T) {
	p := start(t, `(`+burn+` exit 0); sleep 600 & echo waited; wait`)
	e := &metric.Entity{Container: "a"}
	alone, whole := p.target(e), p.target(e)
	alone.Alone = true
	p.said(t, "waited")
	own, both := newReader(t, func() []Target { return []Target{alone} }), newReader(t, func() []Target { return []Target{whole} })
	got, all := sample(t, own), sample(t, both)
	for end := time.Now().Add(time.Minute); all[metric.MemoryRSS] <= got[metric.MemoryRSS] && time.Now().Before(end); time.Sleep(time.Millisecond) {
		got, all = sample(t, own), sample(t, both) // a process that has just been made has no memory of its own yet
	}
	if got[metric.Processes] != 1 || all[metric.Processes] != 2 {
		t.Errorf("got %v processes alone and %v in all, want 1 and 2", got[metric.Processes], all[metric.Processes])
	}
	if all[metric.CPUUsage] < 0.05 || got[metric.CPUUsage] > all[metric.CPUUsage]/2 {
		t.Errorf("got %v s alone, and %v s in all", got[metric.CPUUsage], all[metric.CPUUsage])
	}
	if m := got[metric.MemoryRSS]; m <= 0 || m >= all[metric.MemoryRSS] {
		t.Errorf("got %v bytes alone, and %v in all", m, all[metric.MemoryRSS])
	}
}

// A child that works, ends and was waited for: its time is in the sum before and after.
func TestChildIsWaitedFor(t *testing.T) {
	p := start(t, `(`+burn+` echo busy; read x </dev/null; exit 0); echo waited; sleep 600`)
	r := newReader(t, one(p, &metric.Entity{Container: "a"}))
	p.said(t, "busy")
	before := sample(t, r)
	p.said(t, "waited")
	after := sample(t, r)
	if before[metric.CPUUsage] < 0.05 {
		t.Errorf("before: got %v", before)
	}
	if d := after[metric.CPUUsage] - before[metric.CPUUsage]; d < 0 || d > 0.1 {
		t.Errorf("after: got %v s more", d)
	}
	if got := after[metric.CPUUser] + after[metric.CPUSystem]; math.Abs(got-after[metric.CPUUsage]) > 1e-9 {
		t.Errorf("user and system: got %v, want %v", got, after[metric.CPUUsage])
	}
	if after[metric.MemoryRSS] <= 0 || after[metric.MemoryRSS] != after[metric.MemoryWorkingSet] {
		t.Errorf("memory: got %v", after)
	}
	if got := time.Unix(0, int64(after[metric.StartTime]*1e9)).Sub(p.start).Abs(); got > time.Second {
		t.Errorf("start: %v off", got)
	}
}

// A grandchild whose parent ended belongs to init, and its time goes there: it stays a member by its process group, and
// what it used stays in the sum when it ends.
func TestOrphan(t *testing.T) {
	p := start(t, `exec 3<&0; ( (`+burn+` echo busy; read x <&3; kill -9 $(exec sh -c 'echo $PPID')) & ); echo left; sleep 600`)
	r := newReader(t, one(p, &metric.Entity{Container: "a"}))
	p.said(t, "left")
	if got := sample(t, r)[metric.Processes]; got < 2 {
		t.Errorf("processes: got %v, want the orphan too", got)
	}
	p.said(t, "busy")
	before := sample(t, r)
	if before[metric.CPUUsage] < 0.05 {
		t.Errorf("before: got %v", before)
	}
	p.goOn(t)
	after := untilProcesses(t, r, 2) // the shell and its sleep
	if after[metric.CPUUsage] < before[metric.CPUUsage] {
		t.Errorf("CPU time went back from %v to %v", before[metric.CPUUsage], after[metric.CPUUsage])
	}
}

// untilProcesses reads until there are so many processes, and twice more; the CPU time must never go back.
func untilProcesses(t *testing.T, r *Reader, n float64) map[metric.ID]float64 {
	t.Helper()
	last, more := 0.0, 0
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		v := sample(t, r)
		if v[metric.CPUUsage] < last {
			t.Errorf("CPU time went back from %v to %v", last, v[metric.CPUUsage])
		}
		last = v[metric.CPUUsage]
		if v[metric.Processes] == n {
			more++
		}
		if more == 3 {
			return v
		}
	}
	t.Fatalf("never %v processes", n)
	return nil
}

// A parent that ignores SIGCHLD is not given its children's time.
func TestChildIsIgnored(t *testing.T) {
	if _, err := exec.LookPath("perl"); err != nil {
		t.Skip("needs perl: install Debian's perl-base")
	}
	p := start(t, `exec perl -e '$|=1; $SIG{CHLD}="IGNORE"; if (!fork) { for ($i=0;$i<10000000;$i++) {} print "busy\n"; <STDIN>; exit } sleep 60 while 1'`)
	r := newReader(t, one(p, &metric.Entity{Container: "a"}))
	p.said(t, "busy")
	before := sample(t, r)
	p.goOn(t)
	after := untilProcesses(t, r, 1)
	if before[metric.CPUUsage] < 0.05 || after[metric.CPUUsage] < before[metric.CPUUsage] {
		t.Errorf("CPU time: got %v, then %v", before[metric.CPUUsage], after[metric.CPUUsage])
	}
}

// Many short children: the kernel's own account is the truth, and the reader agrees at the end.
func TestManyChildren(t *testing.T) {
	p := start(t, `for n in 1 2 3 4 5 6 7 8; do for m in 1 2 3 4 5; do (i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done) & done; wait; done; echo done; sleep 600`)
	r := newReader(t, one(p, &metric.Entity{Container: "a"}))
	untilProcesses(t, r, 2)
	p.said(t, "done")
	got := untilProcesses(t, r, 2)
	x := newTable("/proc")
	s, why := x.stat(p.cmd.Process.Pid)
	if why != "" {
		t.Fatal(why)
	}
	want := float64(s.user+s.system+s.child.user+s.child.system) / 100
	if d := got[metric.CPUUsage] - want; d < -0.02 || d > 0.05 { // the sleep's own time is not in the shell's account
		t.Errorf("CPU time: got %v, want %v", got[metric.CPUUsage], want)
	}
	t.Logf("CPU time %v s, the kernel says %v s", got[metric.CPUUsage], want)
}

func TestGone(t *testing.T) {
	e := &metric.Entity{Container: "a"}
	var target Target
	r := newReader(t, func() []Target { return []Target{target} })
	f := func(want string) {
		t.Helper()
		groups, gaps := r.Read(time.Now())
		if len(groups) != 0 || len(gaps) != 1 || gaps[0].Reason != "gone" || gaps[0].Entity != e || !strings.Contains(gaps[0].Detail, want) {
			t.Errorf("got %+v, %+v, want %q", groups, gaps, want)
		}
	}
	target = Target{Entity: e}
	f("no process")
	p := start(t, "sleep 600")
	target = Target{Entity: e, PID: p.cmd.Process.Pid, Start: p.start.Add(-time.Minute)}
	f("is another one")
	target.Start = p.start
	sample(t, r)
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	f("has ended")
	if got := testutil.ToFloat64(r.dropped.WithLabelValues("gone")); got != 3 {
		t.Errorf("dropped: got %v, want 3", got)
	}
}

// A PID that is used again is another process, with and without a start that the caller knows.
func TestReuse(t *testing.T) {
	p := start(t, "sleep 600")
	e := &metric.Entity{Container: "a"}
	target := Target{Entity: e, PID: p.cmd.Process.Pid}
	r := newReader(t, func() []Target { return []Target{target} })
	sample(t, r)
	r.trees[e].root.start-- // as if the one seen before had been another
	for range 2 {
		if groups, gaps := r.Read(time.Now()); len(groups) != 0 || len(gaps) != 1 || gaps[0].Reason != "gone" {
			t.Errorf("got %+v, %+v", groups, gaps)
		}
	}
	target.Start = p.start // the caller has started it anew
	sample(t, r)
}

func TestClockStep(t *testing.T) {
	p := start(t, "sleep 600")
	r := newReader(t, one(p, &metric.Entity{Container: "a"}))
	now := time.Now().Round(0)
	r.Read(now)
	if groups, gaps := r.Read(now.Add(-time.Hour)); len(groups) != 0 || len(gaps) != 1 || gaps[0].Reason != "clock" {
		t.Errorf("got %+v, %+v", groups, gaps)
	}
	if groups, gaps := r.Read(now.Add(-time.Hour + time.Second)); len(groups) != 1 || len(gaps) != 0 {
		t.Errorf("got %+v, %+v", groups, gaps)
	}
}

func TestNoProc(t *testing.T) {
	r, err := New(Options{proc: t.TempDir(), List: func() []Target { return []Target{{Entity: &metric.Entity{}, PID: 1}} }})
	if err != nil {
		t.Fatal(err)
	}
	if groups, gaps := r.Read(time.Now()); len(groups) != 0 || len(gaps) != 1 || gaps[0].Reason != "gone" {
		t.Errorf("got %+v, %+v", groups, gaps)
	}
}

func TestOptions(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("no list: got no error")
	}
	reg := prometheus.NewRegistry()
	o := Options{List: func() []Target { return nil }, Registerer: reg}
	if _, err := New(o); err != nil {
		t.Fatal(err)
	}
	if _, err := New(o); err == nil {
		t.Error("registered twice: got no error")
	}
}

func BenchmarkRead(b *testing.B) {
	e := &metric.Entity{}
	r, err := New(Options{List: func() []Target { return []Target{{Entity: e, PID: os.Getpid()}} }})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r.Read(time.Now())
	}
	b.ReportMetric(float64(len(r.table.list)), "processes")
}
