package grafana

import (
	"strings"
	"testing"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// TestRender pins what queries look like in both languages; that they mean the same is TestEmbeddedStore's and the InfluxDB test's.
func TestRender(t *testing.T) {
	f := func(q Query, now bool, prom, influx string) {
		t.Helper()
		if err := q.check(); err != nil {
			t.Error(err)
		}
		if got := promQL(q, now); got != prom {
			t.Errorf("got  %s\nwant %s", got, prom)
		}
		if got := influxQL(q, now, ""); got != influx {
			t.Errorf("got  %s\nwant %s", got, influx)
		}
	}
	where := func(q Query, ms ...store.Matcher) Query { q.Matchers = ms; return q }
	f(rate(metric.CPUUsage, metric.Node, "node"), false,
		`sum by (node) (irate(node_cpu_usage_seconds_total[$__rate_interval]) and node_cpu_usage_seconds_total unless node_cpu_usage_seconds_total offset $__rate_interval or rate(node_cpu_usage_seconds_total[$__rate_interval]))`,
		`SELECT mean("cpu_usage_cores") FROM "node" WHERE $timeFilter GROUP BY time($__interval), "node", "cluster" fill(none)`)
	f(last(metric.MemoryLimit, metric.Namespace), true,
		`sum(last_over_time(namespace_memory_limit_bytes[1m]))`,
		`SELECT sum("v") FROM (SELECT last("memory_limit_bytes") AS "v" FROM "namespace" WHERE time > ${__to}ms - 1m AND time <= ${__to}ms GROUP BY *)`)
	f(total(metric.Restarts, metric.Pod, "pod"), true,
		`sum by (pod) (increase(pod_restarts_total[$__range]))`,
		`SELECT sum("v") FROM (SELECT non_negative_difference(last("restarts_total")) AS "v" FROM "pod" WHERE $timeFilter GROUP BY time($__interval), * fill(none)) GROUP BY "pod"`)
	f(rate(metric.Restarts, metric.Namespace, "namespace"), false,
		`sum by (namespace) (irate(namespace_restarts_total[$__rate_interval]) and namespace_restarts_total unless namespace_restarts_total offset $__rate_interval or rate(namespace_restarts_total[$__rate_interval]))`,
		`SELECT non_negative_derivative(last("restarts_total"), 1s) FROM "namespace" WHERE $timeFilter GROUP BY time($__interval), "namespace", "cluster" fill(none)`)
	f(avg(metric.MemoryUsage, metric.Container, "node", "namespace", "pod", "container").over(metric.MemoryLimit), false,
		`sum by (node, namespace, pod, container) (avg_over_time(container_memory_usage_bytes[$__rate_interval])) / `+
			`sum by (node, namespace, pod, container) (last_over_time(kube_pod_container_resource_limits{resource="memory", unit="byte"}[$__rate_interval]))`,
		`SELECT mean("memory_usage_bytes") / last("memory_limit_bytes") FROM "container" WHERE $timeFilter GROUP BY time($__interval), "node", "namespace", "pod", "container", "cluster" fill(none)`)
	f(avg(metric.ScaleLoad, metric.Workload, "workload").over(metric.ScaleTarget), false,
		`max by (workload) (avg_over_time(workload_scale_load_ratio[$__rate_interval])) / max by (workload) (last_over_time(workload_scale_target_ratio[$__rate_interval]))`,
		`SELECT max("v") / max("w") FROM (SELECT mean("scale_load_ratio") AS "v", last("scale_target_ratio") AS "w" FROM "workload" WHERE $timeFilter GROUP BY time($__interval), * fill(none)) WHERE $timeFilter GROUP BY time($__interval), "workload" fill(none)`)
	// What comes and goes is added up at each moment first; where nothing is chosen that a sum does not know, that sum is shown.
	chosen := Board{Vars: []Var{{"node", metric.CPUUsage, metric.Container}, {"namespace", metric.CPUUsage, metric.Container}}}
	there := func(s string) string {
		return `(last_over_time(` + s + `[10s]) or last_over_time(` + s + `[1m] offset -1m) or last_over_time(` + s + `[15s]) and ` + s + ` and on () (vector(time()) * 1000 > ${__to} - 15000))`
	}
	each := `container_memory_usage_bytes{node=~"$node", namespace=~"$namespace", all!~"$node"}`
	f(chosen.narrowed(avg(metric.MemoryUsage, metric.Container, "namespace").keptAt(metric.Namespace)), false,
		`sum by (namespace) (avg_over_time(namespace_memory_usage_bytes{namespace=~"$namespace", all=~"$node"}[$__rate_interval])) or `+
			`sum by (namespace) ((avg_over_time(`+each+`[$__rate_interval])) and `+there(each)+`) or max by (namespace) (avg_over_time(`+each+`[$__rate_interval]))`,
		`SELECT sum("v") FROM (SELECT mean("memory_usage_bytes") AS "v" FROM "namespace" WHERE $timeFilter AND "namespace" =~ /^$namespace$/ AND "all" =~ /^$node$/ GROUP BY time($__interval), * fill(none)), `+
			`(SELECT mean("v") AS "v" FROM (SELECT sum("v") AS "v" FROM (SELECT mean("memory_usage_bytes") AS "v" FROM "container" WHERE $timeFilter AND "node" =~ /^$node$/ AND "namespace" =~ /^$namespace$/ AND "all" !~ /^$node$/ `+
			`GROUP BY time(10s), * fill(none)) WHERE $timeFilter GROUP BY time(10s), "namespace" fill(none)) WHERE $timeFilter GROUP BY time($__interval), "namespace" fill(none)) WHERE $timeFilter GROUP BY time($__interval), "namespace" fill(none)`)
	each = `pod_cpu_usage_seconds_total`
	f(rate(metric.CPUUsage, metric.Pod).over(metric.CPULimit), true,
		`(sum((irate(`+each+`[1m]) and `+each+` unless `+each+` offset 1m or rate(`+each+`[1m])) and `+there(each)+`) or max(irate(`+each+`[1m]))) / `+
			`(sum((last_over_time(pod_cpu_limit_cores[1m])) and `+there("pod_cpu_limit_cores")+`) or max(last_over_time(pod_cpu_limit_cores[1m])))`,
		`SELECT sum("v") / sum("w") FROM (SELECT median("v") AS "v", median("w") AS "w" FROM (SELECT sum("v") AS "v", sum("w") AS "w" FROM `+
			`(SELECT mean("cpu_usage_cores") AS "v", last("cpu_limit_cores") AS "w" FROM "pod" WHERE time > ${__to}ms - 1m AND time <= ${__to}ms GROUP BY time(10s), * fill(none)) `+
			`WHERE time > ${__to}ms - 1m AND time <= ${__to}ms GROUP BY time(10s) fill(none)))`)
	q := avg(metric.Threads, metric.Pod, "pod")
	q.Func, q.Q, q.Join = store.Quantile, 0.95, store.Avg
	f(where(q, store.Matcher{Name: "namespace", Op: store.Equal, Value: `a'b"c\d`}, store.Matcher{Name: "pod", Op: store.NotRegexp, Value: "x/y|z"}, store.Matcher{Name: "node", Op: store.Regexp, Value: "$node"}), false,
		`avg by (pod) (quantile_over_time(0.95, pod_threads{namespace="a'b\"c\\d", pod!~"x/y|z", node=~"$node"}[$__rate_interval]))`,
		`SELECT mean("v") FROM (SELECT percentile("threads", 95) AS "v" FROM "pod" WHERE $timeFilter AND "namespace" = 'a\'b"c\\d' AND "pod" !~ /^(?:x\/y|z)$/ AND "node" =~ /^$node$/ GROUP BY time($__interval), * fill(none)) WHERE $timeFilter GROUP BY time($__interval), "pod" fill(none)`)
}

func TestUnits(t *testing.T) {
	f := func(q Query, want string) {
		t.Helper()
		if got := q.unit(); got != want {
			t.Errorf("%s: got %q, want %q", metric.Get(q.Row).Name, got, want)
		}
	}
	f(rate(metric.CPUUsage, metric.Node), "short")
	f(rate(metric.CPUUsage, metric.Node).over(metric.CPUCapacity), "percentunit")
	f(rate(metric.CPUWaiting, metric.Node), "percentunit")
	f(rate(metric.DiskRead, metric.Node), "Bps")
	f(rate(metric.DiskReads, metric.Node), "cps")
	f(last(metric.CPUUsage, metric.Node), "s")
	f(avg(metric.MemoryUsage, metric.Node), "bytes")
	f(avg(metric.ScaleLoad, metric.Workload), "percentunit")
	f(avg(metric.Threads, metric.Node), "short")
	f(total(metric.OOMKills, metric.Node), "short")
}

// TestBadBoards: a board that could not be drawn says why, and where.
func TestBadBoards(t *testing.T) {
	f := func(word string, p Panel) {
		t.Helper()
		p.Title = "the panel"
		b := Board{Name: "x", Title: "X", Rows: []Row{{Title: "r", Panels: []Panel{p}}}}
		raw, err := b.JSON(Prometheus)
		if err == nil || raw != nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%q: got %v", word, err)
		}
	}
	cpu := rate(metric.CPUUsage, metric.Node, "node")
	f("want a query", Panel{Draw: Lines})
	f("does not have it", Panel{Draw: Lines, Show: []Query{last(metric.Replicas, metric.Node)}})
	f("no rate", Panel{Draw: Lines, Show: []Query{rate(metric.Replicas, metric.Workload)}})
	f(`no label "pod"`, Panel{Draw: Lines, Show: []Query{rate(metric.CPUUsage, metric.Node, "pod")}})
	f(`no label "device"`, Panel{Draw: Lines, Show: []Query{rate(metric.DiskRead, metric.Node, "device")}})
	f("not said", Panel{Draw: Lines, Show: []Query{{Query: store.Query{Row: metric.Threads, Func: store.Last}}}})
	f("one axis", Panel{Draw: Lines, Show: []Query{cpu, avg(metric.MemoryUsage, metric.Node, "node")}})
	f("not a line", Panel{Draw: Lines, Show: []Query{total(metric.OOMKills, metric.Node)}})
	f("limits in charts", Panel{Draw: Stat, Show: []Query{cpu}, Limits: []Query{cpu}})
	f("not exist there", Panel{Draw: Stat, Show: []Query{cpu.over(metric.Replicas)}})
	f("stand for it", Panel{Draw: Stat, Show: []Query{cpu.keptAt(metric.Pod)}})
	f("stand for it", Panel{Draw: Stat, Show: []Query{avg(metric.FileDescriptors, metric.Container).keptAt(metric.Namespace)}})
	f(`no label "node"`, Panel{Draw: Stat, Show: []Query{rate(metric.CPUUsage, metric.Pod, "node").keptAt(metric.Namespace)}})
	f("rows would not meet", Panel{Draw: Table, Show: []Query{cpu, rate(metric.CPUUsage, metric.Node)}})
	f("tell its rows", Panel{Draw: Table, Show: []Query{rate(metric.CPUUsage, metric.Node)}})
	f("must be one", Panel{Draw: Table, Show: []Query{cpu}, To: "nowhere"})
	f("a note", Panel{Draw: Text})
	f("25 columns", Panel{Draw: Lines, Show: []Query{cpu}, Width: 25})
	q := cpu
	q.RateOver = 1
	f("cannot be drawn", Panel{Draw: Lines, Show: []Query{q}})
	f("kinds of", Panel{Draw: "pie", Show: []Query{cpu}})
	b := Board{Name: "x", Vars: []Var{{"pod", metric.CPUUsage, metric.Node}}}
	if _, err := b.JSON(Influx); err == nil || !strings.Contains(err.Error(), `"pod"`) {
		t.Errorf("variable: got %v", err)
	}
}

// TestNewBoard: a board is a short literal (this one is in docs/grafana.md), with a text above.
func TestNewBoard(t *testing.T) {
	b := Board{
		Name: "memory", Title: "Memory", Vars: []Var{{"node", metric.MemoryUsage, metric.Node}},
		Rows: []Row{{Title: "Pods", Panels: []Panel{
			{Draw: Lines, Title: "Memory Usage", Show: []Query{avg(metric.MemoryUsage, metric.Pod, "node", "namespace", "pod")},
				Limits: []Query{last(metric.MemoryLimit, metric.Pod, "node", "namespace", "pod").named("{{pod}} limit")}},
			{Draw: Gauge, Title: "Memory used", Show: []Query{last(metric.MemoryUsage, metric.Node, "node").over(metric.MemoryCapacity)}, Warn: 0.8, Bad: 0.9},
		}}},
	}
	b.Rows[0].Panels = append(b.Rows[0].Panels, Panel{Draw: Text, Title: "Read me", Note: "# Words", Width: 6})
	for _, s := range Sources() {
		raw, err := b.JSON(s)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, string(s)+"/new.json", raw)
	}
}
