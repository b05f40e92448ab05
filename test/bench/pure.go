package main

import (
	"compress/gzip"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/autoscaler/policy/casefile"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/tsdb"
)

// page weighs what a browser fetches.
func (b *bench) page(context.Context) ([]result, error) {
	var sum counter
	dist := "../../dashboards/web/dist"
	err := filepath.WalkDir(dist, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		w, err := gzip.NewWriterLevel(&sum, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := w.Write(raw); err != nil {
			return err
		}
		return w.Close()
	})
	return []result{{Name: "page, all assets, gzip", Figure: float64(sum) / 1000, Unit: "kB", Bar: 100, AtMost: true}}, err
}

// counter counts what is written to it.
type counter int

// Write counts.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// decide measures the brain on one core: a target with ten pods, seen as the HPA sees it and over seven looks.
func (b *bench) decide(context.Context) ([]result, error) {
	var out []result
	for _, c := range []struct{ name, options, usage string }{
		{"decisions for a 10-pod target over seven looks, one core", "{}", looks()},
		{"decisions for a 10-pod target as the HPA's, one core", "{compat: hpa}", "usage:\n" + usage("30s")},
	} {
		in, err := casefile.NewReader(strings.NewReader(tenPods(c.options) + c.usage)).Next()
		if err != nil {
			return nil, err
		}
		const n = 50_000
		var rates []float64
		for range 5 {
			seconds := onCPU(func() {
				for range n {
					if d := policy.Decide(in); d.Action != policy.Up {
						err = fmt.Errorf("decided %q, want Up", d.Action)
					}
				}
			})
			rates = append(rates, n/seconds)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, result{Name: c.name, Figure: median(rates), Unit: "/s", Bar: 50_000})
	}
	return out, nil
}

// tenPods is the case of ten pods without their usage.
func tenPods(options string) string {
	var doc strings.Builder
	doc.WriteString("now: 2026-01-01T00:10:00Z\npolicy:\n  minReplicas: 1\n  maxReplicas: 30\n  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]\ntarget: {specReplicas: 10, statusReplicas: 10}\noptions: " + options + "\npods:\n")
	for i := range 10 {
		fmt.Fprintf(&doc, "- {name: p%d, phase: Running, ready: \"True\", startTime: 2026-01-01T00:00:00Z, containers: [{name: c, requests: {cpu: 100m}}]}\n", i)
	}
	return doc.String()
}

// usage is what the ten pods used over a window.
func usage(window string) string {
	var doc strings.Builder
	for i := range 10 {
		fmt.Fprintf(&doc, "- {pod: p%d, timestamp: 2026-01-01T00:09:59Z, window: %s, containers: [{name: c, usage: {cpu: 1%d0m}}]}\n", i, window, i%9)
	}
	return doc.String()
}

// looks are the ten pods over the seven windows.
func looks() string {
	var doc strings.Builder
	doc.WriteString("looks:\n")
	for _, w := range []string{"3s", "5s", "8s", "12s", "20s", "30s", "60s"} {
		fmt.Fprintf(&doc, "- metric: cpu\n  window: %s\n  noise: 40m\n  usage:\n  %s", w, strings.ReplaceAll(strings.TrimSuffix(usage(w), "\n"), "\n", "\n  ")+"\n")
	}
	return doc.String()
}

// store measures ingest into the embedded store: 1,000 containers with 25 values each, every ten seconds of their time.
func (b *bench) store(ctx context.Context) ([]result, error) {
	dir, err := os.MkdirTemp("", "plimsoll-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	db, err := tsdb.Open(tsdb.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	const entities, rounds = 1000, 120
	es := make([]*metric.Entity, entities)
	for i := range es {
		name := fmt.Sprintf("c%d", i)
		es[i] = &metric.Entity{Level: metric.Container, Node: "bench", Namespace: "docker", WorkloadKind: "Docker", Workload: name, Pod: name, Container: name, ID: "/docker/" + name, Runtime: "docker"}
	}
	at := time.Now().Add(-rounds * 10 * time.Second)
	samples, seconds := 0, 0.0
	for range rounds {
		batch := fill(es, at)
		var err error
		seconds += onCPU(func() { err = db.Append(ctx, batch) })
		if err != nil {
			return nil, err
		}
		samples += batch.Samples()
		at = at.Add(10 * time.Second)
	}
	kept, err := db.Query(ctx, store.Query{Row: metric.CPUUsage, Level: metric.Container, Start: at.Add(-time.Hour), End: at, Func: store.Count, By: []string{}})
	if err != nil {
		return nil, err
	}
	if want := float64(entities * rounds); len(kept) != 1 || len(kept[0].Samples) != 1 || kept[0].Samples[0].V != want {
		return nil, fmt.Errorf("the store kept %v of one row, want %v samples", kept, want)
	}
	return []result{{Name: "embedded store, ingest", Figure: float64(samples) / seconds, Unit: "samples/CPU-s", Bar: 500_000, Note: fmt.Sprintf("%d samples, %d series", samples, samples/rounds)}}, nil
}

// fill makes a batch with 25 values for each entity.
func fill(es []*metric.Entity, at time.Time) *metric.Batch {
	b := &metric.Batch{Node: "bench", Time: at, Groups: make([]metric.Group, len(es))}
	for i, e := range es {
		g := metric.Group{Entity: e, Points: make([]metric.Point, 0, 25)}
		for _, row := range metric.Rows() {
			if row.Has(metric.Container) && row.Sub == "" && len(g.Points) < 25 {
				g.Points = append(g.Points, metric.Point{ID: row.ID, T: at.UnixMilli(), V: float64(at.Unix()) * (1 + rand.Float64()/1e6)})
			}
		}
		b.Groups[i] = g
	}
	return b
}
