// Package boardtest checks boards against a store: it makes data whose every value is known, asks each query of each panel the way
// Grafana would, and says what the answer must be. It knows nothing of how queries are rendered, so both sources
// are held to the same numbers.
package boardtest

import (
	"context"
	"math"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// Cluster is the name that the made cluster has where the store gives it one.
const Cluster = "c1"

// Day is what was measured: every row of the catalogue at every level where it exists, from Start to End. Gauges stand still and
// counters grow evenly, except for the replicas asked for, which fall at a third of the time and grow at two thirds.
type Day struct {
	Start, End time.Time
	Every      time.Duration
	entities   []*metric.Entity
}

// NewDay makes two machines with three pods and four containers.
func NewDay(end time.Time, length, every time.Duration) *Day {
	d := &Day{Start: end.Add(-length), End: end, Every: every}
	add := func(e metric.Entity) { d.entities = append(d.entities, &e) }
	type pod struct{ node, namespace, workload, name string }
	pods := []pod{{"n1", "a", "web", "web-1"}, {"n2", "a", "web", "web-2"}, {"n2", "b", "job/x", "job-1"}}
	for i, p := range pods {
		base := metric.Entity{Node: p.node, Namespace: p.namespace, WorkloadKind: "Deployment", Workload: p.workload, Pod: p.name}
		names := []string{"main", "side car"}
		for _, c := range names[:1+i%2] {
			e := base
			e.Level, e.Container, e.ID, e.Runtime = metric.Container, c, "/"+p.name+"/"+c, "docker"
			add(e)
		}
		base.Level = metric.Pod
		add(base)
	}
	for _, p := range pods[1:] {
		add(metric.Entity{Level: metric.Workload, Namespace: p.namespace, WorkloadKind: "Deployment", Workload: p.workload})
		add(metric.Entity{Level: metric.Namespace, Namespace: p.namespace})
	}
	add(metric.Entity{Level: metric.Node, Node: "n1", ID: "/"})
	add(metric.Entity{Level: metric.Node, Node: "n2", ID: "/"})
	add(metric.Entity{Level: metric.Cluster})
	return d
}

// Fill appends the day to a store, oldest first.
func (d *Day) Fill(ctx context.Context, to store.Appender) error {
	for t := d.Start; !t.After(d.End); t = t.Add(d.Every) {
		b := &metric.Batch{Time: t}
		for i, e := range d.entities {
			g := metric.Group{Entity: e}
			for j := range metric.Rows() {
				row := metric.Get(metric.ID(j))
				for s, sub := range subs(row) {
					if v := d.value(i, row, s, t); !math.IsNaN(v) {
						g.Points = append(g.Points, metric.Point{ID: row.ID, Sub: sub, T: t.UnixMilli(), V: v})
					}
				}
			}
			b.Groups = append(b.Groups, g)
		}
		if err := to.Append(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// subs are the values of a row's own label.
func subs(row *metric.Row) []string {
	if row.Sub == "" {
		return []string{""}
	}
	return []string{"one", "two"}
}

// pace is a gauge's value, a counter's growth in a second; NaN where the entity has no such row. Namespace b has no limits.
func (d *Day) pace(entity int, row *metric.Row, sub int) float64 {
	e := d.entities[entity]
	if !row.Has(e.Level) || e.Namespace == "b" && (row.ID == metric.CPULimit || row.ID == metric.MemoryLimit) {
		return math.NaN()
	}
	return 1 + float64(entity)/8 + float64(row.ID)/64 + float64(sub)/4
}

// value is what is measured at a time.
func (d *Day) value(entity int, row *metric.Row, sub int, t time.Time) float64 {
	v := d.pace(entity, row, sub)
	if row.Kind == metric.Counter {
		return v * (1000 + t.Sub(d.Start).Seconds())
	}
	if row.ID == metric.ReplicasDesired {
		switch third := d.End.Sub(d.Start) / 3; {
		case t.Before(d.Start.Add(third)):
			v--
		case t.Before(d.Start.Add(2 * third)):
			v -= 2
		}
	}
	return v
}
