package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// answers is a Source that has one answer.
type answers struct{ v any }

func (a answers) Get(_ context.Context, _ string, v any) error {
	raw, err := json.Marshal(a.v)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, v)
}

// A pod is the sum of its containers, of those that have a value; what is not known comes last.
func TestPodsAreSums(t *testing.T) {
	at := func(v float64) *float64 { return &v }
	from := answers{api.ContainerList{Items: []api.Container{
		{Namespace: "d", Pod: "dark", Name: "a", CPU: at(5), WorkingSet: at(1 << 20)}, {Namespace: "d", Pod: "dark", Name: "b", WorkingSet: at(1 << 20)},
		{Namespace: "d", Pod: "none", Name: "a"}, {Namespace: "d", Pod: "small", Name: "a", CPU: at(0.1), WorkingSet: at(1 << 20)},
		{Namespace: "d", Pod: "large", Name: "a", CPU: at(0.5), WorkingSet: at(1 << 20)}, {Namespace: "d", Pod: "large", Name: "b", CPU: at(1), WorkingSet: at(3 << 20)},
		{Namespace: "other", Pod: "x", Name: "a", CPU: at(9)},
	}}}
	f := func(by, want string) {
		t.Helper()
		l, err := Kinds[1].Show(t.Context(), from, Options{Namespace: "d", SortBy: by})
		if err != nil {
			t.Fatal(err)
		}
		var rows []string
		for _, r := range l.Table.Rows {
			rows = append(rows, strings.Join(r[1:5], " "))
		}
		if got := strings.Join(rows, ", "); got != want {
			t.Errorf("by %q: got %q, want %q", by, got, want)
		}
	}
	f("", "dark 5000m 2Mi 2, large 1500m 4Mi 2, none - - 1, small 100m 1Mi 1")
	f("cpu", "dark 5000m 2Mi 2, large 1500m 4Mi 2, small 100m 1Mi 1, none - - 1")
	f("memory", "large 1500m 4Mi 2, dark 5000m 2Mi 2, small 100m 1Mi 1, none - - 1")
}

// byPath answers paths, without their queries.
type byPath map[string]any

func (b byPath) Get(ctx context.Context, path string, v any) error {
	path, _, _ = strings.Cut(path, "?")
	if err, failed := b[path].(error); failed {
		return err
	}
	return answers{b[path]}.Get(ctx, path, v)
}

// A pod that exists and of which nothing was heard has a row with what it waits for; what has ended has none, nor one of which a container has its row.
func TestPodsOfWhichNothingWasHeard(t *testing.T) {
	one, since := 1.0, time.Unix(0, 0)
	missing := func(level, title, node, reason string) api.MissingItem {
		return api.MissingItem{Level: level, Title: title, Node: node, Gap: cluster.Gap{Since: since, Reason: reason, Detail: "said"}}
	}
	from := byPath{
		"/plimsoll/v1/containers": api.ContainerList{Items: []api.Container{{Namespace: "d", Pod: "web-1", Name: "a", CPU: &one, WorkingSet: &one}, {Namespace: "d", Pod: "web-2", Name: "a", Gap: &cluster.Gap{Reason: metric.GapWaiting}}}},
		"/plimsoll/v1/missing": api.Missing{Items: []api.MissingItem{missing("node", "d/n", "n", metric.GapUnread), missing("pod", "d/web-2", "n1", metric.GapWaiting), missing("pod", "d/web-3", "n1", metric.GapStarting),
			missing("pod", "d/web-4", "", metric.GapUnscheduled), missing("pod", "d/over", "n1", metric.GapGone), missing("pod", "e/x", "n1", metric.GapUnread), missing("container", "d/web-1/b", "n1", metric.GapWaiting)}},
	}
	show := func() (List, string) {
		l, err := Kinds[1].Show(t.Context(), from, Options{Namespace: "d"})
		if err != nil {
			t.Fatal(err)
		}
		var rows []string
		for _, r := range l.Table.Rows {
			state, _, _ := strings.Cut(r[6], " since ")
			rows = append(rows, strings.Join([]string{r[1], r[2], r[4], r[5], state}, " "))
		}
		return l, strings.Join(rows, ", ")
	}
	if l, got := show(); got != "web-1 1000m 1  ok, web-2 - 1  waiting, web-3 - - n1 starting, web-4 - -  unscheduled" || len(l.Table.Lines) != 0 {
		t.Errorf("got %s; %q", got, l.Table.Lines)
	}
	from["/plimsoll/v1/missing"] = errors.New("not allowed")
	if l, got := show(); got != "web-1 1000m 1  ok, web-2 - 1  waiting" || strings.Join(l.Table.Lines, "") != "Pods of which nothing was heard are not shown: not allowed." {
		t.Errorf("got %s; %q", got, l.Table.Lines)
	}
}

// A row that lacks a value is not ok: it says which one, and why.
func TestStateSaysWhatIsMissing(t *testing.T) {
	at := func(v float64) *float64 { return &v }
	half := &cluster.Gap{Reason: metric.GapStarting, Detail: "one sample so far"}
	f := func(kind int, v any, want ...string) {
		t.Helper()
		l, err := Kinds[kind].Show(t.Context(), answers{v}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range l.Table.Rows {
			if got := r[len(r)-1]; !strings.HasPrefix(got, want[i]) {
				t.Errorf("%s: %q has %q, want %q", Kinds[kind].Name, r[0], got, want[i])
			}
		}
	}
	const noCPU, noMemory, neither = "no CPU: it is not accounted for", "no memory: it is not accounted for", "no CPU and no memory: they are not accounted for"
	f(0, api.NodeList{Items: []api.Node{{Name: "a", CPU: at(1), WorkingSet: at(1)}, {Name: "b", WorkingSet: at(1)}, {Name: "c", CPU: at(1), Status: "Ready"}, {Name: "d", Gap: half}}}, "ok", noCPU, "Ready, "+noMemory, "starting since")
	f(1, api.ContainerList{Items: []api.Container{{Pod: "a", Name: "x", CPU: at(1), WorkingSet: at(1)}, {Pod: "b", Name: "x", WorkingSet: at(1), CPU: at(1)}, {Pod: "b", Name: "y", WorkingSet: at(1)}, {Pod: "c", Name: "x"}, {Pod: "d", Name: "x", Gap: half}}},
		"ok", "1 of 2 containers; y: "+noCPU, "x: "+neither, "starting since")
	f(2, api.ContainerList{Items: []api.Container{{Name: "a", CPU: at(1), WorkingSet: at(1)}, {Name: "b", WorkingSet: at(1), Why: "its CPU is not accounted for"}, {Name: "c", WorkingSet: at(1), Why: "memory is full"}, {Name: "d", WorkingSet: at(1)}}},
		"", "its CPU is not accounted for", "memory is full; "+noCPU, noCPU)
	f(3, api.WorkloadList{Items: []api.Workload{{Name: "a", CPU: at(1), WorkingSet: at(1)}, {Name: "b", CPU: at(1)}, {Name: "c", Pods: 1}, {Name: "d", Gap: half}, {Name: "e"}}}, "ok", noMemory, neither, "starting since", "no pods")
	fails := func(reason string) *api.Scaled {
		return &api.Scaled{Scaled: cluster.Scaled{Gap: &cluster.Gap{Since: time.Unix(0, 0), Reason: reason, Detail: "so it is"}}}
	}
	since := " since " + time.Unix(0, 0).Format(time.DateTime) + ": so it is"
	f(3, api.WorkloadList{Items: []api.Workload{{CPU: at(1), WorkingSet: at(1), Scaled: &api.Scaled{}}, {CPU: at(1), WorkingSet: at(1), Scaled: fails("target")}, {CPU: at(1), Scaled: fails("target")}, {Scaled: fails(cluster.GapScale)}, {CPU: at(1), WorkingSet: at(1), Scaled: fails(cluster.GapPolicy)}}},
		"ok", "metrics fail"+since, noMemory+"; metrics fail"+since, "no pods; scale not known"+since, "policy not in force"+since)
}

// What is on silent machines is one sentence, and rows only where everything is wanted.
func TestSilentRowsAreFolded(t *testing.T) {
	half, silent := 0.5, &cluster.Gap{Reason: metric.GapSilent}
	for i, from := range []answers{{}, {api.ContainerList{Items: []api.Container{{Namespace: "d", Pod: "alive", Name: "a", CPU: &half}, {Namespace: "d", Pod: "x", Name: "x", Gap: silent}, {Namespace: "d", Pod: "y", Name: "y", Gap: silent}}}}, {}, {api.WorkloadList{Items: []api.Workload{{Namespace: "d", Name: "alive"}, {Namespace: "d", Name: "x", Gap: silent}}}}} {
		if from.v == nil {
			continue
		}
		l, err := Kinds[i].Show(t.Context(), from, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var narrow, wide strings.Builder
		if err := errors.Join(l.Table.Write(&narrow, false, false), l.Table.Write(&wide, true, false)); err != nil {
			t.Fatal(err)
		}
		want := map[int]string{1: "2 pods on silent machines are not shown", 3: "1 workload on a silent machine is not shown"}[i]
		if !strings.HasPrefix(narrow.String(), want) || !strings.Contains(narrow.String(), "alive") || strings.Contains(narrow.String(), "   x") || !strings.Contains(wide.String(), "   x") {
			t.Errorf("%s: got %q, wide %q; want %q", Kinds[i].Name, narrow.String(), wide.String(), want)
		}
	}
}

// A list that was cut says so, and of how many.
func TestCutListsSaySo(t *testing.T) {
	for i, want := range map[int]string{1: "2 of 31000 containers were read, what hurts most first: pods of the others", 2: "2 of 31000 containers were read, what hurts most first: the others are not shown"} {
		list := api.ContainerList{Total: 40000, Found: 31000, Items: []api.Container{{Namespace: "d", Pod: "x", Name: "x"}, {Namespace: "d", Pod: "y", Name: "y"}}}
		for _, left := range []bool{true, false} {
			if !left {
				list.Found = 2
			}
			l, err := Kinds[i].Show(t.Context(), answers{list}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(l.Table.Lines, "\n"); strings.HasPrefix(got, want) != left || !left && got != "" {
				t.Errorf("%s: got %q, want %q: %v", Kinds[i].Name, got, want, left)
			}
		}
	}
}

// Things of one name on two machines are two rows, which say where they are, now and over the past.
func TestTwoMachines(t *testing.T) {
	on := func(node string) map[string]string {
		return map[string]string{"namespace": "d", "pod": "x", "container": "x", "node": node}
	}
	past := answers{api.SeriesList{Series: []api.Series{{Labels: on("n1"), Points: [][2]float64{{1, 0.5}}}, {Labels: on("n2"), Points: [][2]float64{{1, 0.25}}}}}}
	now := answers{api.ContainerList{Items: []api.Container{{Namespace: "d", Pod: "x", Name: "x", Node: "n1"}, {Namespace: "d", Pod: "x", Name: "x", Node: "n2"}}}}
	for i := 1; i <= 2; i++ {
		for over, from := range map[time.Duration]answers{0: now, time.Hour: past} {
			l, err := Kinds[i].Show(t.Context(), from, Options{Over: over})
			if err != nil {
				t.Fatal(err)
			}
			var wide strings.Builder
			if err := l.Table.Write(&wide, true, false); err != nil {
				t.Fatal(err)
			}
			if got := wide.String(); len(l.Table.Rows) != 2 || !strings.Contains(got, "n1") || !strings.Contains(got, "n2") {
				t.Errorf("%s over %v: got %q", Kinds[i].Name, over, got)
			}
		}
	}
}

// asked is a Source that remembers what it was asked for.
type asked struct{ metrics []string }

func (a *asked) Get(_ context.Context, path string, _ any) error {
	u, err := url.Parse(path)
	a.metrics = append(a.metrics, u.Query().Get("metric"))
	return err
}

// Over the past, pods and workloads are asked for as such: what their containers had at a time cannot be told from what each had over a long time.
func TestPastAsksForSums(t *testing.T) {
	for i, want := range []string{"node", "pod", "container", "workload"} {
		var from asked
		if _, err := Kinds[i].Show(t.Context(), &from, Options{Over: 7 * 24 * time.Hour}); err != nil {
			t.Fatal(err)
		}
		metrics := []string{want + "_cpu_usage_seconds_total", want + "_memory_working_set_bytes"}
		if want != "container" {
			metrics = append(metrics, want+"_missing_parts")
		}
		if d := cmp.Diff(metrics, from.metrics); d != "" {
			t.Errorf("top %s: want -, got +:\n%s", Kinds[i].Name, d)
		}
	}
}

// byMetric answers series by their metric.
type byMetric map[string]api.SeriesList

func (b byMetric) Get(ctx context.Context, path string, v any) error {
	u, err := url.Parse(path)
	if err != nil {
		return err
	}
	return answers{b[u.Query().Get("metric")]}.Get(ctx, "", v)
}

// A sum that lacks a part carries its mark in every table and document, now and over the past.
func TestSumsAreMarked(t *testing.T) {
	one := 1.0
	half := &cluster.Gap{Since: time.Unix(0, 0), Reason: metric.GapMember, Detail: "1 of 3: pod d/web-2: silent"}
	parts := func(unit string) *api.Parts { return &api.Parts{Counted: 2, Of: 3, Unit: unit} }
	for i, from := range map[int]Source{
		0: answers{api.NodeList{Items: []api.Node{{Name: "n1", CPU: &one, WorkingSet: &one, Status: "Ready", Partial: []string{"cpu"}, Parts: parts("pods")}, {Name: "n2", CPU: &one, WorkingSet: &one}}}},
		3: answers{api.WorkloadList{Items: []api.Workload{{Name: "web", CPU: &one, WorkingSet: &one, Partial: []string{"cpu"}, Parts: parts("pods"), Gap: half}, {Name: "whole", CPU: &one, WorkingSet: &one}}}},
	} {
		l, err := Kinds[i].Show(t.Context(), from, Options{})
		if err != nil {
			t.Fatal(err)
		}
		last := func(row int) string { return l.Table.Rows[row][len(l.Table.Rows[row])-1] }
		if !strings.HasPrefix(last(0), "2 of 3 pods; ") || strings.Contains(last(1), " of ") {
			t.Errorf("%s: %q and %q", Kinds[i].Name, last(0), last(1))
		}
		if raw, err := json.Marshal(l.Document); err != nil || strings.Count(string(raw), `"parts":{"counted":2,"of":3,"unit":"pods"}`) != 1 {
			t.Errorf("%s: %v %s", Kinds[i].Name, err, raw)
		}
	}
	l, err := Kinds[1].Show(t.Context(), answers{api.ContainerList{Items: []api.Container{{Pod: "web", Name: "a", CPU: &one, WorkingSet: &one},
		{Pod: "web", Name: "b", Gap: &cluster.Gap{Since: time.Unix(0, 0), Reason: metric.GapWaiting, Detail: "ImagePullBackOff"}}, {Pod: "whole", Name: "a", CPU: &one, WorkingSet: &one}}}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := l.Table.Rows; got[0][2] != "1000m" || !strings.HasPrefix(got[0][len(got[0])-1], "1 of 2 containers; waiting since ") || got[1][len(got[1])-1] != "ok" {
		t.Errorf("pods: %q", got)
	}
	if raw, err := json.Marshal(l.Document); err != nil || strings.Count(string(raw), `"partial":["cpu","workingSet"],"parts":{"counted":1,"of":2,"unit":"containers"}`) != 1 {
		t.Errorf("pods: %v %s", err, raw)
	}
	web, whole := map[string]string{"namespace": "d", "workload_kind": "Deployment", "workload": "web"}, map[string]string{"namespace": "d", "workload_kind": "Deployment", "workload": "whole"}
	gone := map[string]string{"namespace": "d", "workload_kind": "Deployment", "workload": "gone"}
	l, err = Kinds[3].Show(t.Context(), byMetric{
		"workload_cpu_usage_seconds_total": {Series: []api.Series{{Labels: web, Points: [][2]float64{{1, 2}}}, {Labels: whole, Points: [][2]float64{{1, 1}}}}},
		"workload_missing_parts":           {Series: []api.Series{{Labels: web, Points: [][2]float64{{1, 2}}}, {Labels: gone, Points: [][2]float64{{1, 2}}}}},
	}, Options{Over: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(l.Table.Rows); got != "[[d Deployment web 2000m - up to 2 pods] [d Deployment whole 1000m - -]]" {
		t.Errorf("got %s", got)
	}
	if raw, err := json.Marshal(l.Document); err != nil || strings.Count(string(raw), `"missing":2`) != 1 || strings.Contains(string(raw), `"missing":0`) {
		t.Errorf("%v %s", err, raw)
	}
}
