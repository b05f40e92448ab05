package influx_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/capacity"
	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store/influx"
	"plimsoll.dev/plimsoll/internal/store/remote"
	"plimsoll.dev/plimsoll/test/influx/influxtest"
)

const (
	gib       = float64(1 << 30)
	pastDays  = 20
	pastEvery = 2 * time.Minute
)

// TestReports writes the same twenty made days to the embedded store, InfluxDB 1.8 and InfluxDB 2.7, and asks a real "plimsoll server" on
// each for every report with the real command line. All must say what was put in, and the same.
func TestReports(t *testing.T) {
	// Sums of the last two minutes would be taken for what somebody sends of the present.
	p := newPast(time.Now().UTC().Add(-2 * time.Minute).Truncate(time.Hour))
	began := time.Now()
	stores := []*reporter{newReporter(t, "embedded")}
	p.toEmbedded(t, stores[0])
	t.Logf("embedded: written in %s", time.Since(began).Round(time.Millisecond))
	for _, x := range []struct {
		name   string
		start  func(testing.TB, ...influxtest.Options) *influxtest.Server
		rolled int // days
	}{{"1.8", influxtest.Start18, pastDays}, {"2.7", influxtest.Start2, 3}} { // Flux takes long to roll up; what is not is read from the raw points
		t.Run(x.name, func(t *testing.T) { // a missing 2.7 skips itself alone
			s := x.start(t)
			p.toInflux(t, s, x.rolled)
			r := newReporter(t, x.name, append([]string{"--influx-url", s.URL, "--influx-bucket", "reports"}, credentials(s, s.Token)...)...)
			for _, r := range []*reporter{stores[0], r} {
				p.live(t, r)
			}
			want, got := stores[0].ask(t), r.ask(t)
			if want["capacity"]["end"] != got["capacity"]["end"] { // the hour has struck between the two
				want, got = stores[0].ask(t), r.ask(t)
			}
			p.check(t, "embedded", want)
			p.check(t, x.name, got)
			for _, report := range reportArgs {
				for _, d := range differences(report[0], want[report[0]], got[report[0]]) {
					t.Errorf("embedded and %s differ: %s", x.name, d)
				}
			}
		})
	}
}

// reportArgs are the reports that are compared: a name and the command line.
var reportArgs = [][]string{{"capacity", "capacity"}, {"fit", "fit", "--cpu", "500m", "--memory", "1Gi"}, {"fit by use", "fit", "--cpu", "500m", "--memory", "1Gi", "--by", "use"}, {"rightsize", "rightsize"}}

// reporter is a running server.
type reporter struct {
	name string
	url  string
	*process
}

func newReporter(t *testing.T, name string, args ...string) *reporter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	r := &reporter{name: name, url: "http://" + addr}
	r.process = start(t, append([]string{"server", "--listen", addr, "--data", t.TempDir(), "--retention", "40d", "--interval", pastEvery.String()}, args...)...)
	r.until("it answers", func() error {
		resp, err := http.Get(r.url + "/livez")
		if err == nil {
			resp.Body.Close()
		}
		return err
	})
	return r
}

// sender sends to the server by remote write, as a collector does.
func (r *reporter) sender(t *testing.T, lane string) func(context.Context, *metric.Batch) error {
	t.Helper()
	end := remote.EndpointOptions{WriteURL: r.url + "/api/v1/write", Headers: http.Header{}}
	if lane != "" {
		end.Headers.Set("Plimsoll-Lane", lane)
	}
	s, err := remote.NewSender(remote.SenderOptions{Endpoint: end})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return func(ctx context.Context, b *metric.Batch) error {
		record, _, _, err := remote.Encode(b, identity.Wire, time.Now())
		if err != nil {
			return err
		}
		refused, err := s.Send(ctx, record)
		if err == nil && len(refused) > 0 {
			err = errors.New(refused[0].Message)
		}
		return err
	}
}

// ask calls the command line for each report, and reads its JSON.
func (r *reporter) ask(t *testing.T) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for _, args := range reportArgs {
		cmd := exec.CommandContext(t.Context(), product(t), append(args[1:], "--server", r.url, "--window", "14d", "-o", "json")...)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		began := time.Now()
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %q: %v: %s\n%s", r.name, args, err, stderr.String(), r.log.String())
		}
		t.Logf("%s: %s in %s", r.name, args[0], time.Since(began).Round(time.Millisecond))
		var doc map[string]any
		if err := json.Unmarshal(stdout.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		out[args[0]] = doc
	}
	return out
}

// past is a made cluster: two nodes, a scaled-by-nobody web of two replicas, a growing database, and a batch that is throttled.
type past struct {
	start, end time.Time
	things     []thing
}

// thing is a node or a container: CPU in cores and memory in bytes at an age, and values that do not change.
type thing struct {
	entity *metric.Entity
	cpu    func(at time.Duration) float64
	memory func(at time.Duration) float64
	more   []metric.Point
}

func newPast(end time.Time) *past {
	p := &past{start: end.Add(-pastDays * 24 * time.Hour), end: end}
	// Of each day eight hours are quiet, twelve are normal and four are busy; within an hour nothing changes.
	day := func(v float64) func(time.Duration) float64 {
		return func(at time.Duration) float64 {
			switch h := int(at/time.Hour) % 24; {
			case h < 8:
				return 0.4 * v
			case h < 20:
				return v
			}
			return 1.6 * v
		}
	}
	grows := func(v, daily float64) func(time.Duration) float64 {
		return func(at time.Duration) float64 { return v*gib + daily*gib*float64(at/time.Hour)/24 }
	}
	steady := func(v float64) func(time.Duration) float64 { return func(time.Duration) float64 { return v } }
	node := func(name string, cores, memory float64, cpu, use func(time.Duration) float64) {
		p.things = append(p.things, thing{&metric.Entity{Level: metric.Node, Node: name, ID: "/"}, cpu, use, []metric.Point{
			{ID: metric.CPUCapacity, V: cores}, {ID: metric.MemoryCapacity, V: memory * gib}, {ID: metric.CPUAllocatable, V: cores * 0.95}, {ID: metric.MemoryAllocatable, V: memory * gib * 0.9375}}})
	}
	container := func(node, namespace, kind, workload, pod string, cpu, memory func(time.Duration) float64, more ...metric.Point) {
		p.things = append(p.things, thing{&metric.Entity{Level: metric.Container, Node: node, Namespace: namespace, WorkloadKind: kind, Workload: workload, Pod: pod, Container: "main",
			ID: "/kubepods/" + pod, Runtime: "containerd"}, cpu, memory, more})
	}
	asks := func(cpu, memory float64) []metric.Point {
		return []metric.Point{{ID: metric.CPURequest, V: cpu}, {ID: metric.MemoryRequest, V: memory * gib}, {ID: metric.MemoryLimit, V: 2 * memory * gib}}
	}
	node("n1", 4, 16, day(1), grows(6, 0.2))
	node("n2", 2, 8, day(0.5), steady(3*gib))
	container("n1", "shop", "Deployment", "web", "web-1", day(0.5), steady(gib/2), append(asks(1, 1), metric.Point{ID: metric.OOMKills, V: 1})...)
	container("n2", "shop", "Deployment", "web", "web-2", day(0.3), steady(gib/2), append(asks(1, 1), metric.Point{ID: metric.OOMKills})...)
	container("n1", "shop", "StatefulSet", "db", "db-0", steady(0.2), grows(2, 0.1), asks(0.5, 2)...)
	container("n2", "lab", "Deployment", "batch", "batch-1", steady(0.1), steady(gib/4), append(asks(0.1, 0.5), metric.Point{ID: metric.CPULimit, V: 0.1},
		metric.Point{ID: metric.CPUPeriods, V: 10}, metric.Point{ID: metric.CPUThrottledPeriods, V: 3}, metric.Point{ID: metric.CPUThrottled, V: 0.05})...)
	return p
}

// fill gives every tick to a picture, and what a node would send and what a server would sum up of it to a store.
func (p *past) fill(t *testing.T, to func(*metric.Batch) error) {
	t.Helper()
	picture, err := live.New(live.Options{})
	if err != nil {
		t.Fatal(err)
	}
	used := make([]float64, len(p.things))
	for at := pastEvery; at <= p.end.Sub(p.start); at += pastEvery {
		b := p.batch(at, p.start.Add(at), used)
		if err := picture.Apply(b); err != nil {
			t.Fatal(err)
		}
		for _, g := range picture.RollUp(b.Time).Groups {
			if g.Entity.Level > metric.Pod { // the reports ask for no sums of pods
				b.Groups = append(b.Groups, g)
			}
		}
		if err := to(b); err != nil {
			t.Fatal(err)
		}
	}
}

// batch is what is measured at a time; used are the CPU seconds of each thing, which grow by what it uses in a tick.
func (p *past) batch(at time.Duration, now time.Time, used []float64) *metric.Batch {
	b := &metric.Batch{Time: now}
	for i := range p.things {
		x := &p.things[i]
		used[i] += x.cpu(at-1) * pastEvery.Seconds() // of the tick that ends here
		g := metric.Group{Entity: x.entity, Start: p.start, Points: []metric.Point{{ID: metric.CPUUsage, V: used[i]}, {ID: metric.MemoryWorkingSet, V: x.memory(at - 1)}}}
		for _, q := range x.more {
			switch q.ID {
			case metric.OOMKills: // one, on the twelfth day
				if at < 12*24*time.Hour {
					q.V = 0
				}
			case metric.CPUPeriods, metric.CPUThrottledPeriods, metric.CPUThrottled: // so many a second
				q.V *= at.Seconds()
			}
			g.Points = append(g.Points, q)
		}
		for j := range g.Points {
			g.Points[j].T = now.UnixMilli()
		}
		b.Groups = append(b.Groups, g)
	}
	return b
}

func (p *past) toEmbedded(t *testing.T, r *reporter) {
	t.Helper()
	send := r.sender(t, "")
	p.fill(t, func(b *metric.Batch) error { return send(t.Context(), b) })
}

// toInflux writes the past and has so many days of it rolled up as the server's own tasks would have.
func (p *past) toInflux(t *testing.T, s *influxtest.Server, days int) {
	t.Helper()
	began := time.Now()
	enc, err := influx.NewEncoder(influx.EncoderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h := &heap{history: newHistory(t, s, "reports"), enc: enc, now: p.end}
	p.fill(t, func(b *metric.Batch) error { return h.Append(t.Context(), b) })
	if err := h.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	written := time.Since(began)
	if err := newSetup(t, influx.SetupOptions{Conn: h.history.conn}).Backfill(t.Context(), p.end.Add(-time.Duration(days)*24*time.Hour), p.end.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	t.Logf("written in %s, rolled up in %s", written.Round(time.Millisecond), (time.Since(began) - written).Round(time.Millisecond))
}

// live sends what is measured now, every second until the test ends, and waits until the server has rates.
func (p *past) live(t *testing.T, r *reporter) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	send := r.sender(t, "live-full")
	go func() {
		defer close(done)
		for n := 1; ; n++ {
			now := time.Now()
			b := p.batch(p.end.Sub(p.start), now, make([]float64, len(p.things)))
			for i := range b.Groups {
				b.Groups[i].Points[0].V = p.things[i].cpu(p.end.Sub(p.start)-1) * float64(now.UnixMilli()-p.start.UnixMilli()) / 1000
			}
			if err := send(ctx, b); err != nil && ctx.Err() == nil {
				t.Errorf("%s: %v", r.name, err)
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	r.until("the live picture has rates", func() error {
		resp, err := http.Get(r.url + "/plimsoll/v1/nodes")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var list struct{ Items []struct{ CPU *float64 } }
		if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
			return err
		}
		if len(list.Items) != 2 || list.Items[0].CPU == nil || list.Items[1].CPU == nil {
			return fmt.Errorf("got %v", list)
		}
		return nil
	})
}

// check compares the reports with what was put in: within 1 %, for a tick at each change of the load belongs to both sides of it, and
// advice is rounded up.
func (p *past) check(t *testing.T, store string, docs map[string]map[string]any) {
	t.Helper()
	near := func(what string, got *float64, want float64) {
		t.Helper()
		if got == nil || math.Abs(*got-want) > 0.01*math.Abs(want) {
			t.Errorf("%s: %s: got %s, want %g", store, what, number(got), want)
		}
	}
	var c capacity.CapacityReport
	into(t, docs["capacity"], &c)
	scope := func(level, name string) *capacity.Scope {
		i := slices.IndexFunc(c.Scopes, func(s capacity.Scope) bool { return s.Level == level && s.Name == name })
		if i < 0 {
			t.Fatalf("%s: no %s %q in the report", store, level, name)
		}
		return &c.Scopes[i]
	}
	all, n1, shop := scope("cluster", ""), scope("node", "n1"), scope("namespace", "shop")
	near("allocatable CPU", all.CPU.Allocatable, 5.7)
	near("CPU requests", all.CPU.Requests, 2.6)
	near("CPU used now", all.CPU.Used, 1.5*1.6)
	near("p50 of CPU", all.CPU.P50, 1.5)
	near("p95 of CPU", all.CPU.P95, 1.5*1.6)
	near("max of CPU", all.CPU.Max, 1.5*1.6)
	near("p95 of n1's CPU", n1.CPU.P95, 1.6)
	near("p95 of the shop's CPU", shop.CPU.P95, 0.8*1.6+0.2)
	near("memory's trend", all.Memory.Trend.Slope, 0.2*gib)
	near("days until memory is full", all.Memory.Trend.Full, (22.5-9-0.2*19.95)/0.2)
	near("max of memory", all.Memory.Max, (9+0.2*20)*gib)
	near("memory free by request", all.Memory.FreeByRequest, 18*gib)
	if all.CPU.Trend.Full != nil || all.Data.Coverage < 0.99 || len(all.CPU.Points) != 14 {
		t.Errorf("%s: got CPU %q, %g of the window, %d points; want none in sight, all of it and 14", store, all.CPU.Trend.Text, all.Data.Coverage, len(all.CPU.Points))
	}
	for name, want := range map[string]int{"fit": 5, "fit by use": 6} {
		var f capacity.FitReport
		into(t, docs[name], &f)
		if f.Total != want || f.Known != 2 {
			t.Errorf("%s: %s: got %d on %d nodes, want %d on 2", store, name, f.Total, f.Known, want)
		}
	}
	p.checkAdvice(t, store, docs["rightsize"], near)
}

func (p *past) checkAdvice(t *testing.T, store string, doc map[string]any, near func(string, *float64, float64)) {
	t.Helper()
	var r capacity.RightsizeReport
	into(t, doc, &r)
	if len(r.Rows) != 3 {
		t.Fatalf("%s: got %d rows of advice, want 3: %+v", store, len(r.Rows), r)
	}
	for i := range r.Rows {
		a := &r.Rows[i]
		switch a.Workload {
		case "web":
			near("web's CPU", a.CPU.Advised, 0.8)
			near("web's memory after the kill", a.Memory.Advised, 2.5*gib)
			if a.OOMKills != 1 || a.Replicas != 2 {
				t.Errorf("%s: web: got %d kills, %d replicas; want 1 and 2", store, a.OOMKills, a.Replicas)
			}
		case "db":
			near("db's CPU", a.CPU.Advised, 0.2)
			near("db's memory", a.Memory.Advised, 4*1.15*gib)
			near("db's saving", a.Memory.Saving, (2-4*1.15)*gib)
		case "batch":
			near("batch's throttling", a.Throttled, 0.3)
			near("batch's CPU", a.CPU.Advised, 0.13)
		}
	}
}

func number(v *float64) string {
	if v == nil {
		return "nothing"
	}
	return fmt.Sprintf("%g", *v)
}

func into(t *testing.T, doc map[string]any, v any) {
	t.Helper()
	raw, err := json.Marshal(doc)
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

var digits = regexp.MustCompile(`[0-9][0-9.]*`)

// differences compares two documents. Numbers may differ by one in a hundred: stores interpolate quantiles and treat the ends of a rate's
// window each in their own way, and a percentile of roll-ups is that of hours. Sentences may differ in the numbers within. The report's own time may differ.
func differences(path string, a, b any) []string {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			break
		}
		var out []string
		for k := range x {
			if k != "time" {
				out = append(out, differences(path+"."+k, x[k], y[k])...)
			}
		}
		return out
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			break
		}
		var out []string
		for i := range x {
			out = append(out, differences(fmt.Sprintf("%s[%d]", path, i), x[i], y[i])...)
		}
		return out
	case float64:
		if y, ok := b.(float64); ok && math.Abs(x-y) <= 0.01*max(math.Abs(x), math.Abs(y))+1e-6 {
			return nil
		}
	case string:
		y, ok := b.(string)
		if ok && (x == y || strings.Contains(x, " ") && digits.ReplaceAllString(x, "#") == digits.ReplaceAllString(y, "#")) {
			return nil
		}
	default:
		if a == b {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s: %.200v and %.200v", path, a, b)}
}
