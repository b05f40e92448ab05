package heapster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"plimsoll.dev/plimsoll/aggregator/live"
	words "plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/store"
)

// The 19 routes of the model, in the order of Heapster's own list.
func TestModelRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := filled(t, time.Now(), 20*time.Minute, nil)
		defer r.close(t)
		const at = "?start=1999-12-31T23:59:30Z&end=2000-01-01T00:00:00Z"
		for _, c := range []struct {
			file  string
			paths []string
		}{
			{"01-cluster-metrics.txt", []string{"metrics/"}},
			{"02-cluster-metric.txt", []string{"metrics/cpu/usage_rate" + at, "metrics/memory-usage" + at}},
			{"03-nodes.txt", []string{"nodes/"}},
			{"04-node-metrics.txt", []string{"nodes/n1/metrics/"}},
			{"05-node-metric.txt", []string{"nodes/n1/metrics/cpu/usage" + at, "nodes/n1/metrics/cpu/node_utilization" + at, "nodes/n1/metrics/cpu/node_reservation" + at,
				"nodes/n1/metrics/memory/node_utilization" + at, "nodes/n1/metrics/network/rx_rate" + at, "nodes/n1/metrics/memory/request" + at, "nodes/n1/metrics/uptime" + at,
				"nodes/n1/metrics/filesystem/usage" + at + "&labels=resource_id:/dev/vdb", "nodes/n1/metrics/disk/io_read_bytes_rate" + at + "&labels=resource_id:8:0"}},
			{"06-freecontainers.txt", []string{"nodes/n1/freecontainers/"}},
			{"07-freecontainer-metrics.txt", []string{"nodes/n1/freecontainers/ssh.service/metrics"}},
			{"08-freecontainer-metric.txt", []string{"nodes/n1/freecontainers/ssh.service/metrics/memory/working_set" + at, "nodes/n1/freecontainers/my%2Fbatch/metrics/cpu/usage_rate" + at}},
			{"09-namespaces.txt", []string{"namespaces/"}},
			{"10-namespace-metrics.txt", []string{"namespaces/demo/metrics"}},
			{"11-namespace-metric.txt", []string{"namespaces/demo/metrics/cpu-usage" + at, "namespaces/demo/metrics/memory/limit" + at}},
			{"12-pods.txt", []string{"namespaces/demo/pods/"}},
			{"13-pod-metrics.txt", []string{"namespaces/docker/pods/postgres/metrics"}},
			{"14-pod-metric.txt", []string{"namespaces/docker/pods/postgres/metrics/network/tx_rate" + at, "namespaces/docker/pods/postgres/metrics/restart_count" + at, "namespaces/demo/pods/web-1/metrics/memory-working" + at}},
			{"15-containers.txt", []string{"namespaces/demo/pods/web-1/containers"}},
			{"16-container-metrics.txt", []string{"namespaces/docker/pods/postgres/containers/postgres/metrics"}},
			{"17-container-metric.txt", []string{"namespaces/demo/pods/web-1/containers/web/metrics/cpu-limit" + at, "namespaces/docker/pods/postgres/containers/postgres/metrics/memory/page_faults_rate" + at}},
			{"18-pod-list.txt", []string{"namespaces/demo/pod-list/web-2,nope,web-1/metrics/memory-usage" + at}},
			{"19-allkeys.txt", []string{"debug/allkeys"}},
		} {
			for i := range c.paths {
				c.paths[i] = modelBase + c.paths[i]
			}
			golden(t, r, c.file, c.paths...)
		}
		golden(t, r, "20-metric-export.txt", "/api/v1/metric-export")
		golden(t, r, "21-metric-export-schema.txt", "/api/v1/metric-export-schema")
	})
}

func TestHistoricalRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := filled(t, time.Now(), 20*time.Minute, nil)
		defer r.close(t)
		const (
			short = "?start=1999-12-31T23:59:40Z&end=2000-01-01T00:00:00Z"
			long  = "?start=1999-12-31T23:50:00Z&end=2000-01-01T00:00:00Z"
			all   = "average,max,min,median,count,50-perc,95-perc,99-perc"
		)
		for _, c := range []struct {
			file  string
			paths []string
		}{
			{"30-lists.txt", []string{"nodes/", "nodes/n1/freecontainers/", "namespaces/", "namespaces/demo/pods/", "namespaces/demo/pods/web-1/containers"}},
			{"31-names.txt", []string{"metrics/", "nodes/n1/metrics/", "nodes/n1/freecontainers/ssh.service/metrics", "namespaces/demo/metrics", "namespaces/docker/pods/postgres/metrics", "namespaces/docker/pods/postgres/containers/postgres/metrics"}},
			{"32-series.txt", []string{"metrics/cpu/usage_rate" + short, "nodes/n1/metrics/memory/node_utilization" + short, "nodes/n1/freecontainers/ssh.service/metrics/memory/usage" + short,
				"namespaces/demo/metrics/memory/usage" + short, "namespaces/demo/pods/web-1/metrics/cpu/usage" + short, "namespaces/demo/pods/web-1/containers/web/metrics/cpu/limit" + short,
				"namespaces/demo/pod-list/web-1,web-2/metrics/memory/usage" + short, "pod-id/" + docID + "/metrics/memory/rss" + short,
				"pod-id/" + docID + "/containers/postgres/metrics/uptime" + short, "pod-id-list/demo.web-1," + docID + "/metrics/memory/usage" + short}},
			{"33-aggregated.txt", []string{"metrics-aggregated/" + all + "/cpu/usage_rate" + long, "nodes/n1/metrics-aggregated/average,max/cpu/node_utilization" + long + "&bucket=5m",
				"nodes/n1/freecontainers/ssh.service/metrics-aggregated/count,max/memory/usage" + long, "namespaces/demo/metrics-aggregated/max,min/cpu/usage_rate" + long + "&bucket=4m",
				"namespaces/demo/pods/web-1/metrics-aggregated/average,95-perc/memory/usage" + long, "namespaces/demo/pods/web-1/containers/web/metrics-aggregated/median/memory/usage" + long,
				"namespaces/demo/pod-list/web-1,nope/metrics-aggregated/max/memory/usage" + long, "pod-id/demo.web-2/metrics-aggregated/count/memory/usage" + long,
				"pod-id/demo.web-2/containers/web/metrics-aggregated/max/memory/usage" + long, "pod-id-list/demo.web-2,demo.web-1/metrics-aggregated/min/memory/usage" + long,
				"nodes/n1/metrics-aggregated/max/filesystem/usage" + long + "&labels=resource_id:/dev/vdb"}},
		} {
			for i := range c.paths {
				c.paths[i] = historyBase + c.paths[i]
			}
			golden(t, r, c.file, c.paths...)
		}
	})
}

// What is not known is 200 and empty, as in Heapster.
func TestUnknownIsEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := filled(t, time.Now(), time.Minute, nil)
		defer r.close(t)
		const series = `{"metrics":[],"latestTimestamp":"0001-01-01T00:00:00Z"}`
		for path, want := range map[string]string{
			"model/nodes/nope/metrics/":                                                               "[]",
			"model/nodes/nope/freecontainers":                                                         "[]",
			"model/namespaces/nope/pods":                                                              "[]",
			"model/namespaces/nope/pods/x/containers/":                                                "[]",
			"model/namespaces/system/pods":                                                            "[]", // system containers are no pods
			"model/nodes/nope/metrics/cpu/usage_rate":                                                 series,
			"model/nodes/n1/metrics/cpu/nope":                                                         series,
			"model/metrics/cpu/usage":                                                                 series, // a cluster has rates only
			"model/nodes/n1/metrics/filesystem/usage":                                                 series, // needs its label
			"model/nodes/n1/metrics/filesystem/usage?labels=device:x":                                 series,
			"model/nodes/n1/metrics/cpu/usage_rate?labels=resource_id:x":                              series, // has no label
			"model/namespaces/demo/pods/web-1/metrics/cpu/usage_rate?end=1990-01-01T00:00:00Z":        series,
			"historical/nodes/nope/metrics/":                                                          "[]",
			"historical/pod-id/nope/metrics":                                                          "[]",
			"historical/pod-id/nope/metrics/cpu/usage_rate?start=1999-12-31T00:00:00Z":                series,
			"historical/pod-id/nope/metrics-aggregated/max/cpu/usage_rate?start=1999-12-31T00:00:00Z": `{"buckets":[],"bucketSize":86400000000000}`,
		} {
			rec := get(r, "/api/v1/"+path)
			if got := strings.TrimSpace(rec.Body.String()); rec.Code != 200 || got != want {
				t.Errorf("%s: got %d %s, want %s", path, rec.Code, got, want)
			}
		}
	})
}

func TestBadRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := filled(t, time.Now(), time.Minute, nil)
		defer r.close(t)
		agg := "historical/metrics-aggregated/max/cpu/usage_rate?start=1999-12-31T00:00:00Z"
		for _, c := range []struct {
			path   string
			status int
			says   string
		}{
			{"model/metrics/cpu/usage_rate?start=now", 400, `start "now" is not a time as in RFC 3339`},
			{"model/metrics/cpu/usage_rate?end=1h", 400, `end "1h" is not a time`},
			{"model/nodes/n1/metrics/filesystem/usage?labels=resource_id", 400, `label "resource_id" is not of the form key:value`},
			{"model/nodes/n1/metrics/filesystem/usage?labels=abc:", 400, `label "abc:" is not of the form key:value`},
			{"model/nodes/n1/metrics/filesystem/usage?labels=a:b,", 400, `label "" is not of the form`},
			{"model/nodes/n1/metrics/filesystem/usage?labels=a:b,a:c", 400, `label "a" is given twice`},
			{"model/metrics?a=%zz", 400, "cannot read the query"},
			{"model/", 404, `there is nothing at ""`},
			{"model/pods", 404, `there is nothing at "pods"`},
			{"model/nodes/n1", 404, "there is nothing"},
			{"model/nodes/n1/freecontainers/x", 404, "there is nothing"},
			{"model/namespaces/demo", 404, "there is nothing"},
			{"model/namespaces/demo/pods/web-1", 404, "there is nothing"},
			{"model/namespaces/demo/pods/web-1/containers/web", 404, "there is nothing"},
			{"model/namespaces/demo/pod-list/a,b/metrics", 404, "there is nothing"},
			{"model/namespaces/demo/pod-list/a,,b/metrics/cpu/usage_rate", 400, `the list "a,,b" holds an empty name`},
			{"model/namespaces/demo/pod-list/" + strings.Repeat("a,", 500) + "a/metrics/cpu/usage_rate", 400, "names 501 pods: at most 500"},
			{"model/metrics-aggregated/max/cpu/usage_rate", 404, "there is nothing"},
			{"model/pod-id/x/metrics/cpu/usage_rate", 404, "there is nothing"},
			{"historical/debug/allkeys", 404, "there is nothing"},
			{"historical/pod-id/x/containers", 404, "there is nothing"},
			{"historical/metrics/cpu/usage_rate", 400, "start is missing"},
			{"historical/metrics/cpu/usage_rate?start=2000-01-01T00:00:00Z&end=1999-01-01T00:00:00Z", 400, `end "1999-01-01T00:00:00Z" is before start`},
			{"historical/metrics/cpu/usage_rate?start=1000-01-01T00:00:00Z&end=1001-01-01T00:00:00Z", 400, "cannot read the history"},
			{"historical/metrics-aggregated/max/cpu/usage_rate", 400, "start is missing"},
			{"historical/metrics-aggregated/mean/cpu/usage_rate?start=1999-12-31T00:00:00Z", 400, `aggregation "mean" is not known: allowed are average, max,`},
			{agg + "&bucket=5", 400, `bucket "5" is not a whole number with one of the units`},
			{agg + "&bucket=m", 400, `bucket "m"`},
			{agg + "&bucket=0s", 400, `bucket "0s"`},
			{agg + "&bucket=-1s", 400, `bucket "-1s"`},
			{agg + "&bucket=5ss", 400, `bucket "5ss"`},
			{agg + "&bucket=999999999999d", 400, `bucket "999999999999d"`},
			{agg + "&bucket=1ms", 400, "makes 86400000 buckets"},
		} {
			rec := get(r, "/api/v1/"+c.path)
			if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.says) {
				t.Errorf("%s:\n got %d %s\nwant %d %s", c.path, rec.Code, rec.Body, c.status, c.says)
			}
		}
	})
}

// Without a store the model has the newest value, and the history is not there.
func TestWithoutHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := filled(t, time.Now(), time.Minute, func(o *Options) { o.History = nil })
		defer r.close(t)
		rec := get(r, "/api/v1/model/namespaces/demo/pods/web-1/metrics/cpu/usage_rate")
		if want := `{"metrics":[{"timestamp":"1999-12-31T23:59:59.7Z","value":500}],"latestTimestamp":"1999-12-31T23:59:59.7Z"}`; strings.TrimSpace(rec.Body.String()) != want {
			t.Errorf("got %s, want %s", rec.Body, want)
		}
		if rec := get(r, "/api/v1/historical/nodes/"); rec.Code != 404 {
			t.Errorf("the history: got %d %s", rec.Code, rec.Body)
		}
	})
}

// The model reaches 15 minutes back, the history as far as the store.
func TestReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := filled(t, time.Now(), 20*time.Minute, nil)
		defer r.close(t)
		for path, want := range map[string]int{
			"model/nodes/n1/metrics/memory/usage":                                                              91, // the newest sample is 0.3 s old: its step is the store's until then
			"model/nodes/n1/metrics/memory/usage?start=1999-12-31T23:00:00Z":                                   91,
			"model/nodes/n1/metrics/memory/usage?start=1999-12-31T23:59:00Z&end=1999-12-31T23:59:30Z":          4,
			"historical/nodes/n1/metrics/memory/usage?start=1999-12-31T23:00:00Z":                              121,
			"historical/nodes/n1/metrics/memory/usage?start=0001-01-01T00:00:00Z":                              121,
			"historical/nodes/n1/metrics/memory/usage?start=1999-12-31T23:59:00Z&end=1999-12-31T23:59:30.999Z": 4,
		} {
			var s Series
			rec := get(r, "/api/v1/"+path)
			if err := json.Unmarshal(rec.Body.Bytes(), &s); err != nil || len(s.Metrics) != want {
				t.Errorf("%s: got %d points (%v), want %d", path, len(s.Metrics), err, want)
			}
			for i := range s.Metrics {
				if i > 0 && !s.Metrics[i].Timestamp.After(s.Metrics[i-1].Timestamp) {
					t.Errorf("%s: %v is not after %v", path, s.Metrics[i].Timestamp, s.Metrics[i-1].Timestamp)
				}
			}
		}
	})
}

type broken struct{ err error }

func (b broken) Query(context.Context, store.Query) ([]store.Series, error) { return nil, b.err }

func TestHistoryFails(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{{store.ErrTooLarge, 422}, {store.ErrClosed, 503}, {store.ErrReadOnly, 503}, {store.ErrBadQuery, 400}, {context.DeadlineExceeded, 504}, {errors.New("disk"), 500}} {
		a, err := New(Options{Pictures: fixed{snapshotOf(machine(), time.Now(), time.Now())}, History: broken{fmt.Errorf("sorry: %w", c.err)}})
		if err != nil {
			t.Fatal(err)
		}
		h := mount(a)
		start := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
		for _, path := range []string{"nodes/", "nodes/n1/metrics", "nodes/n1/metrics/cpu/usage_rate?start=" + start, "nodes/n1/metrics-aggregated/max/cpu/usage_rate?start=" + start} {
			if rec := get(h, historyBase+path); rec.Code != c.status || !strings.Contains(rec.Body.String(), "cannot read the history: sorry") {
				t.Errorf("%s with %v: got %d %s, want %d", path, c.err, rec.Code, rec.Body, c.status)
			}
		}
		if rec := get(h, modelBase+"nodes/n1/metrics/cpu/usage_rate"); rec.Code != 200 || !strings.Contains(rec.Body.String(), `"value":1420`) {
			t.Errorf("the model with %v: got %d %s, want the newest value", c.err, rec.Code, rec.Body)
		}
		if got := testutil.ToFloat64(a.failed); got != 1 {
			t.Errorf("%v failures are counted, want 1", got)
		}
	}
}

func TestNoPictureYet(t *testing.T) {
	a, err := New(Options{Pictures: fixed{(*live.Snapshot)(nil)}})
	if err != nil {
		t.Fatal(err)
	}
	h := mount(a)
	for path, want := range map[string]string{
		"model/nodes/": "[]", "model/namespaces": "[]", "model/metrics": "[]", "model/debug/allkeys": "[]", "metric-export": "[]",
		"model/nodes/n1/metrics/cpu/usage_rate": `{"metrics":[],"latestTimestamp":"0001-01-01T00:00:00Z"}`,
	} {
		if rec := get(h, "/api/v1/"+path); rec.Code != 200 || strings.TrimSpace(rec.Body.String()) != want {
			t.Errorf("%s: got %d %s, want %s", path, rec.Code, rec.Body, want)
		}
	}
}

// A container that has ended is on no list, though the live picture still tells of it.
func TestGoneIsNotListed(t *testing.T) {
	s := snapshotOf(machine(), time.Now(), time.Now())
	for _, it := range s.Containers {
		switch it.Entity.Pod {
		case "web-2":
			it.Gap, it.Ended, it.Values = &words.Gap{Since: s.Time, Reason: "gone"}, true, nil
		case "postgres": // silent while its node is read
			it.Gap, it.Ended, it.Values = &words.Gap{Since: s.Time, Reason: "stale"}, true, nil
		}
	}
	a, err := New(Options{Pictures: fixed{s}})
	if err != nil {
		t.Fatal(err)
	}
	if rec := get(mount(a), modelBase+"namespaces/demo/pods"); strings.TrimSpace(rec.Body.String()) != `["web-1"]` {
		t.Errorf("got %s", rec.Body)
	}
	if rec := get(mount(a), modelBase+"namespaces"); strings.TrimSpace(rec.Body.String()) != `["demo"]` {
		t.Errorf("got %s", rec.Body)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{}, {Pictures: fixed{}, Resolution: -1}, {Pictures: fixed{}, Resolution: time.Millisecond}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v: got no error", o)
		}
	}
}
