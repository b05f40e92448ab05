package samples

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// life is a member.
type life struct {
	pod string
	at  []store.Sample
}

// ask answers a query of members, of which no more is read than an engine would.
func ask(t *testing.T, q store.Query, now int64, members ...*life) []store.Sample {
	t.Helper()
	q.Level = metric.Container
	if q.By == nil {
		q.By = []string{"workload"}
	}
	c, err := q.Check()
	if err != nil || !Needs(&c) {
		t.Fatalf("%+v: %v, needs samples: %v", q, err, err == nil && Needs(&c))
	}
	from, to := Reach(&c)
	got, err := Answer(context.Background(), &c, Options{Now: now, Limit: 1e6, Most: 1e6}, func(yield func(Member, error) bool) {
		for _, m := range members {
			part := &Held{Labels: []metric.Label{{Name: "pod", Value: m.pod}, {Name: "workload", Value: "w"}}}
			for _, x := range m.at {
				if x.T >= from && x.T <= min(to, now) {
					part.Samples = append(part.Samples, x)
				}
			}
			if len(part.Samples) > 0 && !yield(part, nil) {
				return
			}
		}
	})
	if err != nil || len(got) > 1 {
		t.Fatalf("%+v: %v, %v", q, got, err)
	}
	if len(got) == 0 {
		return nil
	}
	return got[0].Samples
}

const second = 1000

// TestSuccessorsNeverAddUp: members that come one after the other, each of 100 and one core, at paces of their own and some with an end that is said, are 100 and one core at any moment and over
// any window. Only up to now, while the next sample of one is still to come and another has begun, is it not known which of the two it is.
func TestSuccessorsNeverAddUp(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		base := int64(1_700_000_000) * second
		var gauges, counters []*life
		var next []int64 // when the next sample of each was to come
		used, at := 0.0, base
		for i := range 30 {
			g, c := &life{pod: fmt.Sprint("p", i)}, &life{pod: fmt.Sprint("p", i)}
			pace := int64([]int{1, 5, 10, 15, 30}[rnd.IntN(5)]) * second
			for range 2 + rnd.IntN(30) {
				g.at = append(g.at, store.Sample{T: at, V: 100})
				c.at = append(c.at, store.Sample{T: at, V: used})
				used += float64(pace) / second
				at += pace
			}
			at -= pace
			if next = append(next, at+pace+pace/2); rnd.IntN(2) == 0 {
				g.at = append(g.at, store.Sample{T: at + 1, V: math.NaN()})
			}
			at += 1 + rnd.Int64N(25*second)
			gauges, counters = append(gauges, g), append(counters, c)
		}
		for range 30 {
			back := time.Duration(1+rnd.IntN(3000)) * time.Second
			if rnd.IntN(3) == 0 {
				back = time.Duration(1+rnd.IntN(20)) * time.Second
			}
			end := base + back.Milliseconds() + rnd.Int64N(max(at-base-back.Milliseconds(), 1))
			now := end
			if rnd.IntN(2) == 0 {
				now += rnd.Int64N(1000 * second)
			}
			q := store.Query{Row: metric.MemoryWorkingSet, Start: time.UnixMilli(end - back.Milliseconds()), End: time.UnixMilli(end), Window: back, Q: rnd.Float64(),
				Func: []store.Func{store.Avg, store.Max, store.Min, store.Quantile, store.Last, store.Rate}[rnd.IntN(6)]}
			members, want, most := gauges, 100.0, 100.0
			if q.Func == store.Rate {
				q.Row, members, want, most = metric.CPUUsage, counters, 1, 1
			}
			for i, m := range gauges[1:] {
				if m.at[0].T <= now && next[i] >= now {
					most = 2 * want
				}
			}
			if rnd.IntN(2) == 0 {
				q.Start, q.Step = time.UnixMilli(end-3*20*second), 20*time.Second
			}
			got := ask(t, q, now, members...)
			if len(got) == 0 && back >= time.Minute {
				t.Errorf("seed %d: %s over %v each %v, asked %d ms later: there is nothing", seed, q.Func, back, q.Step, now-end)
			}
			for _, x := range got {
				if x.V < want-1e-6 || x.V > most+1e-6 {
					t.Errorf("seed %d: %s over %v each %v, asked %d ms later: got %v %d ms after the first sample, want %v to %v", seed, q.Func, back, q.Step, now-end, x.V, x.T-base, want, most)
				}
			}
		}
	}
}

// TestOneMore: one that begins beside ten, each of 100, is the eleventh from its first sample on, up to now, too, while the others' next samples are still to come.
func TestOneMore(t *testing.T) {
	now := int64(1_700_000_000) * second
	var members []*life
	for i := range int64(10) {
		m := &life{pod: fmt.Sprint("p", i)}
		for at := now - 600*second - i*second; at <= now; at += 10 * second {
			m.at = append(m.at, store.Sample{T: at, V: 100})
		}
		members = append(members, m)
	}
	members = append(members, &life{"new", []store.Sample{{T: now - 3*second, V: 100}}})
	for _, back := range []time.Duration{11 * time.Second, time.Minute, 5 * time.Minute} {
		for fn, want := range map[store.Func]float64{store.Min: 1000, store.Max: 1100, store.Last: 1100} {
			got := ask(t, store.Query{Row: metric.MemoryWorkingSet, Start: time.UnixMilli(now).Add(-back), End: time.UnixMilli(now), Func: fn}, now, members...)
			if len(got) != 1 || got[0].V != want {
				t.Errorf("%s over %v: got %v, want %v", fn, back, got, want)
			}
		}
	}
}

// TestHolesAreNoPace: who missed samples, came back with one and ended is not there for as long as it was away.
func TestHolesAreNoPace(t *testing.T) {
	end := int64(1_700_000_000) * second
	steady, hole := &life{pod: "steady"}, &life{pod: "hole"}
	for at := end - 900*second; at <= end+300*second; at += 10 * second {
		steady.at = append(steady.at, store.Sample{T: at, V: 100})
		if at < end-800*second || at == end-550*second {
			hole.at = append(hole.at, store.Sample{T: at, V: 60})
		}
	}
	for fn, want := range map[store.Func]float64{store.Max: 160, store.Avg: 100 + 60*3./52, store.Last: 100} {
		got := ask(t, store.Query{Row: metric.MemoryWorkingSet, Start: time.UnixMilli(end - 560*second), End: time.UnixMilli(end - 50*second), Func: fn}, end+300*second, steady, hole)
		if len(got) != 1 || math.Abs(got[0].V-want) > 0.01 {
			t.Errorf("%s: got %v, want %v", fn, got, want)
		}
	}
}

// TestBriefAtOnce: members that are read once, all at the same moment, were there at once, and one that is read for the last time when another is read for the first time came before it.
func TestBriefAtOnce(t *testing.T) {
	at := int64(1_700_000_005) * second
	one := func(pod string, times ...int64) *life {
		m := &life{pod: pod}
		for _, s := range times {
			m.at = append(m.at, store.Sample{T: at + s*second, V: 100})
		}
		return m
	}
	for name, c := range map[string]struct {
		want    float64
		members []*life
	}{
		"read once":              {300, []*life{one("a", 0), one("b", 0), one("c", 0)}},
		"one after another":      {100, []*life{one("a", -20, -10, 0), one("b", 0, 10, 20)}},
		"one more, read once":    {200, []*life{one("a", -20, -10, 0, 10, 20), one("b", 0)}},
		"read once, and another": {100, []*life{one("a", 0), one("b", 3, 13)}},
	} {
		for _, fn := range []store.Func{store.Max, store.Last} {
			q := store.Query{Row: metric.MemoryWorkingSet, Start: time.UnixMilli(at - 60*second), End: time.UnixMilli(at + 60*second), Func: fn}
			if fn == store.Last {
				q.End = time.UnixMilli(at)
				if name == "read once, and another" {
					q.End = time.UnixMilli(at + 3*second)
				}
			}
			if got := ask(t, q, at+1000*second, c.members...); len(got) != 1 || got[0].V != c.want {
				t.Errorf("%s, %s: got %v, want %v", name, fn, got, c.want)
			}
		}
	}
}

// TestSlots: many that stand beside one another, each of which is replaced by another now and then, are as many as they are at any moment and over any window.
func TestSlots(t *testing.T) {
	base := int64(1_700_000_000) * second
	for _, c := range []struct{ slots, life, pace int64 }{{50, 60, 10}, {20, 300, 30}, {10, 300, 10}, {4, 60, 10}, {50, 60, 1}, {2, 120, 10}, {1, 40, 10}} {
		for _, apart := range []int64{0, 3} { // whether all are replaced at once
			var gauges, counters []*life
			for slot := range c.slots {
				begin := base + slot*apart*second
				for n := range 3600 / c.life {
					pod := fmt.Sprint("s", slot, "-", n)
					g, u := &life{pod: pod}, &life{pod: pod}
					for at := int64(0); at < c.life; at += c.pace {
						at := begin + (n*c.life+at)*second
						g.at, u.at = append(g.at, store.Sample{T: at, V: 100}), append(u.at, store.Sample{T: at, V: float64(at-base) / second})
					}
					gauges, counters = append(gauges, g), append(counters, u)
				}
			}
			for _, fn := range []store.Func{store.Avg, store.Max, store.Min, store.Quantile, store.Last, store.Rate} {
				for _, step := range []time.Duration{0, 10 * time.Second, time.Minute, 7 * time.Minute} {
					end := base + 3000*second
					q := store.Query{Row: metric.MemoryWorkingSet, Start: time.UnixMilli(end - 1800*second), End: time.UnixMilli(end), Step: step, Func: fn, Q: 0.5}
					members, want := gauges, 100*float64(c.slots)
					if fn == store.Rate {
						q.Row, members, want = metric.CPUUsage, counters, float64(c.slots)
					}
					for _, x := range ask(t, q, end+1000*second, members...) {
						if math.Abs(x.V-want) > 1e-3*want {
							t.Errorf("%d slots of %d s each %d s, %d s apart, %s each %v: got %v %d s before the end, want %v", c.slots, c.life, c.pace, apart, fn, step, x.V, (end-x.T)/second, want)
							break
						}
					}
				}
			}
		}
	}
}

// TestOneSampleEach: members that are read once each, one after the other, are one in steps of any length.
func TestOneSampleEach(t *testing.T) {
	base := int64(1_700_000_000) * second
	var members []*life
	for i := range int64(200) {
		members = append(members, &life{fmt.Sprint("p", i), []store.Sample{{T: base + i*10*second, V: 100}, {T: base + i*10*second + 9*second, V: math.NaN()}}})
	}
	for _, step := range []time.Duration{10, 11, 13, 17, 25, 47, 60} {
		for _, fn := range []store.Func{store.Avg, store.Max, store.Min, store.Last} {
			got := ask(t, store.Query{Row: metric.MemoryWorkingSet, Start: time.UnixMilli(base + 500*second), End: time.UnixMilli(base + 1500*second), Step: step * time.Second, Func: fn}, base+9000*second, members...)
			if len(got) != int(1000/step)+1 {
				t.Errorf("%s each %d s: %d points", fn, step, len(got))
			}
			for _, x := range got {
				if x.V != 100 {
					t.Errorf("%s each %d s: got %v, want 100", fn, step, x)
				}
			}
		}
	}
}

// TestNoPointNoSeries: a counter that is read each minute says nothing of the seconds between two readings, and there is no series of it.
func TestNoPointNoSeries(t *testing.T) {
	base := int64(1_700_000_000) * second
	q := store.Query{Row: metric.CPUUsage, Level: metric.Container, By: []string{"workload"}, Func: store.Rate, Window: 10 * time.Second,
		Start: time.UnixMilli(base + 20*second), End: time.UnixMilli(base + 40*second), Step: 10 * time.Second}
	c, err := q.Check()
	if err != nil {
		t.Fatal(err)
	}
	m := &Held{Labels: []metric.Label{{Name: "workload", Value: "w"}}, Samples: []store.Sample{{T: base, V: 1}, {T: base + 60*second, V: 2}}}
	got, err := Answer(t.Context(), &c, Options{Now: base + 1000*second, Limit: 1e6, Most: 1e6}, func(yield func(Member, error) bool) { yield(m, nil) })
	if err != nil || len(got) > 0 {
		t.Errorf("got %v and error %v, want no series", got, err)
	}
}
