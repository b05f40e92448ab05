package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/store"
)

// asked is a history that keeps the question.
type asked struct {
	q   store.Query
	err error
}

func (a *asked) Query(_ context.Context, q store.Query) ([]store.Series, error) {
	a.q = q
	return []store.Series{{Labels: []metric.Label{{Name: "node", Value: "n1"}}, Samples: []store.Sample{{T: 1500, V: 2}, {T: 2500, V: 3}}}}, a.err
}

func series(t *testing.T, h *asked, query string) (int, string) {
	t.Helper()
	a, err := New(Options{Pictures: pictures(func(time.Time) *live.Snapshot { return nil }), History: h})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	err = a.getSeries(w, httptest.NewRequestWithContext(scope.With(t.Context(), scope.Whole()), http.MethodGet, "/plimsoll/v1/series?"+query, nil))
	var known interface{ HTTPStatus() int }
	switch {
	case errors.As(err, &known):
		return known.HTTPStatus(), err.Error()
	case err != nil:
		t.Fatalf("%s: %v", query, err)
	}
	return w.Code, w.Body.String()
}

func TestSeriesAsksTheStructuredQuery(t *testing.T) {
	h := &asked{}
	code, body := series(t, h, "metric=container_cpu_usage_seconds_total&namespace=demo&pod=web-1&start=100&end=1970-01-01T00:03:20Z&step=10&window=25s&by=node,pod&join=max")
	if code != 200 {
		t.Fatalf("got %d %s", code, body)
	}
	want := store.Query{Row: metric.CPUUsage, Level: metric.Container, Start: time.Unix(100, 0).UTC(), End: time.Unix(200, 0).UTC(), Step: 10 * time.Second, Window: 25 * time.Second,
		Func: store.Rate, Join: store.Max, By: []string{"node", "pod"}, Limit: maxSeriesPoints,
		Matchers: []store.Matcher{{Name: "namespace", Op: store.Equal, Value: "demo"}, {Name: "pod", Op: store.Equal, Value: "web-1"}}}
	if d := cmp.Diff(want, h.q); d != "" {
		t.Errorf("query (-want +got):\n%s", d)
	}
	var got SeriesList
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(SeriesList{Schema: "plimsoll.dev/series/v1", Series: []Series{{Labels: map[string]string{"node": "n1"}, Points: [][2]float64{{1.5, 2}, {2.5, 3}}}}}, got); d != "" {
		t.Errorf("answer (-want +got):\n%s", d)
	}
}

func TestSeriesOfInterfacesAndOtherParts(t *testing.T) {
	f := func(query string, want ...store.Matcher) {
		t.Helper()
		h := &asked{}
		if code, body := series(t, h, query+"&start=1&end=2"); code != 200 {
			t.Fatalf("%s: got %d %s", query, code, body)
		}
		if d := cmp.Diff(want, h.q.Matchers); d != "" {
			t.Errorf("%s: matchers (-want +got):\n%s", query, d)
		}
	}
	node := store.Matcher{Name: "node", Op: store.Equal, Value: "n1"}
	outward := store.Matcher{Name: "interface", Op: store.NotRegexp, Value: inwardPattern}
	f("metric=node_network_receive_bytes_total", outward)
	f("metric=node_network_transmit_packets_dropped_total&node=n1&by=interface", node, outward)
	f("metric=node_network_receive_bytes_total&node=n1&sub=lo", node, store.Matcher{Name: "interface", Op: store.Equal, Value: "lo"})
	f("metric=node_fs_reads_bytes_total")
	f("metric=node_fs_reads_bytes_total&sub=vda", store.Matcher{Name: "device", Op: store.Equal, Value: "vda"})
	f("metric=container_network_receive_bytes_total")
	f("metric=workload_scale_load_ratio&sub=cpu", store.Matcher{Name: "metric", Op: store.Equal, Value: "cpu"})
}

// Series join as the catalogue says, unless the query says otherwise.
func TestSeriesJoinAsTheCatalogueSays(t *testing.T) {
	for query, want := range map[string]store.Func{"metric=node_cpu_usage_seconds_total": store.Sum, "metric=node_pressure_io_waiting_seconds_total": store.Max,
		"metric=node_pressure_io_waiting_seconds_total&join=avg": store.Avg, "metric=workload_scale_load_ratio": store.Max, "metric=container_start_time_seconds": store.Min} {
		h := &asked{}
		if series(t, h, query+"&start=1&end=2&by="); h.q.Join != want {
			t.Errorf("%s joins by %q, want %q", query, h.q.Join, want)
		}
	}
}

func TestInwardPatternSaysWhatVirtualSays(t *testing.T) {
	re, err := regexp.Compile("^(?s:" + inwardPattern + ")$")
	if err != nil {
		t.Fatal(err)
	}
	for iface, want := range map[string]bool{"": false, "lo": true, "eth0": false, "enp0s31f6": false, "wlan0": false, "long0": false, "eth0.7": true,
		"veth12ab": true, "br-1f": true, "br0": false, "kube-ipvs0": true, "wg0": true, "xveth": false} {
		if got := virtual(iface); got != want {
			t.Errorf("virtual(%q) = %v, want %v", iface, got, want)
		}
		if got := re.MatchString(iface); got != want {
			t.Errorf("inwardPattern on %q: %v, want %v", iface, got, want)
		}
	}
}

func TestSeriesRefuses(t *testing.T) {
	f := func(query string, err error, want int, text string) {
		t.Helper()
		if code, got := series(t, &asked{err: err}, query); code != want || !strings.Contains(got, text) {
			t.Errorf("%s: got %d %q, want %d with %q", query, code, got, want, text)
		}
	}
	const good = "metric=node_memory_working_set_bytes&start=1&end=2"
	f(good, nil, 200, "series")
	f("metric=node_memory_working_set_bytes&start=1&end=253402300799", nil, 200, "series")
	f("metric=node_memory_working_set_bytes&start=1&end=253402300800", nil, 400, `end "253402300800" is not a time`)
	f("start=1&end=2", nil, 400, `metric ""`)
	f("metric=nonsense&start=1&end=2", nil, 400, `"nonsense" is not in the catalogue (docs/`)
	f("metric=pressure_cpu_waiting_ratio&start=1&end=2", nil, 400, `is not in the catalogue: it is a field, of container_pressure_cpu_waiting_seconds_total, pod_pressure_cpu_waiting_seconds_total, node_`)
	f("metric=container_memory_failures_total&start=0&end=2", nil, 400, "give failure_type (pgfault or pgmajfault) and scope (container)")
	f("metric=container_memory_failures_total&scope=container&start=0&end=2", nil, 400, "give failure_type (pgfault or pgmajfault)")
	f("metric=container_memory_failures_total&failure_type=pgfault&start=0&end=2", nil, 400, "give scope (container)")
	f("metric=kube_pod_container_resource_limits&resource=cpu&unit=byte&start=0&end=2", nil, 400, "nothing with this resource and unit")
	f("metric=container_memory_failures_total&failure_type=pgfault&scope=container&by=failure_type&start=1&end=2", nil, 200, "series")
	f("metric=container_memory_failures_total&failure_type=pgfault&scope=container&start=1&end=2", nil, 200, "series")
	f("metric=kube_pod_status_phase&phase=Running&start=1&end=2", nil, 200, "series")
	f("metric=kube_node_status_condition&condition=Ready&start=1&end=2", nil, 400, "give status (true)")
	f("metric=pool_memory_working_set_bytes&pool=blue&by=pool&start=1&end=2", nil, 200, "series")
	f("metric=node_memory_working_set_bytes&end=2", nil, 400, `start ""`)
	f(good+"&step=soon", nil, 400, `step "soon"`)
	f(good+"&step=-1", nil, 400, `step "-1"`)
	f(good+"&func=mode", nil, 400, `func "mode"`)
	f(good+"&q=2", nil, 400, `q "2"`)
	f(good+"&by=nolabel", nil, 400, `by "nolabel" is not known: allowed are cluster, node`)
	f(good+"&by=node,pod", nil, 400, `by "pod"`)
	f(good+"&by=", nil, 200, "series")
	f(good+"&func=quantile", nil, 400, `func "quantile" needs q`)
	f(good+"&func=quantile&q=0", nil, 200, "series")
	f(good+"&sub=eth0", nil, 400, `sub "eth0"`)
	f(good+"&q=NaN", nil, 400, `q "NaN"`)
	f(good+"&drop=table", nil, 400, `"drop"`)
	f(good, store.ErrBadQuery, 400, "bad query")
	f(good, store.ErrTooLarge, 422, "too large")
	f(good, context.DeadlineExceeded, 504, "deadline")
}
