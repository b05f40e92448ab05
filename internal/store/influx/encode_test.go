package influx

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/model"
	"plimsoll.dev/plimsoll/internal/store"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s, want -, got +:\n%s", path, d)
	}
}

const base = int64(1_700_000_000_000)

func newEncoder(t testing.TB, o EncoderOptions) *Encoder {
	t.Helper()
	e, err := NewEncoder(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// encode encodes groups of a batch whose tick began at ms.
func encode(e *Encoder, ms int64, groups ...metric.Group) (string, Encoded) {
	now := time.UnixMilli(ms)
	dst, n := e.Encode(nil, &metric.Batch{Node: "n1", Time: now, Groups: groups}, now)
	return string(dst), n
}

// every is one batch with every row at every level, counters growing with the tick.
func every(tick int64) []metric.Group {
	var gs []metric.Group
	for _, l := range metric.Levels() {
		e := entities[l]
		g := metric.Group{Entity: e, Start: time.UnixMilli(base - 60_000)}
		for i := range metric.Rows() {
			r := metric.Get(metric.ID(i))
			if !r.Has(l) {
				continue
			}
			subs := []string{""}
			if r.Sub != "" {
				subs = []string{"a", "b"}
			}
			for j, sub := range subs {
				v := float64(100*(i+1) + 10*j)
				if r.Kind == metric.Counter {
					v += float64(tick) * float64(i+1+j)
				}
				g.Points = append(g.Points, metric.Point{ID: r.ID, Sub: sub, T: base + tick*10_000, V: v})
			}
		}
		gs = append(gs, g)
	}
	return gs
}

var entities = map[metric.Level]*metric.Entity{
	metric.Container: {Level: metric.Container, Node: "n1", Namespace: "shop", WorkloadKind: "Deployment", Workload: "web", Pod: "web-1", Container: "app", ID: "/kubepods/x", Runtime: "containerd", Image: "shop/web:1"},
	metric.Pod:       {Level: metric.Pod, Node: "n1", Namespace: "shop", WorkloadKind: "Deployment", Workload: "web", Pod: "web-1"},
	metric.Workload:  {Level: metric.Workload, Node: "n1", Namespace: "shop", WorkloadKind: "Deployment", Workload: "web"},
	metric.Namespace: {Level: metric.Namespace, Namespace: "shop"},
	metric.Node:      {Level: metric.Node, Node: "n1"},
	metric.Pool:      {Level: metric.Pool, Pool: "blue"},
	metric.Cluster:   {Level: metric.Cluster},
}

// TestSchemaV1 pins the schema: a change of testdata/schema_v1.txt breaks what people have stored, and InfluxDB 3 cannot follow it.
func TestSchemaV1(t *testing.T) {
	var b bytes.Buffer
	for _, l := range metric.Levels() {
		values, counters := Fields(l)
		fmt.Fprintf(&b, "measurement %s\n  tags     %s\n  counters %s\n  values   %s\n", l, strings.Join(Tags(l.String()), " "), strings.Join(counters, " "), strings.Join(values, " "))
	}
	fmt.Fprintf(&b, "measurement %s\n  tags     %s\n", Decision, strings.Join(Tags(Decision), " "))
	e := newEncoder(t, EncoderOptions{Cluster: "prod"})
	for tick := range int64(2) {
		lines, n := encode(e, base+tick*10_000, every(tick)...)
		if n.Lines != len(metric.Levels()) || n.Dropped != [numDrops]int{} {
			t.Errorf("tick %d: got %+v", tick, n)
		}
		fmt.Fprintf(&b, "\ntick %d\n%s", tick, lines)
	}
	golden(t, "schema_v1.txt", b.Bytes())
}

// TestFieldsOfRates: every field that a line has is one that Fields names, at its level.
func TestFieldsAreNamed(t *testing.T) {
	e := newEncoder(t, EncoderOptions{})
	encode(e, base, every(0)...)
	lines, _ := encode(e, base+10_000, every(1)...)
	for line := range strings.Lines(lines) {
		parts := strings.Split(strings.TrimSpace(line), " ")
		m, _, _ := strings.Cut(parts[0], ",")
		var got []string
		for _, f := range strings.Split(parts[1], ",") {
			name, _, _ := strings.Cut(f, "=")
			got = append(got, name)
		}
		for _, l := range metric.Levels() {
			if l.String() == m {
				values, counters := Fields(l)
				if len(got) != len(values)+len(counters) {
					t.Errorf("%s has %d fields, want %d and %d", m, len(got), len(values), len(counters))
				}
			}
		}
	}
}

func one(id metric.ID, sub string, at, v float64) metric.Group {
	return metric.Group{Entity: entities[metric.Container], Points: []metric.Point{{ID: id, Sub: sub, T: base + int64(at*1000), V: v}}}
}

// rates returns the field's value in each line, "-" where a line does not have it.
func rates(lines, field string) []string {
	var out []string
	for line := range strings.Lines(lines) {
		v := "-"
		for _, f := range strings.Split(strings.Fields(line)[1], ",") {
			if x, ok := strings.CutPrefix(f, field+"="); ok {
				v = x
			}
		}
		out = append(out, v)
	}
	return out
}

func TestRates(t *testing.T) {
	f := func(name string, want []string, groups ...metric.Group) {
		t.Helper()
		e := newEncoder(t, EncoderOptions{})
		var got []string
		for _, g := range groups {
			lines, _ := encode(e, base+400_000, g)
			got = append(got, rates(lines, "cpu_usage_cores")...)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s, want -, got +:\n%s", name, d)
		}
	}
	cpu := func(at, v float64) metric.Group { return one(metric.CPUUsage, "", at, v) }
	started := func(g metric.Group, at float64) metric.Group {
		g.Start = time.UnixMilli(base + int64(at*1000))
		return g
	}
	f("from the samples' own times", []string{"-", "0.5", "2"}, cpu(0, 10), cpu(10, 15), cpu(10.5, 16))
	f("a reset has none, and the next is counted from it", []string{"-", "-", "0.1"}, cpu(0, 10), cpu(10, 1), cpu(20, 2))
	f("a new start has none", []string{"-", "-", "0.1"}, started(cpu(0, 10), -5), started(cpu(10, 11), 5), started(cpu(20, 12), 5))
	f("nor has a resend", []string{"-", "1", "-", "-", "1"}, cpu(0, 10), cpu(10, 20), cpu(0, 10), cpu(10, 20), cpu(20, 30))
	f("nor has what comes after a long silence", []string{"-", "-"}, cpu(0, 10), cpu(301, 11))
	f("not finite is as if it were not there", []string{"-", "0.5"}, cpu(0, 10), cpu(5, math.NaN()), cpu(10, 15))
}

func TestSubs(t *testing.T) {
	e := newEncoder(t, EncoderOptions{})
	net := func(at int64, values ...float64) metric.Group {
		g := metric.Group{Entity: entities[metric.Container]}
		for i, v := range values {
			g.Points = append(g.Points, metric.Point{ID: metric.NetworkReceive, Sub: fmt.Sprint("eth", i), T: base + at*1000, V: v})
		}
		return g
	}
	var got []string
	for _, g := range []metric.Group{net(0, 100, 200), net(10, 110, 220), net(20, 120, 5), net(30, 130, 15, 1e9), net(40, 140, 25, 1e9)} {
		lines, _ := encode(e, base+100_000, g)
		got = append(got, rates(lines, "network_receive_bytes_total")[0]+" "+rates(lines, "network_receive_bytes_rate")[0])
	}
	// One interface's reset costs its own rate, and one that is new brings no burst.
	want := []string{"300 -", "330 3", "125 1", "1000000145 2", "1000000165 2"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
	g := metric.Group{Entity: entities[metric.Workload], Points: []metric.Point{
		{ID: metric.ScaleLoad, Sub: "cpu", T: base, V: 0.7}, {ID: metric.ScaleLoad, Sub: "qps", T: base, V: 0.4}}}
	if lines, _ := encode(e, base, g); rates(lines, "scale_load_ratio")[0] != "0.7" {
		t.Errorf("loads of two metrics: got %s, want the larger one", lines)
	}
	twice := metric.Group{Entity: entities[metric.Node], Points: []metric.Point{
		{ID: metric.NetworkReceive, Sub: "x", T: base, V: 1}, {ID: metric.NetworkReceive, Sub: "y", T: base, V: 10}, {ID: metric.NetworkReceive, Sub: "x", T: base, V: 2}}}
	if lines, _ := encode(e, base, twice); rates(lines, "network_receive_bytes_total")[0] != "12" {
		t.Errorf("one interface twice: got %s, want the later value once", lines)
	}
}

// TestSubsComeAndGo: a machine whose pods' interfaces come and go keeps its values; of more at a time than are remembered only the new ones are left out.
func TestSubsComeAndGo(t *testing.T) {
	for schema, field := range map[Schema]string{SchemaV1: "cpu_usage_cores=", SchemaHeapster: "cpu/usage_rate,"} {
		e := newEncoder(t, EncoderOptions{Schema: schema})
		tick := func(ms int64, from, to int) (string, Encoded) {
			g := metric.Group{Entity: entities[metric.Node], Points: []metric.Point{{ID: metric.CPUUsage, T: ms, V: float64(ms-base) / 1000}}}
			for i := from; i < to; i++ {
				g.Points = append(g.Points, metric.Point{ID: metric.NetworkReceive, Sub: fmt.Sprint("cali", i), T: ms, V: 1})
			}
			return encode(e, ms, g)
		}
		for i := range 10 {
			ms := base + int64(i)*store.MaxInterval.Milliseconds()
			if lines, n := tick(ms, 1000*i, 1000*(i+1)); n.Dropped[DropUnknown] != 0 || i > 0 && !strings.Contains(lines, field) {
				t.Fatalf("%s: after %d interfaces, 1,000 at a time: got %+v, want %q and nothing left out", schema, 1000*i, n, field)
			}
		}
		last := base + 10*store.MaxInterval.Milliseconds()
		lines, n := tick(last, 9000, 9000+2*maxSubs)
		if n.Dropped[DropUnknown] == 0 || !strings.Contains(lines, field) {
			t.Errorf("%s: too many at a time: got %+v, want %q and some left out", schema, n, field)
		}
		if got := len(e.entry(entities[metric.Node]).prev); got > maxSubs {
			t.Errorf("%s: remembers %d series, want %d at most", schema, got, maxSubs)
		}
	}
}

func TestDrops(t *testing.T) {
	e := newEncoder(t, EncoderOptions{})
	p := func(id metric.ID, at int64, v float64) metric.Point { return metric.Point{ID: id, T: at, V: v} }
	lines, n := encode(e, base,
		metric.Group{Points: []metric.Point{p(metric.CPUUsage, base, 1)}},
		metric.Group{Entity: entities[metric.Container]},
		metric.Group{Entity: &metric.Entity{Level: 77}, Points: []metric.Point{p(metric.CPUUsage, base, 1)}},
		metric.Group{Entity: entities[metric.Container], Points: []metric.Point{
			p(60000, base, 1), p(metric.Replicas, base, 1), p(metric.MemoryUsage, 0, 1), p(metric.MemoryUsage, math.MaxInt64, 1), p(metric.MemoryUsage, math.MinInt64, 1),
			p(metric.MemoryRSS, base, math.NaN()), p(metric.MemoryRSS, base, math.Inf(1)), p(metric.MemoryRSS, base, math.Inf(-1)), p(metric.MemoryCache, base, 5)}},
		metric.Group{Entity: entities[metric.Pod], Points: []metric.Point{p(metric.MemoryRSS, base, math.NaN())}},
	)
	if want := (Encoded{Lines: 1, Points: 1, Dropped: [numDrops]int{DropNotFinite: 4, DropTime: 3, DropUnknown: 4}}); n != want {
		t.Errorf("got %+v, want %+v", n, want)
	}
	if want := "container,container=app,namespace=shop,node=n1,pod=web-1,workload=web,workload_kind=Deployment memory_cache_bytes=5 1700000000000\n"; lines != want {
		t.Errorf("got %s, want %s", lines, want)
	}
	huge := metric.Group{Entity: entities[metric.Node], Points: []metric.Point{
		{ID: metric.FilesystemUsage, Sub: "a", T: base, V: math.MaxFloat64}, {ID: metric.FilesystemUsage, Sub: "b", T: base, V: math.MaxFloat64}}}
	if lines, n := encode(e, base, huge); lines != "" || n.Dropped[DropNotFinite] != 1 {
		t.Errorf("a sum that is not finite: got %q, %+v", lines, n)
	}
}

func TestSeveralMoments(t *testing.T) {
	e := newEncoder(t, EncoderOptions{})
	g := metric.Group{Entity: entities[metric.Cluster]}
	for _, at := range []int64{30, 10, 20} {
		g.Points = append(g.Points, metric.Point{ID: metric.CPUUsage, T: base + at*1000, V: float64(at)})
	}
	lines, _ := encode(e, base+30_000, g)
	want := "cluster cpu_usage_seconds_total=10 1700000010000\n" +
		"cluster cpu_usage_seconds_total=20,cpu_usage_cores=1 1700000020000\n" +
		"cluster cpu_usage_seconds_total=30,cpu_usage_cores=1 1700000030000\n"
	if lines != want {
		t.Errorf("got\n%s, want\n%s", lines, want)
	}
}

func TestSeriesBudget(t *testing.T) {
	e := newEncoder(t, EncoderOptions{SeriesPerNamespace: 10})
	pod := func(ns string, i int) metric.Group {
		return metric.Group{Entity: &metric.Entity{Level: metric.Pod, Namespace: ns, Pod: fmt.Sprint("p", i)}, Points: []metric.Point{{ID: metric.MemoryRSS, T: base, V: 1}}}
	}
	for i := range 25 {
		encode(e, base, pod("loud", i))
	}
	_, quiet := encode(e, base, pod("quiet", 1))
	_, known := encode(e, base, pod("loud", 3))
	_, refused := encode(e, base, pod("loud", 99))
	if quiet.Lines != 1 || known.Lines != 1 || refused.Lines != 0 || refused.Dropped[DropSeriesBudget] != 1 {
		t.Errorf("got %+v, %+v, %+v", quiet, known, refused)
	}
	if d := cmp.Diff([]Refusal{{"loud", 10, 16}}, e.Refusals()); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
	day := base + 25*3600*1000
	g := pod("loud", 100)
	g.Points[0].T = day
	if _, n := encode(e, day, g); n.Lines != 1 || len(e.Refusals()) != 0 {
		t.Errorf("a day later: got %+v, %v", n, e.Refusals())
	}
}

// TestManyNamespaces: those beyond a thousand take nothing from the machines, and those that were there once are forgotten.
func TestManyNamespaces(t *testing.T) {
	e := newEncoder(t, EncoderOptions{SeriesPerNamespace: 10})
	line := func(ms int64, x metric.Entity) int {
		_, n := encode(e, ms, metric.Group{Entity: &x, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: ms, V: 1}}})
		return n.Lines
	}
	pod := func(ns string, i int) metric.Entity {
		return metric.Entity{Level: metric.Pod, Node: "n1", Namespace: ns, Pod: fmt.Sprint("p", i)}
	}
	for i := range maxBudgets {
		line(base, pod(fmt.Sprint("preview-", i), 0))
	}
	for i := range 15 {
		line(base, pod("late", i))
	}
	if d := cmp.Diff([]Refusal{{others, 10, 5}}, e.Refusals()); d != "" {
		t.Errorf("one namespace too many: want -, got +:\n%s", d)
	}
	if line(base, metric.Entity{Level: metric.Node, Node: "n2"}) != 1 {
		t.Error("the machine's line is left out")
	}
	days := base + 2*budgetDay.Milliseconds()
	for i := range 15 {
		line(days, pod("shop", i))
	}
	if d := cmp.Diff([]Refusal{{"shop", 10, 5}}, e.Refusals()); d != "" || len(e.budgets.byNs) != 1 {
		t.Errorf("two days later: want -, got + and %d budgets, want 1:\n%s", len(e.budgets.byNs), d)
	}
}

func TestEntriesAreBounded(t *testing.T) {
	e := newEncoder(t, EncoderOptions{SeriesPerNamespace: 1 << 30})
	for i := range maxEntities + 10 {
		e.entry(&metric.Entity{Level: metric.Pod, Pod: fmt.Sprint(i)}).seen = base
	}
	encode(e, base)
	if n := len(e.entries.byPtr); n > maxEntities {
		t.Errorf("remembers %d entities, want %d at most", n, maxEntities)
	}
	encode(e, base+forget.Milliseconds()+1)
	if n := len(e.entries.byPtr); n != 0 {
		t.Errorf("remembers %d entities after %v, want none", n, forget)
	}
}

func TestHeapsterSchema(t *testing.T) {
	for _, schema := range []Schema{SchemaHeapster, SchemaHeapsterFields} {
		e := newEncoder(t, EncoderOptions{Schema: schema})
		unit := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "system", WorkloadKind: "Unit", Workload: "ssh.service", Pod: "ssh.service", Container: "ssh.service", Runtime: "systemd"}
		add := func(tick int64) []metric.Group {
			return append(every(tick), metric.Group{Entity: unit, Points: []metric.Point{{ID: metric.MemoryUsage, T: base + tick*10_000, V: 5}, {ID: metric.MemoryLimit, T: base + tick*10_000, V: 9}}})
		}
		encode(e, base, add(0)...)
		lines, n := encode(e, base+10_000, add(1)...)
		if n.Dropped != [numDrops]int{} {
			t.Errorf("%s: got %+v", schema, n)
		}
		all := model.New()
		made, n := e.EncodeModel([]byte(lines), []model.Value{
			{Thing: model.Thing{Kind: model.Pod, Node: "n1", Namespace: "shop", Pod: "web-1"}, Metric: all.Find("cpu/usage_rate"), Time: time.UnixMilli(base), V: 249.9},
			{Thing: model.Thing{Kind: model.Pod, Node: "n1", Namespace: "shop", Pod: "web-1"}, Metric: all.Find("disk/io_read_bytes_rate"), Resource: "8:0", Time: time.UnixMilli(base), V: 1.5},
			{Thing: model.Thing{Kind: model.Namespace, Namespace: "shop"}, Metric: all.Find("memory/usage"), Time: time.UnixMilli(base), V: 7},
			{Thing: model.Thing{Kind: model.Node, Node: "n1"}, Metric: all.Find("cpu/node_reservation"), Time: time.UnixMilli(base), V: .25},
			{Thing: model.Thing{Kind: model.Cluster}, Metric: all.Find("cpu/limit"), Time: time.UnixMilli(base), V: 0},
			{Thing: model.Thing{Kind: model.Cluster}, Metric: all.Find("cpu/limit"), Time: time.UnixMilli(base + 3600_000), V: 0},
			{Thing: model.Thing{Kind: model.Cluster}, Metric: all.Find("cpu/limit"), Time: time.UnixMilli(base), V: math.NaN()},
		}, time.UnixMilli(base))
		if want := (Encoded{Lines: 5, Points: 6, Dropped: [numDrops]int{DropTime: 1, DropNotFinite: 1}}); n != want {
			t.Errorf("%s: got %+v, want %+v", schema, n, want)
		}
		golden(t, string(schema)+".txt", made)
	}
	// Interfaces whose traffic passes another one too are not counted of a machine; sums come by EncodeModel.
	e := newEncoder(t, EncoderOptions{Schema: SchemaHeapster})
	nets := func(tick int64) metric.Group {
		g := metric.Group{Entity: entities[metric.Node]}
		for i, sub := range []string{"docker0", "eth0", "eth1", "lo"} {
			g.Points = append(g.Points, metric.Point{ID: metric.NetworkReceive, Sub: sub, T: base + tick*10_000, V: float64(100*(i+1)) * float64(tick+1)})
		}
		return g
	}
	encode(e, base, nets(0))
	got, _ := encode(e, base+10_000, nets(1))
	want := "network/rx,cluster_name=default,nodename=n1,type=node value=1000i 1700000010000\nnetwork/rx_rate,cluster_name=default,nodename=n1,type=node value=50 1700000010000\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	sums := &metric.Batch{Groups: every(2), Time: time.UnixMilli(base)}
	if lines, _ := e.Encode(nil, sums, time.UnixMilli(base+20_000)); strings.Contains(string(lines), "type=node") || !strings.Contains(string(lines), "type=pod_container") {
		t.Errorf("of a batch of sums: %s", lines)
	}
}

func TestEncoderOptions(t *testing.T) {
	for _, o := range []EncoderOptions{{Schema: "v2"}, {SeriesPerNamespace: -1}} {
		if _, err := NewEncoder(o); err == nil {
			t.Errorf("NewEncoder(%+v): got no error", o)
		}
	}
}

// twenty is a batch of n containers with 20 fields each.
func twenty(n int) []*metric.Batch {
	ids := []metric.ID{metric.CPUUsage, metric.CPUUser, metric.CPUSystem, metric.CPUPeriods, metric.CPUThrottledPeriods, // with their rates 10
		metric.MemoryWorkingSet, metric.MemoryUsage, metric.MemoryRSS, metric.MemoryCache, metric.MemorySwap, metric.MemoryPeak, metric.Processes, metric.Threads, metric.FileDescriptors, metric.StartTime}
	var es []*metric.Entity
	for i := range n {
		es = append(es, &metric.Entity{Level: metric.Container, Node: "node-17", Namespace: "shop", WorkloadKind: "Deployment", Workload: fmt.Sprint("web-", i/10),
			Pod: fmt.Sprintf("web-%d-5d8f-%d", i/10, i), Container: "app"})
	}
	var bs []*metric.Batch
	for tick := range 16 {
		b := &metric.Batch{Time: time.UnixMilli(base + int64(tick)*10_000)}
		for c, e := range es {
			g := metric.Group{Entity: e}
			for i, id := range ids {
				v := float64((tick+1)*(c+1)*(i+1)) * 1.2345
				if metric.Get(id).Unit == metric.Bytes {
					v = math.Round(v * 4096)
				}
				g.Points = append(g.Points, metric.Point{ID: id, T: b.Time.UnixMilli(), V: v})
			}
			b.Groups = append(b.Groups, g)
		}
		bs = append(bs, b)
	}
	return bs
}

// BenchmarkEncode is the cost of a line of 20 fields.
func BenchmarkEncode(b *testing.B) {
	e := newEncoder(b, EncoderOptions{Cluster: "prod"})
	bs := twenty(450)
	var dst []byte
	lines := 0
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%16 == 0 {
			e.entries.byPtr = map[*metric.Entity]*entry{} // time begins anew
		}
		var n Encoded
		dst, n = e.Encode(dst[:0], bs[i%16], bs[15].Time)
		lines += n.Lines
	}
	b.ReportMetric(float64(lines)/b.Elapsed().Seconds()*60/1e6, "Mlines/min")
}

// Two users' units of one name are two series in Heapster's names.
func TestHeapsterUnitsOfOneName(t *testing.T) {
	e := newEncoder(t, EncoderOptions{Schema: SchemaHeapster})
	var groups []metric.Group
	for _, user := range []string{"user-1000", "user-1001"} {
		groups = append(groups, metric.Group{Entity: &metric.Entity{Level: metric.Container, Node: "n1", Namespace: user, WorkloadKind: "Unit", Workload: "foo.service", Pod: "foo.service", Container: "foo.service", ID: "/" + user},
			Points: []metric.Point{{ID: metric.MemoryUsage, T: base, V: 5}}})
	}
	lines, _ := encode(e, base, groups...)
	for _, name := range []string{"container_name=user-1000/foo.service,", "container_name=user-1001/foo.service,"} {
		if strings.Count(lines, name) != 1 {
			t.Errorf("got %q, want one line with %q", lines, name)
		}
	}
}
