package heapster

import (
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

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
	f("nodes/n%2F1/metrics/custom/a/b/", false, one(ask{what: oneSeries, target: target{level: node, node: "n/1"}, metric: "custom/a/b"}))
	f("nodes/metrics/metrics/", false, one(ask{what: listMetrics, target: target{level: node, node: "metrics"}}))
	f("nodes/n/freecontainers/a%2Fb/metrics/uptime", false, one(ask{what: oneSeries, target: target{level: sysContainer, node: "n", container: "a/b"}, metric: "uptime"}))
	f("namespaces/x/pods/pods/containers/containers/metrics", false, one(ask{what: listMetrics, target: target{level: podContainer, namespace: "x", pod: "pods", container: "containers"}}))
	f("namespaces/x/pod-list/a,b/metrics-aggregated/max,99-perc/uptime", true, ask{what: aggregated, many: true, metric: "uptime", aggs: []string{"max", "99-perc"},
		target: target{level: pod}, targets: []target{{level: pod, namespace: "x", pod: "a"}, {level: pod, namespace: "x", pod: "b"}}})
	f("pod-id/u/metrics", true, one(ask{what: listMetrics, target: target{level: pod, podID: "u"}}))
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
			full := map[level]bool{cluster: true, node: x.node != "", sysContainer: x.node != "" && x.container != "", namespace: x.namespace != "",
				pod: x.podID != "" || x.namespace != "" && x.pod != "", podContainer: x.container != ""}[x.level]
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

func TestSpecsAreWhatHeapsterHad(t *testing.T) {
	var names []string
	for _, s := range newSpecs() {
		names = append(names, s.name)
	}
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("not sorted, or twice: %v", names)
	}
	for _, want := range []string{"uptime", "cpu/usage", "cpu/usage_rate", "cpu/request", "cpu/limit", "cpu/node_capacity", "cpu/node_allocatable", "cpu/node_utilization",
		"cpu/node_reservation", "memory/usage", "memory/working_set", "memory/rss", "memory/cache", "memory/page_faults", "memory/major_page_faults", "memory/page_faults_rate",
		"memory/major_page_faults_rate", "memory/request", "memory/limit", "memory/node_capacity", "memory/node_allocatable", "memory/node_utilization", "memory/node_reservation",
		"network/rx", "network/tx", "network/rx_errors", "network/tx_errors", "network/rx_rate", "network/tx_rate", "network/rx_errors_rate", "network/tx_errors_rate",
		"filesystem/usage", "filesystem/limit", "filesystem/available", "filesystem/inodes", "filesystem/inodes_free", "disk/io_read_bytes", "disk/io_write_bytes",
		"disk/io_read_bytes_rate", "disk/io_write_bytes_rate", "restart_count"} {
		if !slices.Contains(names, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

// The two ways of leaving out inner interfaces agree.
func TestInnerInterfaces(t *testing.T) {
	re := regexp.MustCompile("^(?s:" + virtualInterfaces + ")$")
	for iface, want := range map[string]bool{"lo": true, "eth0": false, "enp0s31f6": false, "wlan0": false, "eth0.7": true, "veth12ab": true, "docker0": true,
		"br-8e1f": true, "bond0": true, "wg0": true, "lo1": false, "ens3": false, "tap0": true} {
		if got := inner(iface, node); got != want || re.MatchString(iface) != want {
			t.Errorf("%q: got %v, by the expression %v, want %v", iface, got, re.MatchString(iface), want)
		}
		if got := inner(iface, pod); got != (iface == "lo") {
			t.Errorf("%q in a pod: got %v", iface, got)
		}
	}
}
