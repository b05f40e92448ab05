package influx_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/queue"
	"plimsoll.dev/plimsoll/internal/store/influx"
	"plimsoll.dev/plimsoll/test/influx/influxtest"
)

// TestCrashCollector kills the real "plimsoll collector" at random moments and starts it again on the same queue. After each kill
// everything that the queue's segments hold, delivered or not, is copied into a second database, the witness. In the end each field
// of the witness must be in the first database, with its value.
func TestCrashCollector(t *testing.T) {
	t.Parallel() // both mostly wait
	both(t, func(t *testing.T, s *influxtest.Server) {
		full := os.Getenv("PLIMSOLL_CRASH") == "full"
		rounds := map[int]map[bool]int{1: {false: 10, true: 50}, 2: {false: 4, true: 10}}[s.Major][full]
		ready(s)
		c := &killedCollector{t: t, server: s, road: newRoad(t, s.URL), bin: product(t), dir: t.TempDir()}
		c.makeWitness()
		for i := range rounds {
			if i%4 == 3 { // with the server away, so that a backlog outlives its process
				c.road.put(away)
			}
			c.live(i)
			c.road.put(open)
			c.witness()
		}
		c.drain()
		points, lost := c.compare()
		on := map[int]string{1: "", 2: ", InfluxDB 2.7"}[s.Major]
		t.Logf("\n| %d kill -9 of `plimsoll collector` at random moments, restarted on the same queue%s | %d fields | 0 | %d | | |", rounds, on, points, lost)
		if points == 0 {
			t.Error("the collector queued nothing")
		}
	})
}

// killedCollector is a collector that is killed, and what its queue held.
type killedCollector struct {
	t        *testing.T
	server   *influxtest.Server
	road     *road
	bin, dir string
}

// live runs the collector for a random time and kills it.
func (c *killedCollector) live(round int) {
	c.t.Helper()
	args := []string{"collector", "--influx-url", c.road.URL, "--influx-bucket", "plimsoll", "--node", "n", "--queue", c.dir,
		"--interval", "1s", "--queue-sync", fmt.Sprintf("%ds", round%2), "--listen", "127.0.0.1:0"}
	cmd := exec.CommandContext(c.t.Context(), c.bin, append(args, credentials(c.server, c.server.Token)...)...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	select {
	case <-ended:
		c.t.Fatalf("the collector ended by itself:\n%s", log.String())
	case <-time.After(100*time.Millisecond + rand.N(2200*time.Millisecond)):
	}
	_ = cmd.Process.Kill()
	<-ended
}

// queue is the folder below --queue that the collector made its queue in: the one with a lock.
func (c *killedCollector) queue() string {
	c.t.Helper()
	dir := ""
	err := filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "lock" {
			if dir != "" {
				return fmt.Errorf("two queues: %q and %q", dir, path)
			}
			dir = filepath.Dir(path)
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return dir
}

// witness writes what the queue's segments hold into the second database. A copy without the cursor gives out everything.
func (c *killedCollector) witness() {
	c.t.Helper()
	if c.queue() == "" {
		return // killed before it had one
	}
	copied := c.t.TempDir()
	files, err := filepath.Glob(filepath.Join(c.queue(), "*.seg"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			c.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, filepath.Base(f)), b, 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
	q, err := queue.Open(queue.Options{Dir: copied, SyncEvery: time.Second})
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	if st := q.Stats(); st.SetAside > 0 {
		c.t.Errorf("the killed queue was damaged: %+v", st)
	}
	for q.Stats().Records > 0 {
		b, err := q.Backlog(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		var lines []byte
		for _, r := range b.Records {
			lines = append(lines, r.Data...)
		}
		c.post(lines)
		b.Ack()
	}
}

// makeWitness makes the second database.
func (c *killedCollector) makeWitness() {
	c.t.Helper()
	if c.server.Major == 1 {
		c.server.Query("", `CREATE DATABASE "witness"`)
		return
	}
	var orgs struct{ Orgs []struct{ ID string } }
	c.server.JSON(http.MethodGet, "/api/v2/orgs?org="+c.server.Org, nil, &orgs)
	c.server.JSON(http.MethodPost, "/api/v2/buckets", map[string]any{"name": "witness", "orgID": orgs.Orgs[0].ID, "retentionRules": []any{}}, nil)
}

// post writes lines into the second database without any of the code under test.
func (c *killedCollector) post(lines []byte) {
	c.t.Helper()
	to := c.server.URL + "/write?db=witness&precision=ms"
	if c.server.Major == 2 {
		to = c.server.URL + "/api/v2/write?org=" + c.server.Org + "&bucket=witness&precision=ms"
	}
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, to, bytes.NewReader(lines))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.server.Token != "" {
		r.Header.Set("Authorization", "Token "+c.server.Token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		c.t.Fatalf("the witness does not take the lines: %s", resp.Status)
	}
}

// drain sends what is left in the queue, by the code that the collector has for it.
func (c *killedCollector) drain() {
	c.t.Helper()
	q, err := queue.Open(queue.Options{Dir: c.queue(), SyncEvery: time.Second})
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	d := influx.OnQueue(q)
	w, err := influx.NewWriter(influx.WriterOptions{Conn: c.server.Conn("plimsoll"), Lanes: d.Lanes(), DeadLetters: d})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Minute)
	ended := make(chan struct{})
	go func() { _ = w.Run(ctx); close(ended) }()
	for q.Stats().Records > 0 && ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
	}
	cancel()
	<-ended
	if st := q.Stats(); st.Records > 0 || st.Dead.Records > 0 {
		c.t.Errorf("the queue is not drained: %+v, %+v", st, w.Conditions())
	}
}

// compare counts the witness's fields and those of them that the first database does not have, or has with another value.
func (c *killedCollector) compare() (fields, lost int) {
	c.t.Helper()
	for _, m := range c.server.Query("witness", `SHOW MEASUREMENTS`) {
		for _, v := range m.Values {
			have, want := c.fields("plimsoll", v[0]), c.fields("witness", v[0])
			fields += len(want)
			for k, value := range want {
				if got, ok := have[k]; !ok || got != value {
					if lost++; lost <= 5 {
						c.t.Errorf("%s: got %v, want %v", k, got, value)
					}
				}
			}
		}
	}
	return fields, lost
}

// fields returns each value of a measurement by series, time and field.
func (c *killedCollector) fields(db string, measurement any) map[string]any {
	c.t.Helper()
	out := map[string]any{}
	for _, s := range c.server.Query(db, fmt.Sprintf(`SELECT * FROM "%v" GROUP BY *`, measurement)) {
		var tags []string
		for k, v := range s.Tags {
			tags = append(tags, k+"="+v)
		}
		sort.Strings(tags)
		for _, row := range s.Values {
			for i := 1; i < len(row); i++ {
				if row[i] != nil {
					out[fmt.Sprintf("%v %s %.0f %s", measurement, strings.Join(tags, ","), row[0], s.Columns[i])] = row[i]
				}
			}
		}
	}
	return out
}
