package boardtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/dashboards/grafana"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// Turns is a day of what comes and goes, read every ten seconds, and of the sums that a server keeps of it. At any moment each namespace uses the same: in "short" jobs of half
// a minute follow one another, with up to four seconds between, in the last three hours; in "long" those of ten minutes; in "moved" one pod goes from machine to
// machine; in "steady" two stay.
type Turns struct {
	end   time.Time
	lives []life
}

// life is one container, alone in its pod, from from up to to.
type life struct {
	node, namespace, pod string
	from, to             time.Time
	mem, cpu             float64
}

// every is how often the turns are read.
const every = 10 * time.Second

// NewTurns makes the day before end.
func NewTurns(end time.Time) *Turns {
	t := &Turns{end: end}
	start := end.Add(-24 * time.Hour)
	const mb = 1e6
	for at, i := end.Add(-3*time.Hour+11*time.Second), 0; at.Before(end); i++ {
		t.lives = append(t.lives, life{"n1", "short", fmt.Sprint("short-", i), at, at.Add(30 * time.Second), 90 * mb, 0.8})
		at = at.Add(30*time.Second + [...]time.Duration{0, 1, 2, 4}[i%4]*time.Second)
	}
	for at, i := start, 0; at.Before(end); i++ {
		t.lives = append(t.lives, life{"n2", "long", fmt.Sprint("long-", i), at, at.Add(10 * time.Minute), 250 * mb, 1.5})
		at = at.Add(10*time.Minute + time.Duration(i%4)*time.Second)
	}
	for at, i := start.Add(time.Second), 0; at.Before(end); i++ {
		t.lives = append(t.lives, life{fmt.Sprint("n", 1+i%3), "moved", "db-0", at, at.Add(40 * time.Minute), 500 * mb, 1})
		at = at.Add(40 * time.Minute)
	}
	later := end.Add(time.Hour)
	t.lives = append(t.lives, life{"n1", "steady", "s-1", start, later, 100 * mb, 0.2}, life{"n3", "steady", "s-2", start.Add(4 * time.Second), later, 50 * mb, 0.4})
	return t
}

// Fill appends the day to a store, oldest first.
func (t *Turns) Fill(ctx context.Context, to store.Appender) error {
	grown := map[string]float64{}
	entities := map[metric.Entity]*metric.Entity{}
	used := func(e metric.Entity, at time.Time, mem, cpu float64) metric.Group {
		if entities[e] == nil {
			entities[e] = &e
		}
		ms := at.UnixMilli()
		return metric.Group{Entity: entities[e], Points: []metric.Point{{ID: metric.CPUUsage, T: ms, V: cpu}, {ID: metric.MemoryWorkingSet, T: ms, V: mem}}}
	}
	for at := t.end.Add(-24 * time.Hour); !at.After(t.end); at = at.Add(every) {
		b := &metric.Batch{Time: at}
		sums := map[string]life{}
		for _, l := range t.lives {
			n := at.Sub(l.from) / every // the sample in the last ten seconds
			s := l.from.Add(n * every)
			if at.Before(l.from) || !at.Before(l.to.Add(every)) {
				continue
			}
			e := metric.Entity{Level: metric.Pod, Node: l.node, Namespace: l.namespace, WorkloadKind: "Job", Workload: l.namespace, Pod: l.pod}
			c := e
			c.Level, c.Container = metric.Container, "app"
			if s.Before(l.to) {
				b.Groups = append(b.Groups, used(c, s, l.mem, l.cpu*s.Sub(l.from).Seconds()), used(e, s, l.mem, l.cpu*s.Sub(l.from).Seconds()))
			}
			if at.Before(l.to) {
				sum := sums[l.namespace]
				sums[l.namespace] = life{mem: sum.mem + l.mem, cpu: sum.cpu + l.cpu}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(sums)) {
			grown[name] += sums[name].cpu * every.Seconds()
			b.Groups = append(b.Groups, used(metric.Entity{Level: metric.Namespace, Namespace: name}, at, sums[name].mem, grown[name]))
		}
		if err := to.Append(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// Looks are ranges over which the turns are looked at, with what is shown of all machines and of each that is chosen by its name.
func (t *Turns) Looks() map[string]View {
	out := map[string]View{}
	for name, chosen := range map[string]Chosen{"all": nil, "each machine chosen": {"node": {"n1", "n2", "n3"}}, "one machine": {"node": {"n1"}}} {
		for _, v := range []View{{Range: time.Hour, Step: 20 * time.Second}, {Range: 3 * time.Hour, Step: time.Minute}, {Range: 3 * time.Hour, Step: 5 * time.Minute},
			{Range: 23 * time.Hour, Step: time.Minute}, {Range: 23 * time.Hour, Step: 10 * time.Minute}, {Range: 23 * time.Hour, Step: time.Hour}} {
			v.Chosen = chosen
			out[fmt.Sprintf("%s, %v each %v", name, v.Range, v.Step)] = v
		}
	}
	return out
}

// Asks returns every query of a board of CPU or memory of what comes and goes, as Grafana sends it.
func (t *Turns) Asks(b grafana.Board, s grafana.Source, v View) ([]Ask, error) {
	day := &Day{End: t.end, Every: every}
	all, err := day.Asks(b, s, v)
	if err != nil {
		return nil, err
	}
	var out []Ask
	for i, q := range drawn(b) {
		if filled := q.Row == metric.CPUUsage || q.Row == metric.MemoryWorkingSet; filled && q.Level <= metric.Pod && q.Over == nil {
			all[i].cpu = q.Row == metric.CPUUsage
			all[i].Want = t.want(all[i], v)
			out = append(out, all[i])
		}
	}
	return out, nil
}

// want is what each series of an answer is at any moment.
func (t *Turns) want(a Ask, v View) map[string]float64 {
	out := map[string]float64{}
	from := a.From
	if a.Now {
		from = a.To
	}
	met := map[string]bool{}
	for _, l := range slices.Backward(t.lives) { // the newest of a namespace, of which there is one at a time
		if nodes := v.Chosen["node"]; nodes != nil && !slices.Contains(nodes, l.node) || !l.to.After(from) || l.from.After(a.To) {
			continue
		}
		labels := map[string]string{"node": l.node, "namespace": l.namespace, "pod": l.pod, "container": "app"}
		k := Key(a.By, func(name string) string { return labels[name] })
		who := k + " " + l.namespace
		if l.namespace == "steady" {
			who += l.pod
		}
		if met[who] {
			continue
		}
		met[who] = true
		if a.cpu {
			out[k] += l.cpu
		} else {
			out[k] += l.mem
		}
	}
	return out
}

// CheckTurns compares an answer with what was there at any moment: half of the values of a sum are that, and none is more. The line of one pod may fall when it has
// ended.
func (a Ask) CheckTurns(got Got) []string {
	var wrong []string
	for k, vs := range got {
		want, ok := a.Want[k]
		alone := slices.Contains(a.By, "pod")
		if !ok && alone {
			continue // it has ended, up to an interval ago
		}
		vs = slices.Sorted(slices.Values(vs))
		if mid, top := vs[len(vs)/2], vs[len(vs)-1]; mid < 0.9*want && !alone || mid > 1.05*want || top > 1.05*want {
			wrong = append(wrong, fmt.Sprintf("%s: %q is %g, and %g at most, want %g\n%s", a.Panel, k, mid, top, want, a.Text))
		}
	}
	for k := range a.Want {
		steps := int(min(a.To.Sub(a.From), 3*time.Hour) / a.Step)
		if vs := got[k]; a.Now && len(vs) != 1 && !slices.Contains(a.By, "pod") || !a.Now && strings.Join(a.By, "") == "namespace" && k != "namespace=moved" && len(vs) < steps*9/10 {
			wrong = append(wrong, fmt.Sprintf("%s: %q has %d points of %d\n%s", a.Panel, k, len(vs), steps, a.Text))
		}
	}
	return wrong
}
