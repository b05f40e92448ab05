package influx_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/test/influx/influxtest"
)

// rig is a child under a fault, and what it acknowledged.
type rig struct {
	t      testing.TB
	server *influxtest.Server
	road   *road
	role   crashRole
	full   bool

	next    int
	acked   []int
	refused int
	newest  atomic.Int64 // the last of acked plus one
	refuses atomic.Int64 // refused, while the child still lives

	cmd     *exec.Cmd
	stdin   io.WriteCloser
	ended   chan struct{} // closed when the child's output has ended
	drained string
}

func newRig(t testing.TB, s *influxtest.Server, namespace string, client bool) *rig {
	p := newRoad(t, s.URL)
	bucket := s.Bucket
	if s.Major == 1 {
		bucket = "plimsoll"
	}
	return &rig{t: t, server: s, road: p, role: crashRole{URL: p.URL, Org: s.Org, Bucket: bucket, Token: s.Token, Client: client, Dir: t.TempDir() + "/queue",
		Namespace: namespace, Base: time.Now().Add(-time.Hour).Truncate(time.Second), Pace: 5 * time.Millisecond, Scale: 100, Sync: time.Second}}
}

// start starts the child, which appends from the next number on.
func (r *rig) start() {
	r.t.Helper()
	r.role.First = r.next
	role, err := json.Marshal(r.role)
	if err != nil {
		r.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	r.cmd = exec.CommandContext(r.t.Context(), self)
	r.cmd.Env = append(os.Environ(), crashEnv+"="+string(role))
	r.cmd.Stderr = os.Stderr
	if r.stdin, err = r.cmd.StdinPipe(); err != nil {
		r.t.Fatal(err)
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.drained, r.ended = "", make(chan struct{})
	go r.listen(out)
}

// listen notes what the child tells. Nobody else touches the notes until it has ended.
func (r *rig) listen(out io.Reader) {
	defer close(r.ended)
	for in := bufio.NewReader(out); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return // what was cut by the kill does not count as told
		}
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		n := 0
		_, _ = fmt.Sscan(rest, &n)
		switch word {
		case "a":
			r.acked, r.next = append(r.acked, n), n+1
			r.newest.Store(int64(n) + 1)
		case "r":
			r.refused, r.next = r.refused+1, n+1
			r.refuses.Add(1)
		case "drained":
			r.drained = "drained " + rest
		default:
			r.t.Errorf("child: %s", strings.TrimSpace(line))
		}
	}
}

// kill ends the child as kill -9 does.
func (r *rig) kill() {
	_ = r.cmd.Process.Kill()
	<-r.ended
	_ = r.cmd.Wait()
	_ = r.stdin.Close()
	r.next += 2 // the one after the last may have been appended and not told
}

// stop lets the child finish: it appends no more and ends when everything has gone.
func (r *rig) stop() {
	r.t.Helper()
	_, _ = io.WriteString(r.stdin, "stop\n")
	select {
	case <-r.ended:
	case <-time.After(5 * time.Minute):
		r.t.Errorf("the child was not drained within five minutes")
	}
	r.kill()
	switch {
	case r.role.Client:
	case r.drained != "drained dropped=0 dead=0 set_aside=0":
		r.t.Errorf("the child ended with %q", r.drained)
	}
}

// live lets the child live for a random time.
func (r *rig) live(least, most time.Duration) { time.Sleep(least + rand.N(most-least)) }

// rounds starts and kills the child so often.
func (r *rig) rounds(n int) {
	for i := range n {
		r.role.Sync = time.Duration(i%2) * time.Second
		if !r.role.Client && i%5 == 4 { // now and then with the server away, so that a backlog outlives its process
			r.road.put(away)
		}
		r.start()
		r.live(50*time.Millisecond, 1500*time.Millisecond)
		r.kill()
		r.road.put(open)
	}
	r.start()
	r.live(200*time.Millisecond, 300*time.Millisecond)
	r.stop()
}

// until waits for what a busy machine may take its time for.
func (r *rig) until(what string, f func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Errorf("not within two minutes: %s", what)
			return
		}
	}
}

// met waits until a request has met the fault.
func (r *rig) met() {
	r.t.Helper()
	r.until("a request meets the fault", func() bool { return r.road.hits.Load() > 0 })
}

// begin starts the child and waits until it appends.
func (r *rig) begin() {
	r.t.Helper()
	before := r.newest.Load()
	r.start()
	r.until("the child's first acknowledgement", func() bool { return r.newest.Load() > before })
	time.Sleep(500 * time.Millisecond)
}

// under runs the child, applies a treatment for a while, and lets it finish.
func (r *rig) under(treat treatment, long time.Duration) {
	r.t.Helper()
	r.begin()
	r.road.put(treat)
	time.Sleep(long)
	r.met()
	r.road.put(open)
	time.Sleep(700 * time.Millisecond)
	r.stop()
}

// lost looks for every acknowledged point by time and value, and returns how many are not there.
func (r *rig) lost() int {
	r.t.Helper()
	lost, wrong := 0, 0
	for c := range crashWidth {
		have := map[int]float64{}
		q := fmt.Sprintf(`SELECT cpu_usage_seconds_total FROM container WHERE namespace='%s' AND container='%s'`, r.role.Namespace, crashName(c))
		for _, s := range r.server.Query(r.role.Bucket, q) {
			for _, v := range s.Values {
				ms, _ := v[0].(float64)
				n := int(int64(ms) - r.role.Base.UnixMilli())
				have[n], _ = v[1].(float64)
				if have[n] != crashValue(n, c) {
					wrong++
				}
			}
		}
		for _, n := range r.acked {
			if _, ok := have[n]; !ok {
				if lost++; lost <= 3 && !r.role.Client {
					r.t.Errorf("point %d of %s was acknowledged and is lost", n, crashName(c))
				}
			}
		}
	}
	if wrong > 0 {
		r.t.Errorf("%d points have another value than was written", wrong)
	}
	if lost > 0 && !r.role.Client {
		r.t.Errorf("%d of %d acknowledged points are lost", lost, len(r.acked)*crashWidth)
	}
	return lost
}
