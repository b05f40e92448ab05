package api

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/capacity"
	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// shop is a small cluster: a node, and a namespace with a scaled cart of two replicas and a database.
func shop() *live.Snapshot {
	const gib = 1 << 30
	of := func(level metric.Level, node, namespace string, cpu, memory float64) *live.Item {
		vals := []val{{metric.CPUUsage, "", 1e5, cpu}, {metric.MemoryWorkingSet, "", memory, 0}, {metric.CPURequest, "", 2.5, 0}, {metric.MemoryRequest, "", 10 * gib, 0}}
		if namespace == "" {
			vals = append(vals, val{metric.CPUCapacity, "", 4, 0}, val{metric.MemoryCapacity, "", 16 * gib, 0}, val{metric.MemoryAllocatable, "", 15 * gib, 0}, val{metric.CPUAllocatable, "", 3.9, 0})
		}
		return item(metric.Entity{Level: level, Node: node, Namespace: namespace}, vals...)
	}
	app := func(kind, workload, pod string, cpu, memory, request, memoryRequest float64) *live.Item {
		c := container("shop", kind, workload, "app", "containerd", "/kubepods/"+pod, val{metric.CPUUsage, "", 1e4, cpu}, val{metric.MemoryWorkingSet, "", memory, 0},
			val{metric.CPURequest, "", request, 0}, val{metric.MemoryRequest, "", memoryRequest, 0}, val{metric.MemoryLimit, "", memoryRequest, 0})
		c.Entity.Pod = pod
		return c
	}
	return &live.Snapshot{Time: noon, Cluster: of(metric.Cluster, "", "", 1.2, 9*gib), Nodes: []*live.Item{of(metric.Node, "n1", "", 1.2, 9*gib)},
		Namespaces: []*live.Item{of(metric.Namespace, "", "shop", 1.1, 8*gib)},
		Containers: []*live.Item{app("Deployment", "cart", "cart-1", .3, gib, .5, 2*gib), app("Deployment", "cart", "cart-2", .3, gib, .5, 2*gib), app("StatefulSet", "db", "db-0", .5, 6*gib, 1.5, 6*gib)}}
}

// told is a history that a function tells. Memory grows by 200 MiB a day; the database was killed once for it.
type told func(q store.Query) error

func (f told) Query(_ context.Context, q store.Query) ([]store.Series, error) {
	if err := f(q); err != nil {
		if errors.Is(err, errYoung) {
			err = nil
		}
		return nil, err
	}
	var sets [][]metric.Label
	switch q.Level {
	case metric.Cluster:
		sets = [][]metric.Label{{}}
	case metric.Node:
		sets = [][]metric.Label{{{Name: "node", Value: "n1"}}}
	case metric.Namespace:
		sets = [][]metric.Label{{{Name: "namespace", Value: "shop"}}}
	case metric.Container:
		for _, w := range [][2]string{{"Deployment", "cart"}, {"StatefulSet", "db"}} {
			sets = append(sets, []metric.Label{{Name: "container", Value: "app"}, {Name: "namespace", Value: "shop"}, {Name: "workload", Value: w[1]}, {Name: "workload_kind", Value: w[0]}})
		}
	}
	var out []store.Series
	for i, labels := range sets {
		s := store.Series{Labels: labels}
		if slices.ContainsFunc(q.Matchers, func(m store.Matcher) bool { return m.Op == store.Equal && s.Label(m.Name) != m.Value }) {
			continue
		}
		step := q.Step
		if step == 0 {
			step = time.Hour
			q.Start = q.End
		}
		for t := q.Start; !t.After(q.End); t = t.Add(step) {
			s.Samples = append(s.Samples, store.Sample{T: t.UnixMilli(), V: toldAt(q, i, t)})
		}
		out = append(out, s)
	}
	return out, nil
}

// toldAt is a value of the made history; i tells containers apart.
func toldAt(q store.Query, i int, t time.Time) float64 {
	factor := map[store.Func]float64{store.Avg: 1, store.Quantile: 1 + q.Q/4, store.Max: 1.5}[q.Func]
	days := t.Sub(noon).Hours() / 24
	switch {
	case q.Row == metric.CPUCapacity:
		return 4
	case q.Func == store.Count:
		return 360
	case q.Row == metric.OOMKills && (q.Level == metric.Namespace || i == 1 && t.Equal(noon.Add(-48*time.Hour))):
		return 1
	case q.Row == metric.MemoryLimit && q.Level == metric.Container:
		return 6 << 30
	case q.Row == metric.CPUUsage && q.Level == metric.Container:
		return factor * .25 * float64(1+i)
	case q.Row == metric.CPUUsage:
		return factor * 1.25
	case q.Row == metric.MemoryWorkingSet && q.Level == metric.Container:
		return factor * (1 + 2.5*float64(i)) * (1 << 30)
	case q.Row == metric.MemoryWorkingSet:
		return factor * (8<<30 + days*160*mib)
	}
	return 0
}

// errYoung says that there is nothing of the asked time.
var errYoung = errors.New("young")

func reporting(t *testing.T, change func(*Options)) *API {
	t.Helper()
	return newAPI(t, func(o *Options) {
		snap := shop()
		o.Pictures = pictures(func(time.Time) *live.Snapshot { return snap })
		o.History = told(func(store.Query) error { return nil })
		o.Scaled = scaled(cluster.Scaled{Target: cluster.Target{Namespace: "shop", Kind: "Deployment", Name: "cart"}, Utilizations: []cluster.Utilization{{Resource: "cpu", Share: .7}}})
		if change != nil {
			change(o)
		}
	})
}

func TestReports(t *testing.T) {
	h := served(reporting(t, nil))
	for _, c := range []struct{ file, path, schema string }{
		{"capacity.json", "/plimsoll/v1/capacity?window=7d&level=cluster", capacity.CapacitySchema},
		{"fit.json", "/plimsoll/v1/fit?cpu=500m&memory=1Gi&window=1w", capacity.FitSchema},
		{"rightsize.json", "/plimsoll/v1/rightsize?window=168h", capacity.RightsizeSchema},
	} {
		rec := get(h, c.path)
		if rec.Code != 200 || rec.Header().Get("Content-Type") != "application/json" || rec.Header().Get("Vary") != "Accept" {
			t.Errorf("%s: got %d %v: %s", c.path, rec.Code, rec.Header(), rec.Body)
			continue
		}
		var doc struct {
			Schema     string
			Start, End time.Time
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &doc); err != nil || doc.Schema != c.schema || doc.End.Sub(doc.Start) != 7*24*time.Hour {
			t.Errorf("%s: got %+v, %v; want %q over a week", c.path, doc, err, c.schema)
		}
		golden(t, c.file, rec.Body.Bytes())
	}
}

// A machine that is cordoned, or not Ready, has its room in the report of room, and takes nothing in that of what fits; both say so, on their pages too.
func TestReportsOfMachinesThatTakeNothing(t *testing.T) {
	for _, x := range []struct {
		node *cluster.Node
		why  string
	}{
		{&cluster.Node{Name: "n1", Ready: "True", Unschedulable: true}, "cordoned"},
		{&cluster.Node{Name: "n1", Ready: "Unknown"}, "not Ready"},
		{&cluster.Node{Name: "n1", Ready: "False", Unschedulable: true}, "cordoned and not Ready"},
		{&cluster.Node{Name: "n1", Ready: "True"}, ""},
		{&cluster.Node{Name: "n1"}, ""},
	} {
		h := served(reporting(t, func(o *Options) { o.Nodes = func() []*cluster.Node { return []*cluster.Node{x.node} } }))
		var f capacity.FitReport
		var c capacity.CapacityReport
		for path, to := range map[string]any{"fit?cpu=500m&window=1w": &f, "capacity?window=1w": &c} {
			if err := json.Unmarshal(get(h, "/plimsoll/v1/"+path).Body.Bytes(), to); err != nil {
				t.Fatal(err)
			}
			page := get(h, "/plimsoll/v1/"+path+"&format=html").Body.String()
			if x.why != "" && !strings.Contains(page, x.why) {
				t.Errorf("%q: the page of %s does not say so", x.why, path)
			}
		}
		if x.why == "" {
			if f.Total != 2 || f.Nodes[0].Unschedulable != "" || len(c.Notes) != 0 || c.Scopes[0].CPU.LargestByRequest == nil {
				t.Errorf("%+v: got %+v, notes %q", x.node, f, c.Notes)
			}
			continue
		}
		if want := "No more replica of 500m CPU fits, going by requests. n1 is " + x.why + "."; f.Text != want || f.Total != 0 || f.Nodes[0].Unschedulable != x.why {
			t.Errorf("got %+v, want %q", f, want)
		}
		want := `Nothing new is placed on node "n1", which is ` + x.why + ": what is free there is counted all the same."
		if n := c.Scopes[1]; n.Unschedulable != x.why || *n.CPU.FreeByRequest != 1.4 || n.CPU.LargestByRequest != nil || c.Scopes[0].Memory.LargestByUse != nil || !slices.Contains(c.Notes, want) {
			t.Errorf("got %+v, notes %q; want %q", n, c.Notes, want)
		}
	}
}

func TestReportsOfOneLevelAndWorkload(t *testing.T) {
	h := served(reporting(t, nil))
	for level, want := range map[string]string{"": "cluster node namespace", "&level=node": "node", "&level=namespace": "namespace", "&level=pool": ""} {
		var r capacity.CapacityReport
		if err := json.Unmarshal(get(h, "/plimsoll/v1/capacity?window=7d"+level).Body.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range r.Scopes {
			got = append(got, s.Level)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%q: got scopes %q, want %q", level, s, want)
		}
	}
	var r capacity.RightsizeReport
	if err := json.Unmarshal(get(h, "/plimsoll/v1/rightsize?namespace=shop&kind=StatefulSet&name=db").Body.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 1 || r.Rows[0].Workload != "db" {
		t.Errorf("got %+v, want the database alone", r.Rows)
	}
}

// In its first hour a machine is told of its first minutes, unless a longer window was asked for.
func TestReportsOfTheFirstHour(t *testing.T) {
	h := served(reporting(t, func(o *Options) {
		o.History = told(func(q store.Query) error {
			if q.End.Sub(q.Start) > time.Hour {
				return errYoung
			}
			return nil
		})
	}))
	f := func(path string, window time.Duration, p95, note bool) {
		t.Helper()
		var r capacity.CapacityReport
		if err := json.Unmarshal(get(h, "/plimsoll/v1/"+path).Body.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if got := r.End.Sub(r.Start); got != window || len(r.Scopes) > 0 && (r.Scopes[0].CPU.P95 != nil) != p95 || slices.ContainsFunc(r.Notes, func(s string) bool { return strings.Contains(s, "newest hour alone") }) != note {
			t.Errorf("%s: got %v, notes %q; want %v, p95 %v, a note %v", path, got, r.Notes, window, p95, note)
		}
	}
	f("capacity", time.Hour, true, true)
	f("capacity?window=14d", capacity.DefaultWindow, false, false)
	f("fit?cpu=1", time.Hour, true, true)
}

// The first hour of an installation ends an hour after its first sample, and not with the hour of the clock.
func TestFirstHour(t *testing.T) {
	at := func(minutes int) *time.Time { return new(noon.Add(-time.Duration(minutes) * time.Minute)) }
	for want, firsts := range map[bool][][]*time.Time{true: {{nil}, {nil, at(8)}, {at(59), at(5)}}, false: {{at(60)}, {at(5), at(61), nil}}} {
		for _, f := range firsts {
			var r capacity.CapacityReport
			for _, first := range f {
				r.Scopes = append(r.Scopes, capacity.Scope{Data: capacity.Data{First: first}})
			}
			if got := young(&r, noon); got != want {
				t.Errorf("data since %v: young %v, want %v", f, got, want)
			}
		}
	}
}

func TestReportsRefuse(t *testing.T) {
	f := func(path string, change func(*Options), status int, says string) {
		t.Helper()
		if rec := get(served(reporting(t, change)), "/plimsoll/v1/"+path); rec.Code != status || !strings.Contains(rec.Body.String(), says) {
			t.Errorf("%s: got %d %s, want %d with %s", path, rec.Code, rec.Body, status, says)
		}
	}
	f("capacity?window=soon", nil, 400, `window "soon" is not from 1h to 400d: give such as 14d`)
	f("capacity?window=", nil, 400, `window ""`)
	f("capacity?window=59m", nil, 400, `window "59m"`)
	f("capacity?window=401d", nil, 400, `window "401d"`)
	f("capacity?window=-1d", nil, 400, `window "-1d"`)
	f("capacity?window=NaNd", nil, 400, `window "NaNd"`)
	f("capacity?window=1e300w", nil, 400, `window "1e300w"`)
	f("capacity?level=galaxy", nil, 400, `level "galaxy" is not known: allowed are cluster, pool, node, namespace`)
	f("capacity?level=", nil, 400, `level ""`)
	f("capacity?format=pdf", nil, 400, `format "pdf" is not known: allowed are json, html`)
	f("capacity?windw=7d", nil, 400, `unknown parameter "windw": allowed are window, level, format`)
	f("rightsize?cpu=1", nil, 400, `unknown parameter "cpu"`)
	f("rightsize?namespace=shop&name=nothing", nil, 404, `there is no workload "shop/nothing", nor was there in this time`)
	f("rightsize?namespace=shop&name=nothing&format=html", nil, 404, "there is no workload")
	f("rightsize?namespace=nothing", nil, 200, `"rows":[]`)
	f("fit", nil, 400, "neither cpu nor memory is given")
	f("fit?cpu=much", nil, 400, `cpu "much" is not an amount over 0, as Kubernetes writes them: give such as 500m`)
	f("fit?cpu=0", nil, 400, `cpu "0"`)
	f("fit?cpu=9E-700000000", nil, 400, `cpu "9E-700000000"`) // on which the library works for hours
	f("fit?cpu=9E70000000000000000", nil, 400, `cpu "9E7`)
	f("fit?cpu=", nil, 400, `cpu ""`)
	f("fit?memory=-1Gi", nil, 400, `memory "-1Gi"`)
	f("fit?memory=1GiB", nil, 400, `memory "1GiB"`)
	f("fit?cpu=1&by=luck", nil, 400, `by "luck" is not known: allowed are request, use`)
	f("fit?cpu=1n", nil, 400, "cannot say what fits")

	nothing := func(o *Options) { o.Pictures = pictures(func(time.Time) *live.Snapshot { return nil }) }
	forgetful := func(o *Options) { o.History = nil }
	for _, path := range []string{"capacity", "fit?cpu=1", "rightsize"} {
		f(path, nothing, 503, "no machine has sent a sample")
		for err, status := range map[error]int{context.DeadlineExceeded: 504, store.ErrClosed: 503, store.ErrTooLarge: 422} {
			f(path, func(o *Options) { o.History = told(func(store.Query) error { return err }) }, status, "cannot read the history for the report: "+err.Error())
		}
	}
	f("capacity?level=cluster", forgetful, 200, "no history")
	f("fit?cpu=1", forgetful, 200, `"total":1`)
	f("rightsize", forgetful, 404, "there is no history: this process keeps none, and advice takes an hour of it")
}
