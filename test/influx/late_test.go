package influx_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/queue"
	"plimsoll.dev/plimsoll/internal/store/influx"
	"plimsoll.dev/plimsoll/test/influx/influxtest"
)

// product builds the real plimsoll, once, and returns its path.
func product(t *testing.T) string {
	t.Helper()
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// built is removed by TestMain.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "plimsoll-product-")
	if err != nil {
		return "", err
	}
	products = dir
	bin := filepath.Join(dir, "plimsoll")
	build := exec.Command("go", "build", "-o", bin, "./cmd/plimsoll")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build plimsoll: %w\n%s", err, out)
	}
	return bin, nil
})

// products is the folder that built made, "" if it did not run.
var products string

// process is a running plimsoll.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	ended chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// Write takes what the process says.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

// said is what the process has said so far.
func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.CommandContext(t.Context(), product(t), args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = p, p, t.TempDir()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(p.kill)
	return p
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	select {
	case <-p.ended:
	default:
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// until waits for something that must come to be while the process runs.
func (p *process) until(what string, f func() error) {
	p.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-p.ended:
			p.t.Fatalf("%s ended before %s:\n%s", p.cmd.Args[1], what, p.said())
		default:
		}
		if time.Now().After(deadline) {
			p.kill()
			p.t.Fatalf("not within two minutes: %s: %v\n%s", what, err, p.said())
		}
	}
}

// lateData is two hours of the past: of the first, half of the points came in time and are rolled up; of the second none.
type lateData struct {
	s      *influxtest.Server
	bucket string
	hours  [2]time.Time
	es     []*metric.Entity
}

func newLateData(s *influxtest.Server, bucket string) *lateData {
	d := &lateData{s: s, bucket: bucket}
	day := time.Now().Add(-30 * time.Hour).Truncate(24 * time.Hour) // yesterday, or the day before
	d.hours = [2]time.Time{day.Add(3 * time.Hour), day.Add(4 * time.Hour)}
	d.es = []*metric.Entity{{Level: metric.Node, Node: "late"}, {Level: metric.Container, Node: "late", Namespace: "d", Pod: "p", Container: "c"}}
	return d
}

// batch is the points of a minute: the memory is the minute's number, from 0 to 119.
func (d *lateData) batch(minute int) *metric.Batch {
	at := d.hours[0].Add(time.Duration(minute) * time.Minute)
	b := &metric.Batch{Node: "late", Time: at}
	for _, e := range d.es {
		b.Groups = append(b.Groups, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: float64(minute)}}})
	}
	return b
}

// inTime writes the first half of the first hour, and rolls it up as the server does.
func (d *lateData) inTime(t *testing.T) {
	t.Helper()
	e, err := influx.NewEncoder(influx.EncoderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var lines []byte
	for m := range 30 {
		lines, _ = e.Encode(lines, d.batch(m), time.Now())
	}
	if w := write(t, d.s.Conn(d.bucket), nil, string(lines)); !w.done {
		t.Fatal(w.conditions)
	}
	if err := newSetup(t, influx.SetupOptions{Conn: d.s.Conn(d.bucket)}).Backfill(t.Context(), d.hours[0], d.hours[0]); err != nil {
		t.Fatal(err)
	}
	if err := d.rolled([]float64{30}, 14.5, 29); err != nil {
		t.Fatalf("in time: %v", err)
	}
}

// backlog puts the rest of both hours into a collector's queue.
func (d *lateData) backlog(t *testing.T, dir string) {
	t.Helper()
	q, err := queue.Open(queue.Options{Dir: filepath.Join(dir, "queue", "influx")})
	if err != nil {
		t.Fatal(err)
	}
	sink, err := influx.NewSink(influx.SinkOptions{Queue: influx.OnQueue(q)})
	if err != nil {
		t.Fatal(err)
	}
	for m := 30; m < 120; m++ {
		if err := sink.Append(t.Context(), d.batch(m)); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
}

// stored says whether all raw points are there.
func (d *lateData) stored() error {
	got := d.s.Query(d.bucket, `SELECT COUNT(memory_working_set_bytes) FROM node WHERE node='late'`)
	if len(got) != 1 || got[0].Values[0][1] != 120.0 {
		return fmt.Errorf("raw points: got %v, want 120", got)
	}
	return nil
}

// rolled says whether the hours have so many points each, and the day their sum, with this mean and this greatest.
func (d *lateData) rolled(counts []float64, mean, greatest float64) error {
	place := influx.PlaceOf(d.bucket, d.s.Major)
	var errs []error
	for _, l := range []metric.Level{metric.Node, metric.Container} {
		read := func(r influx.RollUp) (counts []float64, last []any) {
			q := "SELECT count_memory_working_set_bytes, mean_memory_working_set_bytes, max_memory_working_set_bytes, p95_memory_working_set_bytes FROM " +
				place.From(l, r) + " WHERE node='late'"
			for _, s := range d.s.Query(d.bucket, q) {
				for _, row := range s.Values {
					n, _ := row[1].(float64)
					counts, last = append(counts, n), row
				}
			}
			return counts, last
		}
		hours, _ := read(influx.Hour)
		if !slices.Equal(hours, counts) {
			errs = append(errs, fmt.Errorf("%v: points of the hours: got %v, want %v", l, hours, counts))
		}
		sum := 0.0
		for _, n := range counts {
			sum += n
		}
		days, row := read(influx.Day)
		if len(days) != 1 || days[0] != sum || row[2] != mean || row[3] != greatest {
			errs = append(errs, fmt.Errorf("%v: the day: got %v (count, mean, max, p95), want %g, %g, %g", l, row, sum, mean, greatest))
		}
	}
	return errors.Join(errs...)
}

// complete says whether everything is rolled up, and nothing is yet.
func (d *lateData) complete() error { return d.rolled([]float64{60, 60}, 59.5, 119) }

// TestLateRollUps runs the real collector and server after an outage that the server's own roll-ups have passed by. What comes late is
// rolled up without help: by a collector without a server, by one that was killed before it could, and by a server
// whose collectors may not.
func TestLateRollUps(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		collector := func(t *testing.T, url, bucket, token, dir string, more ...string) *process {
			args := []string{"collector", "--influx-url", url, "--influx-bucket", bucket, "--node", "n", "--queue", dir, "--listen", "127.0.0.1:0"}
			return start(t, append(append(args, credentials(s, token)...), more...)...)
		}
		t.Run("alone", func(t *testing.T) {
			d, dir, road := newLateData(s, "alone"), t.TempDir(), newRoad(t, s.URL)
			s.SetUp("alone", 0)
			d.inTime(t)
			d.backlog(t, dir)
			road.put(away)
			p := collector(t, road.URL, "alone", s.Token, dir, "--influx-late-quiet", "1s")
			p.until("a request met the outage", func() error {
				if road.hits.Load() == 0 {
					return errors.New("none")
				}
				return nil
			})
			road.put(open)
			p.until("late data is rolled up", d.complete)
			p.kill()
			if !strings.Contains(p.said(), "rolling up what came late") {
				t.Errorf("what the collector itself sent was left to the look for gaps:\n%s", p.said())
			}
		})
		t.Run("killed", func(t *testing.T) {
			d, dir := newLateData(s, "killed"), t.TempDir()
			s.SetUp("killed", 0)
			d.inTime(t)
			d.backlog(t, dir)
			p := collector(t, s.URL, "killed", s.Token, dir) // ten minutes of quiet
			p.until("late data is stored", d.stored)
			p.kill()
			if err := d.rolled([]float64{30}, 14.5, 29); err != nil {
				t.Fatalf("before its time: %v", err)
			}
			p = collector(t, s.URL, "killed", s.Token, dir, "--influx-late-quiet", "1s")
			p.until("late data is rolled up", d.complete)
		})
		t.Run("server", func(t *testing.T) {
			d, dir := newLateData(s, "pair"), t.TempDir()
			tokens := map[string]string{"collector": s.Token, "server": s.Token}
			_, result, err := newSetup(t, influx.SetupOptions{Conn: s.Conn("pair"), Tokens: true}).Apply(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, token := range result.Tokens {
				tokens[token.Role] = token.Value
			}
			d.inTime(t)
			d.backlog(t, dir)
			server := start(t, append([]string{"server", "--influx-url", s.URL, "--influx-bucket", "pair", "--listen", "127.0.0.1:0", "--influx-late-quiet", "1s"},
				credentials(s, tokens["server"])...)...)
			p := collector(t, s.URL, "pair", tokens["collector"], dir, "--server", "http://127.0.0.1:1", "--influx-late-quiet", "1s")
			p.until("late data is stored", d.stored)
			server.until("late data is rolled up", d.complete)
			p.kill()
			if strings.Contains(p.said(), "rolling up") {
				t.Errorf("the collector rolls up though there is a server:\n%s", p.said())
			}
		})
	})
}

// credentials are the flags for a server that wants a token.
func credentials(s *influxtest.Server, token string) []string {
	if s.Major == 1 {
		return nil
	}
	return []string{"--influx-org", s.Org, "--influx-token-file", s.TokenFile(token)}
}
