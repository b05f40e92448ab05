package influx_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/test/influx/influxtest"
)

// crash is one thing that is done to a collector, its server, or the way between them.
type crash struct {
	name, done string
	run        func(r *rig)
	alone      bool // needs a server of its own
	ours       bool // means nothing to the client's buffer
	client     bool // worth its time in the short run, too
	unscaled   bool // nothing is waited for that would have to be scaled
}

func crashes(rounds int) []crash {
	status := func(code int, message string) func(r *rig) {
		return func(r *rig) { r.under(refusing(code, message), 2*time.Second) }
	}
	return []crash{
		{name: "control", done: "nothing, for 4 s", client: true, run: func(r *rig) { r.start(); time.Sleep(4 * time.Second); r.stop() }},
		{name: "kill9", done: fmt.Sprintf("%d kill -9 of the writing process at random moments, restarted on the same queue", rounds), client: true, unscaled: true,
			run: func(r *rig) { r.rounds(rounds) }},
		{name: "serverkill", done: "5 kill -9 of the server while it is written to", alone: true, run: serverKills},
		{name: "outage", done: "the server away for 6 s, all waits at 1:100 (10 minutes)", client: true, run: func(r *rig) { r.under(away, 6*time.Second) }},
		{name: "flapping", done: "a third of the requests and a third of the answers cut, for 5 s", client: true, run: func(r *rig) { r.under(flapping, 5*time.Second) }},
		{name: "drip", done: "the server answers one byte a second, for 5 s", run: func(r *rig) { r.under(dripping, 5*time.Second) }},
		{name: "s401", done: "401 for 2 s, then healed", run: func(r *rig) { r.blocked(http.StatusUnauthorized, "unauthorized access") }},
		{name: "s404", done: "404 for 2 s, then healed", run: func(r *rig) { r.blocked(http.StatusNotFound, "database not found") }},
		{name: "s413", done: "413 for requests over 1 KiB for 2 s, after 1.5 s away", run: tooLarge},
		{name: "s429", done: "429 with Retry-After for 2 s", run: status(http.StatusTooManyRequests, "slow down")},
		{name: "s500", done: "500 for 2 s", run: status(http.StatusInternalServerError, "engine is closed")},
		{name: "diskfull", done: "a disk with 1 MiB to spare under the queue runs full while the server is away", ours: true, run: diskFull},
	}
}

// serverKills kills the server five times while it is written to.
func serverKills(r *rig) {
	r.start()
	for range 5 {
		r.live(300*time.Millisecond, 900*time.Millisecond)
		r.server.Kill()
		r.live(100*time.Millisecond, 300*time.Millisecond)
		r.server.Start()
	}
	r.stop()
}

// blocked gives an answer for which a person has to act, after which the writer tries again only every 30 to 60 s: the full
// run waits for that, the short one starts the child anew.
func (r *rig) blocked(code int, message string) {
	if r.full || r.role.Client {
		r.under(refusing(code, message), 2*time.Second)
		return
	}
	r.road.put(refusing(code, message))
	r.start()
	time.Sleep(2 * time.Second)
	r.kill()
	r.road.put(open)
	r.start()
	r.stop()
}

// tooLarge lets a backlog grow, whose requests are then too large.
func tooLarge(r *rig) {
	r.begin()
	r.road.put(away)
	time.Sleep(1500 * time.Millisecond)
	var large atomic.Bool
	r.road.put(func(w http.ResponseWriter, q *http.Request, forward http.Handler) bool {
		refused := narrow(w, q, forward)
		if refused {
			large.Store(true)
		}
		return refused
	})
	time.Sleep(2 * time.Second)
	r.until("a request is too large", large.Load)
	r.road.put(open)
	time.Sleep(700 * time.Millisecond)
	r.stop()
}

// diskFull fills a small disk. What is refused is an error to the caller; what was acknowledged before arrives.
func diskFull(r *rig) {
	if os.Getuid() != 0 {
		r.t.Skip("needs root: a small disk is mounted")
	}
	disk := r.t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=33m"); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	r.role.Dir, r.role.Tiny, r.role.Pace = disk+"/queue", true, 20*time.Microsecond
	r.begin()
	r.road.put(away)
	r.until("the disk runs full", func() bool { return r.refuses.Load() >= 1000 })
	full := r.newest.Load()
	r.road.put(open)
	r.until("batches are taken again when the disk has room", func() bool { return r.newest.Load() > full+100 })
	r.stop()
}

// crashRow is a line of the table.
type crashRow struct {
	name, done           string
	acked, refused, lost int // points
	sent, clientLost     int
	ran, clientRan       bool
}

// TestCrash does to a collector's way into a real InfluxDB what can be done to it. Every point that was acknowledged must be there
// in the end, with its value. PLIMSOLL_CRASH=full has 50 rounds instead of 10, InfluxDB 2.7 as well, and the client's own
// asynchronous API under the same faults.
func TestCrash(t *testing.T) {
	t.Parallel() // both mostly wait
	full := os.Getenv("PLIMSOLL_CRASH") == "full"
	rounds := 10
	if full {
		rounds = 50
	}
	shared := influxtest.Start18(t)
	ready(shared)
	list := crashes(rounds)
	rows := make([]crashRow, len(list))
	width := make(chan struct{}, 5) // as many at once as two cores bear
	t.Run("faults", func(t *testing.T) {
		var wg sync.WaitGroup
		for i, c := range list {
			rows[i].name, rows[i].done = c.name, c.done
			for _, client := range []bool{false, true} {
				if client && (c.ours || !full && !c.client) {
					continue
				}
				wg.Go(func() {
					width <- struct{}{}
					defer func() { <-width }()
					c.on(t, shared, &rows[i], client, full)
				})
			}
		}
		wg.Wait()
	})
	if full {
		t.Run("2.7", func(t *testing.T) {
			c := crash{name: "kill9", unscaled: true, run: func(r *rig) { r.rounds(10) }}
			row := crashRow{name: "kill9 on 2.7", done: "10 kill -9 of the writing process, InfluxDB 2.7"}
			c.on(t, influxtest.Start2(t), &row, false, full)
			rows = append(rows, row)
		})
	}
	t.Log("\n" + crashTable(rows))
}

// on runs the crash as a subtest and fills its row.
func (c crash) on(t *testing.T, s *influxtest.Server, row *crashRow, client, full bool) {
	name := c.name
	if client {
		name += "-client"
	}
	t.Run(name, func(t *testing.T) {
		if c.alone {
			s = influxtest.Start18(t)
			ready(s)
		}
		r := newRig(t, s, name, client)
		r.full = full
		if c.unscaled {
			r.role.Scale = 1
		}
		c.run(r)
		lost := r.lost()
		if len(r.acked) == 0 {
			t.Error("nothing was acknowledged: the child did nothing")
		}
		if client {
			row.sent, row.clientLost, row.clientRan = len(r.acked)*crashWidth, lost, true
			return
		}
		row.acked, row.refused, row.lost, row.ran = len(r.acked)*crashWidth, r.refused*crashWidth, lost, true
		t.Logf("%d points acknowledged, %d refused, %d lost", row.acked, row.refused, lost)
	})
}

// crashTable renders the rows in Markdown.
func crashTable(rows []crashRow) string {
	var b strings.Builder
	b.WriteString("| What was done | Acknowledged | Refused | Lost | Client: sent | Client: lost |\n|---|---:|---:|---:|---:|---:|\n")
	for _, r := range rows {
		if !r.ran {
			continue
		}
		client := " | "
		if r.clientRan && r.sent > 0 {
			client = fmt.Sprintf("%d | %d (%.1f %%)", r.sent, r.clientLost, 100*float64(r.clientLost)/float64(r.sent))
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %s |\n", r.done, r.acked, r.refused, r.lost, client)
	}
	return b.String()
}
