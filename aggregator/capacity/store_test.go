package capacity

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

const worldDays = 20

var worldStart = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// climbing is a load that is high for a tenth of each day and half as high for the rest, and grows by so much a day: the 95th percentile of
// a day is its high level.
func climbing(from, step float64) func(time.Duration) float64 {
	return func(at time.Duration) float64 {
		high := from + step*float64(dayOf(at))
		if f := inDay(at); f >= 0.5 && f < 0.6 {
			return high
		}
		return high / 2
	}
}

// made is twenty days of three nodes, one of which vanished on the sixth, with a silent six hours on the ninth day, most of the eleventh
// silent, a clock that stepped ahead by ten minutes on the thirteenth and back on the fourteenth, and counters that began again on the
// fifteenth.
func made(t *testing.T) *world {
	w := newWorld(t, worldStart, 2*time.Minute, worldDays*day)
	w.node("n1", 4, 8*gi, true, climbing(1, 0.05), climbing(2*gi, 0.1*gi)).resets = 14*day + 5*time.Hour
	w.node("n2", 8, 16*gi, false, steady(1), steady(4*gi))
	w.node("n3", 2, 4*gi, true, steady(0.5), steady(gi)).dies = 5 * day
	for i := range 4 { // scaled to 70 % of 200m
		w.container("n1", "shop", "Deployment", "web", name("web", i), "web", size{cpu: 0.2, memory: 125 * mi}, steady(0.14), steady(100*mi))
	}
	w.container("n2", "shop", "StatefulSet", "db", "db-0", "db", size{cpu: 2, cpuLimit: 4, memory: 4 * gi, memoryLimit: 4 * gi}, climbing(0.481, 0), func(at time.Duration) float64 {
		if dayOf(at) == 9 && inDay(at) < 0.01 {
			return gi // for a quarter of an hour, once
		}
		return gi / 2
	}).resets = 8 * day
	oom := w.container("n2", "shop", "Deployment", "cache", "cache-0", "cache", size{cpu: 0.1, memory: 256 * mi, memoryLimit: 256 * mi}, steady(0.0905), steady(250*mi))
	plain := oom.more
	oom.more = func(at time.Duration) []metric.Point {
		out := plain(at)
		if at > 15*day {
			out[0].V = 1
		}
		return out
	}
	slow := w.container("n2", "shop", "Deployment", "slow", "slow-0", "slow", size{cpu: 0.5, cpuLimit: 0.5}, steady(0.48), steady(64*mi))
	rest, periods := slow.more, 0.0
	slow.more = func(at time.Duration) []metric.Point {
		periods += 1200
		return append(rest(at), metric.Point{ID: metric.CPUPeriods, V: periods}, metric.Point{ID: metric.CPUThrottledPeriods, V: 0.4 * periods}, metric.Point{ID: metric.CPUThrottled, V: periods / 100})
	}
	for i := range worldDays * 24 { // a job of twelve minutes in each hour, each time in a pod of another name
		j := w.container("n2", "shop", "CronJob", "mail", name("mail", i), "mail", size{memory: 64 * mi}, steady(0.3), steady(40*mi))
		j.born, j.dies = time.Duration(i)*time.Hour+8*time.Minute, time.Duration(i)*time.Hour+20*time.Minute
	}
	w.container("n2", "old", "Job", "import", "import-0", "import", size{}, steady(1), steady(gi)).dies = 3 * day
	w.container("n1", "new", "Deployment", "fresh", "fresh-0", "fresh", size{cpu: 1}, steady(0.1), steady(mi)).born = worldDays*day - 30*time.Minute
	silent := func(at time.Duration) bool {
		d, f := dayOf(at), inDay(at)
		return d == 8 && f < 0.25 || d == 10 && f < 0.75
	}
	clock := func(at time.Duration) time.Duration {
		if d := at - 12*day; d > 0 && d < day {
			return 10 * time.Minute
		}
		return 0
	}
	w.run(worldDays*day, silent, clock)
	return w
}

func TestOnTheRealStore(t *testing.T) {
	w := made(t)
	s := w.picture.Snapshot(worldStart.Add(worldDays * day))
	t.Run("capacity", func(t *testing.T) {
		r, err := Capacity(t.Context(), w.db, s, CapacityOptions{Window: worldDays * day, Pools: map[string]string{"n1": "blue"}})
		if err != nil {
			t.Fatal(err)
		}
		testMadeCapacity(t, r)
	})
	t.Run("rightsize", func(t *testing.T) {
		target := 0.7
		r, err := Rightsize(t.Context(), w.db, s, []cluster.Scaled{{Target: cluster.Target{Namespace: "shop", Kind: "Deployment", Name: "web"}, Utilizations: []cluster.Utilization{{Resource: "cpu", Share: target}}}}, RightsizeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		testMadeRightsize(t, r)
	})
}

// TestShortLives looks at pods of six minutes, some of which lie across the ends of longer rates, in a window of three days: what runs them
// is not running now, and its requests are known from the history alone.
func TestShortLives(t *testing.T) {
	w := newWorld(t, worldStart, 20*time.Second, 3*day)
	w.node("n1", 4, 8*gi, true, steady(1), steady(gi))
	for i := range 3 * 23 {
		j := w.container("n1", "shop", "Other", "mail", name("mail", i), "mail", size{cpu: 1, memory: 64 * mi}, steady(0.3), steady(40*mi))
		j.born = time.Duration(i)*time.Hour + 8*time.Minute
		j.dies = j.born + 6*time.Minute
	}
	w.run(3*day, never, right)
	r, err := Rightsize(t.Context(), w.db, w.picture.Snapshot(worldStart.Add(3*day)), nil, RightsizeOptions{Window: 3 * day})
	if err != nil {
		t.Fatal(err)
	}
	a := row(r, "mail", "mail")
	if a.Replicas != 0 || a.CPU.Action != Lower || math.Abs(value(a.CPU.Advised)-0.3) > 0.011 || value(a.CPU.Request) != 1 || a.Memory.Action != Lower || value(a.Memory.Advised) != 46*mi {
		t.Errorf("%d replicas: %s", a.Replicas, a.Reason)
	}
	if !strings.HasSuffix(a.Reason, "None runs now.") {
		t.Errorf("reason %q does not say that none runs", a.Reason)
	}
}

// TestPodsOfTheirOwn: each pod without a controller has its row, whatever its container is called, as a workload has: with what it used, was killed and throttled, and by its name.
// One that is no more will not run again, and has none.
func TestPodsOfTheirOwn(t *testing.T) {
	w := newWorld(t, worldStart, time.Minute, 3*day)
	w.node("n1", 4, 8*gi, true, steady(1), steady(gi))
	w.container("n1", "shop", "", "", "w50", "main", size{cpu: 0.1, memory: 100 * mi}, steady(0.05), steady(50*mi))
	burst := w.container("n1", "shop", "", "", "burst", "main", size{cpu: 0.01, memory: 16 * mi, memoryLimit: 32 * mi}, steady(0.4), steady(30*mi))
	was, periods := burst.more, 0.0
	burst.more = func(at time.Duration) []metric.Point {
		out := was(at)
		if at > 2*day {
			out[0].V = 1
		}
		periods += 600
		return append(out, metric.Point{ID: metric.CPUPeriods, V: periods}, metric.Point{ID: metric.CPUThrottledPeriods, V: 0.4 * periods})
	}
	w.container("n1", "shop", "", "", "ended", "main", size{cpu: 0.5}, steady(0.2), steady(20*mi)).dies = 3*day - 6*time.Hour
	w.container("n1", "other", "", "", "burst", "main", size{cpu: 2}, steady(1), steady(50*mi)).dies = 3*day - 6*time.Hour // which has a name in common
	w.container("n1", "other", "", "", "w50", "main", size{cpu: 2}, steady(1), steady(50*mi))
	w.container("n1", "shop", "Deployment", "w50", "w50-1", "main", size{cpu: 0.3}, steady(0.3), steady(50*mi))
	w.run(3*day, never, right)
	all := map[string]string{
		"shop/Pod/w50":        "1 × 0.1: lower to 0.05, 0 killed",
		"shop/Pod/burst":      "1 × 0.01: raise to 0.56, 1 killed",
		"other/Pod/w50":       "1 × 2: lower to 1, 0 killed",
		"shop/Deployment/w50": "1 × 0.3: keep to 0.3, 0 killed",
	}
	for _, x := range []struct {
		o    RightsizeOptions
		want []string
	}{
		{RightsizeOptions{}, slices.Collect(maps.Keys(all))},
		{RightsizeOptions{Namespace: "shop"}, []string{"shop/Pod/w50", "shop/Pod/burst", "shop/Deployment/w50"}},
		{RightsizeOptions{Kind: "Pod"}, []string{"shop/Pod/w50", "shop/Pod/burst", "other/Pod/w50"}},
		{RightsizeOptions{Name: "w50"}, []string{"shop/Pod/w50", "other/Pod/w50", "shop/Deployment/w50"}},
		{RightsizeOptions{Namespace: "shop", Name: "ended"}, nil},
		{RightsizeOptions{Namespace: "shop", Kind: "Pod", Name: "burst"}, []string{"shop/Pod/burst"}},
		{RightsizeOptions{Namespace: "shop", Kind: "Deployment", Name: "w50"}, []string{"shop/Deployment/w50"}},
	} {
		x.o.Window = 3 * day
		r, err := Rightsize(t.Context(), w.db, w.picture.Snapshot(worldStart.Add(3*day)), nil, x.o)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Notes) > 0 {
			t.Errorf("%+v: notes %q, want none", x.o, r.Notes)
		}
		got, want := map[string]string{}, map[string]string{}
		for _, a := range r.Rows {
			got[a.Namespace+"/"+a.Kind+"/"+a.Workload] += fmt.Sprintf("%d × %v: %s to %.2g, %d killed", a.Replicas, value(a.CPU.Request), a.CPU.Action, value(a.CPU.Advised), a.OOMKills)
		}
		for _, k := range x.want {
			want[k] = all[k]
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%+v (-want +got):\n%s", x.o, d)
		}
	}
}

// TestPodsKnownByCgroup: a pod of which only the cgroup is known is a workload of its own in the history, by its UID. It has its advice, and no row once it is no more.
func TestPodsKnownByCgroup(t *testing.T) {
	w := newWorld(t, worldStart, time.Minute, 8*time.Hour)
	w.node("n1", 4, 8*gi, true, steady(1), steady(gi))
	const uid, ended = "0e5a2f3c-1111-2222-3333-444455556666", "0e5a2f3c-1111-2222-3333-777788889999"
	w.container("n1", "kubernetes", "Pod", uid, uid, "abcdef012345", size{cpu: 0.2, memory: 100 * mi}, steady(0.14), steady(100*mi))
	w.container("n1", "kubernetes", "Pod", ended, ended, "fedcba543210", size{cpu: 0.2}, steady(0.14), steady(100*mi)).dies = 7 * time.Hour
	w.run(8*time.Hour, never, right)
	for _, o := range []RightsizeOptions{{}, {Kind: "Pod"}, {Namespace: "kubernetes", Kind: "Pod", Name: uid}} {
		o.Window = 6 * time.Hour
		r, err := Rightsize(t.Context(), w.db, w.picture.Snapshot(worldStart.Add(8*time.Hour)), nil, o)
		if err != nil {
			t.Fatal(err)
		}
		if a := row(r, uid, "abcdef012345"); len(r.Rows) != 1 || value(a.Memory.Advised) != 115*mi || a.CPU.Action != Lower {
			t.Errorf("%+v: %d rows, want one: %s", o, len(r.Rows), a.Reason)
		}
	}
}

// begins says that data begins with the first sample of what was made half an hour before the end, and not with the hour.
func begins(t *testing.T, what string, d Data) {
	t.Helper()
	want := worldStart.Add(worldDays*day - 30*time.Minute)
	if d.First == nil || d.First.Before(want) || d.First.After(want.Add(4*time.Minute)) || !strings.HasSuffix(d.Text, "it begins on "+stamp(*d.First)+".") {
		t.Errorf("%s begins at %v (%q), want %v", what, d.First, d.Text, want)
	}
}

func testMadeCapacity(t *testing.T, r *CapacityReport) {
	is := func(what string, got *float64, want, rel float64) {
		t.Helper()
		if got == nil || math.Abs(*got-want) > rel*math.Abs(want) {
			t.Errorf("%s is %v, want %g", what, value(got), want)
		}
	}
	begins(t, "namespace new", scope(r, NamespaceLevel, "new").Data)
	n1 := scope(r, NodeLevel, "n1")
	is("n1 allocatable", n1.CPU.Allocatable, 3.8, 0)
	is("n1 requests", n1.CPU.Requests, 4*0.2+1, 1e-9)
	is("n1 free by request", n1.CPU.FreeByRequest, 3.8-1.8, 1e-9)
	is("n1 used", n1.CPU.Used, 0.975, 0.01) // the last low level: (1 + 19 × 0.05) / 2
	// The high levels are a tenth of the time; the upper half of them, days 10 to 19, is the twentieth that p95 leaves out, but for day 8 and
	// 10's silence. The median is among the low levels.
	is("n1 p95", n1.CPU.P95, 1.475, 0.03)
	is("n1 p50", n1.CPU.P50, 0.75, 0.04)
	// What was counted in the ten minutes that the clock showed twice seems to have been used in fewer, but never more than there is.
	if m := value(n1.CPU.Max); m < 1.95*0.99 || m > 4*1.1 {
		t.Errorf("n1 max is %g, want 1.95 or, where the clock stepped back, more, but no more than the machine has", m)
	}
	is("n1 free by use", n1.CPU.FreeByUse, 3.8-*n1.CPU.P95, 1e-9)
	is("n1 largest", &n1.CPU.LargestByRequest.Free, 2, 1e-9)
	is("n1 memory p95", n1.Memory.P95, 2.95*gi, 0.03)
	is("n1 memory max", n1.Memory.Max, 3.9*gi, 1e-9)
	// Day 10 has six hours of data: nineteen days are left. The high level of the last day is 1.95.
	tr := n1.CPU.Trend
	if tr.Days != worldDays-1 {
		t.Errorf("n1 has a trend of %d days, want %d", tr.Days, worldDays-1)
	}
	is("n1 slope", tr.Slope, 0.05, 0.02)
	is("n1 full", tr.Full, (3.8-1.95)/0.05, 0.03)
	is("n1 memory slope", n1.Memory.Trend.Slope, 0.1*gi, 0.001)
	is("n1 memory full", n1.Memory.Trend.Full, (7.5-3.9)/0.1, 0.01)
	if !(*tr.FullEarliest <= *tr.Full && *tr.Full <= *tr.FullLatest) {
		t.Errorf("full in %g, between %g and %g", *tr.Full, *tr.FullEarliest, *tr.FullLatest)
	}
	if len(n1.CPU.Points) != worldDays {
		t.Errorf("n1 has %d points, want %d", len(n1.CPU.Points), worldDays)
	}
	is("coverage", &n1.Data.Coverage, 1-24.0/24/worldDays, 0.003) // six hours and eighteen
	if !strings.Contains(n1.Data.Text, "missing in between") {
		t.Errorf("data: %q, want the gaps named", n1.Data.Text)
	}
	n2 := scope(r, NodeLevel, "n2")
	if !n2.CPU.AllocatableIsCapacity || n1.CPU.AllocatableIsCapacity {
		t.Errorf("allocatable is capacity: n1 %v, n2 %v; want false, true", n1.CPU.AllocatableIsCapacity, n2.CPU.AllocatableIsCapacity)
	}
	is("n2 p95", n2.CPU.P95, 1, 0.01)
	if f := n2.CPU.Trend.Full; f != nil {
		t.Errorf("n2 is full in %g days, want not in sight", *f)
	}
	c := scope(r, ClusterLevel, "")
	is("cluster allocatable", c.CPU.Allocatable, 11.8, 1e-9)
	is("largest block by request", &c.CPU.LargestByRequest.Free, 8-2.6, 1e-9)
	if c.CPU.LargestByRequest.Node != "n2" || c.Nodes != 2 {
		t.Errorf("cluster of %d nodes with the largest block on %q, want 2 and n2", c.Nodes, c.CPU.LargestByRequest.Node)
	}
	pool := scope(r, PoolLevel, "blue")
	is("pool p95", pool.CPU.P95, *n1.CPU.P95, 1e-9)
	is("pool slope", pool.CPU.Trend.Slope, *tr.Slope, 1e-9)
	ns := scope(r, NamespaceLevel, "shop")
	if ns.CPU.Allocatable != nil || ns.CPU.FreeByUse != nil || ns.CPU.LargestByUse != nil {
		t.Errorf("a namespace has room: %+v", ns.CPU)
	}
	is("shop requests", ns.CPU.Requests, 4*0.2+2+0.1+0.5, 1e-9)
	for _, want := range []string{`node "n3", which is not here now`, "Nothing says what containers may have"} {
		if !strings.Contains(strings.Join(r.Notes, "\n"), want) {
			t.Errorf("notes %q, want %q in them", r.Notes, want)
		}
	}
}

func testMadeRightsize(t *testing.T, r *RightsizeReport) {
	begins(t, "new/fresh", row(r, "fresh", "fresh").Data)
	f := func(workload, action string, request, advised float64, memoryAction string, memoryAdvised float64, confidence string) {
		t.Helper()
		a := row(r, workload, workload)
		if a.CPU.Action != action || value(a.CPU.Request) != request || math.Abs(value(a.CPU.Advised)-advised) > 1e-9 || a.Memory.Action != memoryAction ||
			value(a.Memory.Advised) != memoryAdvised || a.Confidence != confidence {
			t.Errorf("%s: %s %g to %g, memory %s to %g, %s\nwant %s %g to %g, memory %s to %g, %s\n%s (%s)", workload, a.CPU.Action, value(a.CPU.Request), value(a.CPU.Advised),
				a.Memory.Action, value(a.Memory.Advised), a.Confidence, action, request, advised, memoryAction, memoryAdvised, confidence, a.Reason, a.ConfidenceReason)
		}
	}
	f("web", Keep, 0.2, 0.2, Keep, 125*mi, High)      // 140m at 70 %; 100 MiB + 15 % is within a tenth of 128
	f("db", Lower, 2, 0.49, Lower, 1184*mi, High)     // p95 481m; 1 GiB + 15 % in steps of 16 MiB
	f("cache", Keep, 0.1, 0.1, Raise, 320*mi, Medium) // a quarter above the limit of 256 MiB that it hit
	f("slow", Raise, 0.5, 0.68, Set, 74*mi, Medium)   // 480m × 1.4
	f("mail", Set, -1, 0.3, Lower, 46*mi, High)       // 300m while it runs, though no pod lives longer than twelve minutes
	f("fresh", "", 1, -1, "", -1, None)               // half an hour old
	if a := row(r, "web", "web"); !a.Scaled || a.Replicas != 4 {
		t.Errorf("web: scaled %v with %d replicas, want true and 4", a.Scaled, a.Replicas)
	}
	if a := row(r, "cache", "cache"); a.OOMKills != 1 || value(a.Memory.AdvisedLimit) != 320*mi {
		t.Errorf("cache: %d kills, limit %g, want 1 and 320 MiB", a.OOMKills, value(a.Memory.AdvisedLimit))
	}
	if a := row(r, "slow", "slow"); math.Abs(or(a.Throttled, 0)-0.4) > 0.01 || math.Abs(value(a.CPU.AdvisedLimit)-0.7) > 1e-9 {
		t.Errorf("slow: throttled %g, limit %g, want 0.4 and 0.7", or(a.Throttled, 0), value(a.CPU.AdvisedLimit))
	}
	if a := row(r, "import", "import"); a.Workload != "" {
		t.Errorf("a job that ended before the window is in the report: %+v", a)
	}
	if got, want := value(row(r, "db", "db").CPU.Saving), 2-0.49; math.Abs(got-want) > 1e-9 {
		t.Errorf("db saves %g, want %g", got, want)
	}
	if r.Totals.Rows != 6 || r.Totals.Advised != 5 {
		t.Errorf("%d rows, %d with advice; want 6 and 5", r.Totals.Rows, r.Totals.Advised)
	}
}
