package live

import (
	"testing"

	"plimsoll.dev/plimsoll/internal/metric"
)

// loop is a machine with a container that crashes: each life is ten seconds long, and so is each rest. Its batches tell of its restarts by the slow lane, or by both.
type loop struct {
	e         *metric.Entity
	first     int
	fastTells bool
}

func newLoop(fastTells bool) loop {
	return loop{&metric.Entity{Level: metric.Container, Node: "n1", Namespace: "docker", WorkloadKind: "Docker", Workload: "crash", Pod: "crash", Container: "crash", ID: "/docker/crash", Runtime: "docker"}, 11, fastTells}
}

// restarts are those until second i.
func (l loop) restarts(i int) int { return l.first + (i+10)/20 }

func (l loop) batch(i int, full bool) *metric.Batch {
	at := sec(float64(i))
	if full {
		at = sec(float64(i) + 0.3)
	}
	b := &metric.Batch{Node: "n1", Time: at, Fast: !full, Groups: []metric.Group{cpu(node("n1"), at, float64(i), 4000)}}
	g := metric.Group{Entity: l.e}
	if runs := i%20 < 10; runs {
		g = cpu(l.e, at, float64(i%20), 100)
		g.Start = sec(float64(i/20*20) - 0.5)
	} else if i%20 == 10 && !full {
		b.Gaps = append(b.Gaps, metric.Gap{Entity: l.e, Reason: metric.GapGone, Detail: "its cgroup has gone"})
	}
	if full || l.fastTells {
		g.Points = append(g.Points, metric.Point{ID: metric.Restarts, T: at.UnixMilli(), V: float64(l.restarts(i))})
	}
	if len(g.Points) > 0 {
		b.Groups = append(b.Groups, g)
	}
	return b
}

// What restarted is summed up over all lives, also over a time in which nobody was heard: a restart is not used up, it stays counted.
func TestSumsOfRestartsNeverFall(t *testing.T) {
	for _, c := range []struct {
		name      string
		fastTells bool
		from, to  int // seconds in which nothing is heard of the machine
	}{
		{"both lanes", true, 0, 0},
		{"slow lane", false, 0, 0},
		{"both lanes, silent for a while", true, 103, 171},
		{"slow lane, silent for a while", false, 103, 171},
		{"silent for a moment", true, 103, 112},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, l := newPicture(t, Options{}), newLoop(c.fastTells)
			last := map[metric.Level]float64{}
			for i := 1; i < 400; i++ {
				if i < c.from || i >= c.to {
					apply(t, p, l.batch(i, false))
					if i%10 == 5 {
						apply(t, p, l.batch(i, true))
					}
				}
				if i%10 != 8 {
					continue
				}
				for _, g := range p.RollUp(sec(float64(i) + 0.5)).Groups {
					for _, pt := range g.Points {
						if pt.ID != metric.Restarts {
							continue
						}
						if was := last[g.Entity.Level]; pt.V < was {
							t.Errorf("second %d: the restarts of %v fall from %v to %v", i, g.Entity, was, pt.V)
						}
						last[g.Entity.Level] = pt.V
					}
				}
			}
			for _, level := range []metric.Level{metric.Pod, metric.Workload, metric.Namespace} {
				if got, want := last[level], float64(l.restarts(399)-l.first); got != want {
					t.Errorf("%v: %v restarts at last, want %v", level, got, want)
				}
			}
		})
	}
}

// What waits for its next life while its machine falls silent is stale with it, then silent, and waits again when it is heard again: it is not said to have ended.
func TestWhatWaitsIsStaleWithItsMachine(t *testing.T) {
	for _, fastTells := range []bool{true, false} {
		p, l := newPicture(t, Options{}), newLoop(fastTells)
		const ends = 116 // it has waited for six seconds
		for i := range 180 {
			if i <= ends || i >= 150 {
				apply(t, p, l.batch(i, false))
				if i%10 == 5 {
					apply(t, p, l.batch(i, true))
				}
			}
			for _, part := range []float64{0.1, 0.6} {
				s := p.Snapshot(sec(float64(i) + part))
				checkSnapshot(t, s)
				it, after := s.Containers[0], float64(i)+part-ends
				if i < ends || i >= 150 {
					continue
				}
				if it.Ended || it.Gap == nil || it.Gap.Reason == metric.GapGone || int(it.Count) != l.restarts(ends) {
					t.Errorf("%.1f s of silence, told by the fast lane %v: ended %v, %d restarts, gap %+v", after, fastTells, it.Ended, it.Count, it.Gap)
				}
				machine := only(t, s.Nodes)
				switch {
				case machine.Silent():
					wantGap(t, it, metric.GapSilent)
				case fastTells && after > 5:
					wantGap(t, it, metric.GapStale)
					if !it.Unheard || !it.Gap.Since.Equal(sec(ends)) {
						t.Errorf("%.1f s of silence: unheard %v, gap %+v", after, it.Unheard, it.Gap)
					}
				default:
					wantGap(t, it, metric.GapWaiting)
				}
			}
		}
	}
}
