package live

import (
	"fmt"
	"math"
	"testing"

	"plimsoll.dev/plimsoll/internal/metric"
)

// interval is one of a sum's counter: its rate from one time to another, in seconds after t0.
type interval struct{ from, to, rate float64 }

// curve is what the history is told of a counter of each level, as intervals.
type curve struct {
	p    *Picture
	last map[metric.Level]metric.Point
	of   map[metric.Level][]interval
	lack map[metric.Level][]float64 // the missing parts of each pass
	// whole has the interval be one, too, that begins where the counter does.
	whole bool
}

func newCurve(t *testing.T) *curve {
	return &curve{p: newPicture(t, Options{}), last: map[metric.Level]metric.Point{}, of: map[metric.Level][]interval{}, lack: map[metric.Level][]float64{}}
}

func (c *curve) pass(at float64) {
	missing := map[metric.Level]float64{}
	for _, g := range c.p.RollUp(sec(at)).Groups {
		for _, x := range g.Points {
			l := g.Entity.Level
			if x.ID == metric.MissingParts {
				missing[l] = x.V
			}
			if x.ID != metric.CPUUsage || l < metric.Workload {
				continue
			}
			was, ok := c.last[l]
			if !ok && x.V == 0 && !c.whole {
				continue // where it begins
			}
			if ok && x.V >= was.V {
				s := func(t int64) float64 { return float64(t-t0.UnixMilli()) / 1000 }
				c.of[l] = append(c.of[l], interval{s(was.T), s(x.T), (x.V - was.V) / float64(x.T-was.T) * 1000})
			}
			c.last[l] = x
		}
	}
	for _, l := range []metric.Level{metric.Workload, metric.Namespace, metric.Cluster} {
		c.lack[l] = append(c.lack[l], missing[l])
	}
}

// busy is a batch of a machine that uses two cores, and has one container that does.
func busy(machine string, at float64, fast bool) *metric.Batch {
	e := &metric.Entity{Level: metric.Container, Node: machine, Namespace: "demo", WorkloadKind: "k", Workload: "w", Pod: machine + "-1", Container: "c", ID: "/kubepods/" + machine}
	return &metric.Batch{Node: machine, Time: sec(at), Fast: fast, Groups: []metric.Group{cpu(node(machine), sec(at), 100+2*at, 100), cpu(e, sec(at), 50+2*at, 100)}}
}

// Three machines of two cores each are six cores in every interval of a sum, whatever the moments at which they are read.
func TestSumsAreSteadyInCalm(t *testing.T) {
	for name, f := range map[string]struct {
		every  float64
		phase  [3]float64
		jitter [3]float64 // how far the readings stray, up to so many seconds
		drift  float64    // by how much more than every the third's are apart
	}{
		"seconds":             {1, [3]float64{0.1, 0.4, 0.95}, [3]float64{0.02, 0.45, 0.03}, 0},
		"seconds, drifting":   {1, [3]float64{0, 0.4, 0.95}, [3]float64{}, 0.003},
		"ten seconds":         {10, [3]float64{1, 4, 9}, [3]float64{0.3, 2, 0.5}, 0},
		"ten seconds, passes": {10, [3]float64{0.2, 5, 9.9}, [3]float64{0.5, 0.5, 0.5}, 0},
		"drifting":            {10, [3]float64{0.2, 5, 7}, [3]float64{}, 0.12},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCurve(t)
			next, count := [3]float64{}, [3]int{}
			at := func(i int) float64 {
				step := f.every
				if i == 2 {
					step += f.drift
				}
				return f.phase[i] + float64(count[i])*step + f.jitter[i]*math.Sin(float64(7*count[i]*(i+1)))
			}
			for i := range next {
				next[i] = max(at(i), 0)
			}
			for ms := 0; ms <= 600_000; ms += 10 {
				now := float64(ms) / 1000
				for i := range next {
					if now >= next[i] {
						apply(t, c.p, busy(fmt.Sprint("m", i), math.Round(next[i]*1000)/1000, f.every < 10))
						count[i]++
						next[i] = at(i)
					}
				}
				if ms > 0 && ms%10_000 == 0 {
					c.pass(now)
				}
			}
			for _, l := range []metric.Level{metric.Workload, metric.Namespace, metric.Cluster} {
				if len(c.of[l]) < 50 {
					t.Fatalf("%v: %d intervals", l, len(c.of[l]))
				}
				low := 0 // a reading that comes later than ever before is made good by the next
				for k, x := range c.of[l] {
					if x.from < 50 {
						continue
					}
					if x.rate < 5.9 && c.lack[l][k+1] == 0 {
						low++
					}
					if x.rate > 6.001 || x.rate < 5.9 && (low > 1 || x.rate < 4) {
						t.Errorf("%v: %.3f cores from %.2f to %.2f, want 6", l, x.rate, x.from, x.to)
					}
				}
			}
		})
	}
}

// A collector that is replaced is silent for some seconds. What was used meanwhile is in no interval that has more of it than its time; one that
// lacks a part says so. The newcomer's first reading is of everything.
func TestSumsDoNotLeapWhenACollectorIsReplaced(t *testing.T) {
	for dead := 38.0; dead < 48; dead++ {
		for _, silence := range []float64{3, 6, 8, 11, 14, 15.5, 17, 25, 60} {
			t.Run(fmt.Sprint(dead, silence), func(t *testing.T) {
				c := newCurve(t)
				back := dead + silence
				for s := 0.25; s < back+60; s++ {
					for _, m := range []string{"a", "b", "kk"} {
						switch {
						case m != "kk" || s < dead || s > back+1:
							apply(t, c.p, busy(m, s, true))
						case s >= back:
							apply(t, c.p, busy(m, s, false))
						}
					}
					if int(s)%10 == 9 {
						c.pass(s + 0.75)
					}
				}
				for _, l := range []metric.Level{metric.Workload, metric.Namespace, metric.Cluster} {
					for k, x := range c.of[l] {
						if x.rate > 6.001 || x.rate < 3.999 || x.rate < 5.999 && (x.to < dead-1 || x.from > back+10) {
							t.Errorf("%v: %.3f cores from %.2f to %.2f, want 6, and 4 to 6 around the silence from %v to %v", l, x.rate, x.from, x.to, dead, back)
						}
						if lack := c.lack[l][k+1]; x.rate < 4.999 && lack == 0 {
							t.Errorf("%v: %.3f cores from %.2f to %.2f, and nothing is missing", l, x.rate, x.from, x.to)
						}
					}
				}
			})
		}
	}
}

// What a sender holds back and sends at once is told at the pace at which it was used: the sum has no more in an interval than all use.
func TestSamplesSentAtOnceAreNoLeap(t *testing.T) {
	for _, others := range []int{0, 2} {
		for _, every := range []float64{1, 5, 10} {
			for _, held := range []float64{4, 9, 12, 15, 20, 25, 45, 90} {
				for _, phase := range []int{1, 4, 9} {
					t.Run(fmt.Sprint(others, every, held, phase), func(t *testing.T) {
						c, want := newCurve(t), 2*float64(others+1)
						var queue []*metric.Batch
						for s := 0.0; s < 100+held+90; s++ {
							for i := range others {
								apply(t, c.p, busy(fmt.Sprint("m", i), s+0.25, true))
							}
							if int(s)%int(every) == 0 {
								queue = append(queue, busy("kk", s+0.5, false))
							}
							if s < 60 || s >= 60+held {
								for _, b := range queue {
									b.Time = sec(s + 0.5)
									apply(t, c.p, b)
								}
								queue = nil
							}
							if int(s)%10 == phase {
								c.pass(s + 0.75)
							}
						}
						for _, l := range []metric.Level{metric.Workload, metric.Namespace, metric.Cluster} {
							for _, x := range c.of[l] {
								if x.rate > want+0.001 {
									t.Errorf("%v: %.3f cores from %.2f to %.2f, want no more than %v", l, x.rate, x.from, x.to, want)
								}
							}
							if last := c.of[l][len(c.of[l])-1]; last.rate < want-0.001 || last.to < 100+held+60 {
								t.Errorf("%v: at the end %.3f cores up to %.2f, want %v", l, last.rate, last.to, want)
							}
						}
					})
				}
			}
		}
	}
}

// A member that is told an interval late for ever, since one reading came late once, is told what it used then, and not what it used in several intervals on average. A
// container begins anew every 70 s, and one uses a tenth of a core and a whole one in turns of a minute, by a counter that the live picture keeps all readings of and by
// one of which it keeps two.
func TestWhatIsToldLateIsWhatWasUsedThen(t *testing.T) {
	turns := func(at float64) float64 {
		n, r := math.Floor(at/120), math.Mod(at, 120)
		return n*66 + min(r, 60)*0.1 + max(r-60, 0)
	}
	for _, late := range []float64{0, 8, 12} {
		for phase := 1.0; phase < 10; phase += 3 {
			for name, used := range map[string]func(float64) float64{"turns": turns, "anew": func(at float64) float64 { return math.Mod(at, 70) }} {
				t.Run(fmt.Sprint(name, late, phase), func(t *testing.T) {
					p := newPicture(t, Options{})
					e := &metric.Entity{Level: metric.Container, Node: "m", Namespace: "demo", WorkloadKind: "k", Workload: "w", Pod: "w-1", Container: "c", ID: "/kubepods/w"}
					type of struct {
						level metric.Level
						id    metric.ID
					}
					last, told := map[of]metric.Point{}, map[of]int{}
					for s := 0.0; s <= 900; s += 0.5 {
						for at := 0.0; at <= 900; at += 10 {
							comes := at + 0.5
							if at == 180 {
								comes = at + max(late, 0.5)
							}
							if comes == s {
								g := cpu(e, sec(at), used(at), 100)
								g.Points = append(g.Points, metric.Point{ID: metric.CPUUser, T: sec(at).UnixMilli(), V: used(at) / 2})
								apply(t, p, &metric.Batch{Node: "m", Time: sec(s), Groups: []metric.Group{g}})
							}
						}
						if math.Mod(s, 10) != phase {
							continue
						}
						for _, g := range p.RollUp(sec(s)).Groups {
							for _, x := range g.Points {
								if x.ID != metric.CPUUsage && x.ID != metric.CPUUser {
									continue
								}
								key, share := of{g.Entity.Level, x.ID}, 1.0
								if x.ID == metric.CPUUser {
									share = 0.5
								}
								was, ok := last[key]
								last[key] = x
								from, to := float64(was.T-t0.UnixMilli())/1000, float64(x.T-t0.UnixMilli())/1000
								if !ok || x.V < was.V || from < 240 {
									continue
								}
								told[key]++
								want := used(to) - used(from)
								if name == "anew" {
									want = to - from
								}
								if got := (x.V - was.V) / share; math.Abs(got-want) > 1e-6 {
									t.Errorf("%v of %v: %.4f s of CPU from %g to %g s, want %.4f", metric.Get(x.ID).Name, key.level, got, from, to, want)
								}
							}
						}
					}
					for key, n := range told {
						if n < 50 {
							t.Errorf("%v: %d intervals", key, n)
						}
					}
					if len(told) < 6 {
						t.Errorf("told were %v", told)
					}
				})
			}
		}
	}
}

// What was held back and comes at once is in the first sum after it as what was used in one interval, and not as that for all the time since the last.
func TestSumAfterABacklog(t *testing.T) {
	p := newPicture(t, Options{})
	var was metric.Point
	first := true
	for now := 0; now < 300; now++ {
		from, to := now, now // live
		if now < 20 {
			from, to = 60*now-1200, 60*now-1200+59 // twenty minutes, a minute in each second
		}
		b := &metric.Batch{Node: "n1", Sender: "s", Time: sec(float64(now))}
		for at := from; at <= to; at++ {
			if at%10 == 3 || at%10 == -7 {
				b.Groups = append(b.Groups, cpu(inPod(uidA, "a"), sec(float64(at)), 5000+float64(at), 1e8))
			}
		}
		apply(t, p, b)
		if now%10 != 9 {
			continue
		}
		for _, g := range p.RollUp(sec(float64(now))).Groups {
			for _, x := range g.Points {
				if g.Entity.Level != metric.Namespace || x.ID != metric.CPUUsage {
					continue
				}
				if grown, over := x.V-was.V, float64(x.T-was.T)/1000; !first && x.V != 0 && (grown < 0.8*over || grown > 1.01*over) {
					t.Errorf("second %d: %.2f s used in %.1f s, want one core", now, grown, over)
				}
				was, first = x, false
			}
		}
	}
	if first {
		t.Error("no sums")
	}
}
