package heapster

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/model"

	diff "github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	f := func(path string, historical bool, want ask) {
		t.Helper()
		got, err := parse(path, historical)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		if d := diff.Diff(want, got, diff.AllowUnexported(ask{}, target{})); d != "" {
			t.Errorf("%s (-want +got):\n%s", path, d)
		}
	}
	one := func(a ask) ask { a.targets = []target{a.target}; return a }
	f("metrics", false, one(ask{what: listMetrics}))
	f("metrics/cpu-usage", false, one(ask{what: oneSeries, metric: "cpu/usage_rate"}))
	f("nodes/n%2F1/metrics/custom/a/b/", false, one(ask{what: oneSeries, target: target{level: model.Node, node: "n/1"}, metric: "custom/a/b"}))
	f("nodes/metrics/metrics/", false, one(ask{what: listMetrics, target: target{level: model.Node, node: "metrics"}}))
	f("nodes/n/freecontainers/a%2Fb/metrics/uptime", false, one(ask{what: oneSeries, target: target{level: model.SystemContainer, node: "n", container: "a/b"}, metric: "uptime"}))
	f("namespaces/x/pods/pods/containers/containers/metrics", false, one(ask{what: listMetrics, target: target{level: model.PodContainer, namespace: "x", pod: "pods", container: "containers"}}))
	f("namespaces/x/pod-list/a,b/metrics-aggregated/max,99-perc/uptime", true, ask{what: aggregated, many: true, metric: "uptime", aggs: []string{"max", "99-perc"},
		target: target{level: model.Pod}, targets: []target{{level: model.Pod, namespace: "x", pod: "a"}, {level: model.Pod, namespace: "x", pod: "b"}}})
	f("pod-id/u/metrics", true, one(ask{what: listMetrics, target: target{level: model.Pod, podID: "u"}}))
}

func TestBuckets(t *testing.T) {
	f := func(s string, want time.Duration) {
		t.Helper()
		if got, err := parseBucket(s); got != want || err != nil {
			t.Errorf("%q: got %v %v, want %v", s, got, err, want)
		}
	}
	f("", 0)
	f("1ms", time.Millisecond)
	f("90s", 90*time.Second)
	f("5m", 5*time.Minute)
	f("2h", 2*time.Hour)
	f("25d", 25*24*time.Hour)
}

// Numbers as clients of both kinds read them.
func TestPoints(t *testing.T) {
	f := func(v float64, value uint64, float bool) {
		t.Helper()
		got := pointOf(point{v: v})
		if got.Value != value || (got.FloatValue != nil) != float || float && *got.FloatValue != v {
			t.Errorf("%v: got %v %v, want %v %v", v, got.Value, got.FloatValue, value, float)
		}
	}
	f(0, 0, false)
	f(250, 250, false)
	f(.71, 0, true)
	f(12.5, 12, true)
	f(-3, 0, true)
	f(1e30, 1<<63, true)
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"metrics/", "nodes/n1/freecontainers/a%2Fb/metrics/cpu/usage", "namespaces/x/pod-list/a,b/metrics/uptime",
		"pod-id-list/a,b/metrics-aggregated/max,min/memory/usage", "debug/allkeys", "%zz", "nodes//metrics", "namespaces/x/pods/p/containers/c/metrics"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, path string, historical bool) {
		a, err := parse(path, historical)
		if err != nil {
			var status interface{ HTTPStatus() int }
			if s, ok := err.(interface{ HTTPStatus() int }); !ok || s.HTTPStatus() != 400 && s.HTTPStatus() != 404 {
				t.Errorf("%q: %v has no status (%v)", path, err, status)
			}
			return
		}
		if len(a.targets) == 0 || len(a.targets) > maxTargets || a.many != (len(a.targets) > 1 || a.many) {
			t.Errorf("%q: %d targets", path, len(a.targets))
		}
		if (a.what == oneSeries || a.what == aggregated) != (a.metric != "") || (a.what == aggregated) != (len(a.aggs) > 0) {
			t.Errorf("%q: got %+v", path, a)
		}
		if !historical && (a.what == aggregated || a.targets[0].podID != "") {
			t.Errorf("%q is not of the model: %+v", path, a)
		}
		for _, x := range a.targets {
			full := map[model.Kind]bool{model.Cluster: true, model.Node: x.node != "", model.SystemContainer: x.node != "" && x.container != "", model.Namespace: x.namespace != "",
				model.Pod: x.podID != "" || x.namespace != "" && x.pod != "", model.PodContainer: x.container != ""}[x.level]
			if !full && a.what != listNodes && a.what != listNamespaces && a.what != listKeys {
				t.Errorf("%q: a name is missing in %+v", path, x)
			}
		}
	})
}

func FuzzParams(f *testing.F) {
	for _, s := range []string{"", "start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00.5+02:00", "labels=resource_id:8:0,a:b", "bucket=25d", "bucket=9223372036854775807ms", "labels=%00:%ff"} {
		f.Add(s)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL = &url.URL{Path: "/", RawQuery: query}
		p, err := readParams(r, now)
		if err != nil {
			return
		}
		if p.end.IsZero() && !strings.Contains(query, "end=") || p.bucket < 0 {
			t.Errorf("%q: got %+v", query, p)
		}
		h := history{resolution: 10 * time.Second}
		if !p.start.IsZero() && p.end.After(p.start) {
			if g, some := h.grid(p.start, p.end); some && (g.start.Before(p.start) || g.end.After(p.end) || g.end.Sub(g.start)/g.step > maxSteps) {
				t.Errorf("%q: grid %+v", query, g)
			}
			width := max(p.bucket, p.end.Sub(p.start)/maxBuckets, time.Millisecond)
			if g := h.stepsOf(p.start, p.end, width); g.start.Before(p.start) || !g.end.Equal(p.end) || g.end.Sub(g.start)/g.step > maxBuckets+1 {
				t.Errorf("%q: steps %+v", query, g)
			}
		}
	})
}
