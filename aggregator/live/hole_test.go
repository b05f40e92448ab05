package live

import (
	"fmt"
	"testing"

	"plimsoll.dev/plimsoll/internal/metric"
)

// sums is what the history is told of one sum: its counter, its memory and how much of it is missing, at each pass.
type sums struct {
	t       *testing.T
	p       *Picture
	level   metric.Level
	at      []int64 // of the counter's points, seconds
	counter []float64
	start   []float64
}

// pass rolls up and returns the memory that is told, and the missing parts, 0 where nothing is said of them.
func (x *sums) pass(at float64) (memory, missing float64) {
	x.t.Helper()
	for _, g := range x.p.RollUp(sec(at)).Groups {
		if g.Entity.Level != x.level {
			continue
		}
		for _, pt := range g.Points {
			switch pt.ID {
			case metric.CPUUsage:
				x.at = append(x.at, (pt.T-t0.UnixMilli())/1000)
				x.counter = append(x.counter, pt.V)
				x.start = append(x.start, g.Start.Sub(t0).Seconds())
			case metric.MemoryWorkingSet:
				memory = pt.V
			case metric.MissingParts:
				missing = pt.V
			}
		}
	}
	return memory, missing
}

// rates are those of the newest interval of the counter; ok is false where it is another life.
func (x *sums) rate() (v float64, ok bool) {
	n := len(x.at)
	if n < 2 || x.counter[n-1] < x.counter[n-2] {
		return 0, false
	}
	return (x.counter[n-1] - x.counter[n-2]) / float64(x.at[n-1]-x.at[n-2]), true
}

// sent is a batch of a machine of which only containers are sent, each with half a core and 100 bytes.
func sent(machine string, at float64, containers int) *metric.Batch {
	b := &metric.Batch{Node: machine, Time: sec(at)}
	for i := range containers {
		e := &metric.Entity{Level: metric.Container, Node: machine, Namespace: "demo", WorkloadKind: "k", Workload: "w", Pod: fmt.Sprint(machine, i), Container: "c",
			ID: fmt.Sprintf("/kubepods/%s/%d", machine, i)}
		b.Groups = append(b.Groups, cpu(e, sec(at), 100+at/2, 100))
	}
	return b
}

// A sum of which nothing was heard for a while begins anew with what is back: between the samples before and after it there is no rate of 0.
func TestSumBeginsAnewAfterAHole(t *testing.T) {
	for _, f := range []struct {
		level metric.Level
		fast  bool
		back  float64 // the second of the first sample after second 40
	}{
		{metric.Pod, false, 100}, {metric.Workload, false, 100}, {metric.Namespace, false, 100}, {metric.Node, false, 100}, {metric.Cluster, false, 100},
		{metric.Namespace, false, 70}, {metric.Node, false, 240}, {metric.Cluster, false, 240}, {metric.Cluster, false, 4000},
		{metric.Namespace, true, 68}, {metric.Node, true, 68}, {metric.Cluster, true, 68}, {metric.Cluster, true, 49},
	} {
		t.Run(fmt.Sprint(f), func(t *testing.T) {
			x := &sums{t: t, p: newPicture(t, Options{}), level: f.level}
			for s := 0.0; s <= f.back+60; s++ {
				if (s <= 40 || s >= f.back) && (f.fast || int(s)%10 == 0) {
					b := sent("kk", s, 1)
					b.Fast = f.fast
					apply(t, x.p, b)
				}
				if int(s)%10 != 3 {
					continue
				}
				n := len(x.at)
				x.pass(s)
				if v, ok := x.rate(); ok && len(x.at) > n && v != 0.5 {
					t.Errorf("second %v: the sum has a rate of %v, want 0.5: %v at %v", s, v, x.counter, x.at)
				}
			}
			if n := len(x.at); n < 9 || f.back >= 68 && x.start[n-1] < f.back || x.counter[n-1] < 20 {
				t.Errorf("the sum's counter is %v at %v since %v", x.counter, x.at, x.start)
			}
		})
	}
}

// Of three machines one is away and comes back: its CPU time and its memory leave the sum together, what is lacking is counted wherever there
// is less than all, and what it used unheard is no leap.
func TestMemberIsAway(t *testing.T) {
	for _, level := range []metric.Level{metric.Namespace, metric.Workload, metric.Cluster} {
		for _, phase := range []int{1, 3, 5, 9} {
			for _, back := range []float64{60, 70, 80, 100} {
				t.Run(fmt.Sprint(level, phase, back), func(t *testing.T) {
					x := &sums{t: t, p: newPicture(t, Options{}), level: level}
					for s := 0.0; s <= 160; s++ {
						for _, m := range []string{"a", "b", "kk"} {
							if int(s)%10 == 0 && (m != "kk" || s <= 40 || s >= back) {
								apply(t, x.p, sent(m, s, 1))
							}
						}
						if int(s)%10 != phase {
							continue
						}
						memory, missing := x.pass(s)
						rate, ok := x.rate()
						if s < 20 {
							continue
						}
						if !ok || rate > 1.5 || rate < 1 || rate < 1.5 && missing == 0 || memory < 300 && (missing == 0 || rate > 1) {
							t.Errorf("second %v: rate %v (%v), memory %v, %v missing", s, rate, ok, memory, missing)
						}
						if s >= 60 && s < back && (memory != 200 || rate != 1 || missing != 1) {
							t.Errorf("second %v: rate %v, memory %v, %v missing; want the two others'", s, rate, memory, missing)
						}
						if s >= back+10 && (memory != 300 || rate != 1.5 || missing != 0) {
							t.Errorf("second %v: rate %v, memory %v, %v missing; want all", s, rate, memory, missing)
						}
					}
				})
			}
		}
	}
}
