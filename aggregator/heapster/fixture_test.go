package heapster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store/tsdb"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	mib   = 1 << 20
	docID = "3f2a4b5c6d7e8f903f2a4b5c6d7e8f903f2a4b5c6d7e8f903f2a4b5c6d7e8f90"
)

// ware is one row of the fixture's entities: a gauge's value, or a counter's growth per second.
type ware struct {
	id  metric.ID
	sub string
	v   float64
}

type thing struct {
	e     metric.Entity
	age   time.Duration
	wares []ware
}

// machine is the fixture: one of each of Heapster's kinds.
func machine() []thing {
	c := func(ns, kind, workload, pod, name, runtime, id string, wares ...ware) thing {
		return thing{metric.Entity{Level: metric.Container, Node: "n1", Namespace: ns, WorkloadKind: kind, Workload: workload,
			Pod: pod, Container: name, Runtime: runtime, ID: id}, time.Hour, wares}
	}
	web := func(n string, cpu, ws float64) thing {
		return c("demo", "ProcessService", "web", "web-"+n, "web", "process", "/plimsoll-7/demo/web/web-"+n,
			ware{metric.CPUUsage, "", cpu}, ware{metric.MemoryWorkingSet, "", ws * mib}, ware{metric.MemoryUsage, "", (ws + 1) * mib},
			ware{metric.CPULimit, "", 1}, ware{metric.CPURequest, "", .25}, ware{metric.MemoryLimit, "", 64 * mib}, ware{metric.MemoryRequest, "", 32 * mib})
	}
	pg := c("docker", "Docker", "postgres", "postgres", "postgres", "docker", "/docker/"+docID,
		ware{metric.CPUUsage, "", .34}, ware{metric.MemoryWorkingSet, "", 1212 * mib}, ware{metric.MemoryUsage, "", 1300 * mib},
		ware{metric.MemoryRSS, "", 1100 * mib}, ware{metric.MemoryPageFaults, "", 12.5},
		ware{metric.NetworkReceive, "eth0", 1000}, ware{metric.NetworkReceive, "lo", 77}, ware{metric.NetworkTransmit, "eth0", 2500.5},
		ware{metric.DiskWrite, "8:0", 4096}, ware{metric.FilesystemUsage, "/dev/vda1", 5e9}, ware{metric.Restarts, "", 0})
	pg.e.Image = "postgres:16"
	return []thing{
		{metric.Entity{Level: metric.Node, Node: "n1", ID: "/"}, 24 * time.Hour, []ware{
			{metric.CPUUsage, "", 1.42}, {metric.MemoryWorkingSet, "", 3100 * mib}, {metric.MemoryUsage, "", 4096 * mib},
			{metric.CPUCapacity, "", 2}, {metric.MemoryCapacity, "", 8192 * mib}, {metric.CPUAllocatable, "", 2}, {metric.MemoryAllocatable, "", 8192 * mib},
			{metric.NetworkReceive, "eth0", 61e4}, {metric.NetworkReceive, "docker0", 5e5}, {metric.NetworkReceive, "eth1", 1e4},
			{metric.FilesystemLimit, "/dev/vda1", 100e9}, {metric.FilesystemUsage, "/dev/vda1", 20e9}, {metric.FilesystemUsage, "/dev/vdb", 45e9},
			{metric.DiskRead, "8:0", 2048.5}, {metric.DiskRead, "8:16", 10},
		}},
		c("cgroup", "Cgroup", "my", "my/batch", "batch", "cgroup", "/my/batch", ware{metric.CPUUsage, "", .01}),
		web("1", .5, 40), web("2", .25, 50),
		pg,
		c("system", "Unit", "ssh.service", "ssh.service", "ssh.service", "systemd", "/system.slice/ssh.service",
			ware{metric.CPUUsage, "", .02}, ware{metric.MemoryWorkingSet, "", 14 * mib}, ware{metric.MemoryUsage, "", 15 * mib}),
	}
}

// at is a row's value at a moment: a counter has grown since its entity's start.
func (t thing) at(w ware, start, when time.Time) float64 {
	if w.id == metric.Restarts || metric.Get(w.id).Kind == metric.Gauge {
		return w.v
	}
	return w.v * when.Sub(start).Seconds()
}

// snapshotOf is what the live picture shows of the things at a moment.
func snapshotOf(things []thing, began, now time.Time) *live.Snapshot {
	return shown(nil, now, batchOf(things, began, now.Add(-1300*time.Millisecond)), batchOf(things, began, now.Add(-300*time.Millisecond)))
}

// shown is what a live picture shows of batches.
func shown(pods cluster.Inventory, now time.Time, batches ...*metric.Batch) *live.Snapshot {
	p, err := live.New(live.Options{Inventory: pods})
	if err != nil {
		panic(err)
	}
	for _, b := range batches {
		if err := p.Apply(b); err != nil {
			panic(err)
		}
	}
	return p.Snapshot(now)
}

// batchOf is what the collector would send at a moment.
func batchOf(things []thing, began, when time.Time) *metric.Batch {
	b := &metric.Batch{Node: "n1", Time: when}
	for i := range things {
		th := &things[i]
		start := began.Add(-th.age)
		g := metric.Group{Entity: &th.e, Start: start}
		for _, w := range th.wares {
			g.Points = append(g.Points, metric.Point{ID: w.id, Sub: w.sub, T: when.UnixMilli(), V: th.at(w, start, when)})
		}
		g.Points = append(g.Points, metric.Point{ID: metric.StartTime, T: when.UnixMilli(), V: float64(start.UnixMilli()) / 1e3})
		b.Groups = append(b.Groups, g)
	}
	return b
}

// rig is the API over a real store that was filled until now, every 10 s with a little jitter.
type rig struct {
	http.Handler
	api *API
	db  *tsdb.DB
	now time.Time
}

// filled makes a rig with so much history up to now.
func filled(t *testing.T, now time.Time, past time.Duration, change func(*Options)) *rig {
	t.Helper()
	return filledWith(t, machine(), now, past, change)
}

func filledWith(t *testing.T, things []thing, now time.Time, past time.Duration, change func(*Options)) *rig {
	t.Helper()
	db, err := tsdb.Open(tsdb.Options{Dir: t.TempDir(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	began := now.Add(-past)
	for i, when := 0, began; !when.After(now); i, when = i+1, when.Add(10*time.Second) {
		if err := db.Append(context.Background(), batchOf(things, began, when.Add(time.Duration(i%5)*20*time.Millisecond-800*time.Millisecond))); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Pictures: fixed{snapshotOf(things, began, now)}, History: db, Registerer: prometheus.NewPedanticRegistry()}
	if change != nil {
		change(&o)
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{mount(a), a, db, now}
}

func (r *rig) close(t *testing.T) {
	if err := r.db.Close(); err != nil {
		t.Error(err)
	}
}

type fixed struct{ s *live.Snapshot }

func (f fixed) Snapshot(time.Time) *live.Snapshot { return f.s }

// mount serves the routes as the server does, with errors as status and text.
func mount(a *API) http.Handler {
	mux := http.NewServeMux()
	for _, r := range a.Routes() {
		mux.HandleFunc(r.Method+" "+r.Pattern, func(w http.ResponseWriter, req *http.Request) {
			err := r.Handle(w, req)
			if err == nil {
				return
			}
			status := http.StatusInternalServerError
			var s interface{ HTTPStatus() int }
			if errors.As(err, &s) {
				status = s.HTTPStatus()
			}
			http.Error(w, err.Error(), status)
		})
	}
	return mux
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
	return rec
}

// golden compares answers, each after its path, with a file.
func golden(t *testing.T, h http.Handler, name string, paths ...string) {
	t.Helper()
	var got bytes.Buffer
	for _, path := range paths {
		rec := get(h, path)
		got.WriteString("GET " + path + "\n")
		if rec.Code != 200 {
			t.Errorf("%s: got %d: %s", path, rec.Code, rec.Body)
			continue
		}
		if ct := rec.Header().Get("Content-Type"); ct != "application/json" {
			t.Errorf("%s: got type %q", path, ct)
		}
		if err := indent(&got, rec.Body.Bytes()); err != nil {
			t.Errorf("%s: %v in %s", path, err, rec.Body)
		}
		got.WriteString("\n")
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff.Diff(string(want), got.String()); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

// indent writes JSON with one line for each small thing.
func indent(to *bytes.Buffer, body []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(body), "", "  "); err != nil {
		return err
	}
	s := b.String()
	for _, open := range []string{"{\n", "[\n"} { // a small list or object on its own line
		for from := 0; ; {
			i := strings.Index(s[from:], open)
			if i < 0 {
				break
			}
			i += from
			end := strings.IndexAny(s[i+1:], "{}[]")
			if end < 0 || !strings.ContainsRune("}]", rune(s[i+1+end])) || strings.Count(s[i:i+1+end], "\n") > 5 {
				from = i + 1
				continue
			}
			flat := strings.Join(strings.Fields(s[i:i+1+end+1]), " ")
			s = s[:i] + flat + s[i+1+end+1:]
			from = i + 1
		}
	}
	to.WriteString(s)
	return nil
}
