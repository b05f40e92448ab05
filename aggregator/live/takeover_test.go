package live

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"plimsoll.dev/plimsoll/internal/metric"
)

// valued is a history of CPU counters, as who reads the values alone sees it.
type valued struct {
	of     map[string][]spoken
	newest time.Time
}

// spoken is a point, with when it was told: a member's part of it may be of up to then.
type spoken struct {
	metric.Point
	at time.Time
}

func (l *valued) Append(_ context.Context, b *metric.Batch) error {
	for _, g := range b.Groups {
		for _, x := range g.Points {
			if x.ID == metric.CPUUsage {
				name := fmt.Sprint(g.Entity.Level, " ", g.Entity)
				l.of[name] = append(l.of[name], spoken{x, b.Time})
			}
			if at := time.UnixMilli(x.T).Add(time.Second - 1).Truncate(time.Second); g.Entity.Level == metric.Cluster && (x.ID == metric.MemoryWorkingSet || x.ID == metric.CPUUsage) && at.After(l.newest) {
				l.newest = at
			}
		}
	}
	return nil
}

func (l *valued) written(_ context.Context, since time.Time) (time.Time, error) {
	if l.newest.After(since) {
		return l.newest, nil
	}
	return time.Time{}, nil
}

// away is a machine's silence, in milliseconds.
type away struct{ from, to int }

func (a away) has(at int) bool { return at > a.from && at < a.to }

// Whoever writes, whenever the duty passes to another, and whenever machines fall silent and come back: no sum has a rate above what all its members use
// (for an interval at the edge of a silence, where one makes good what is late: by no more than as much again), none of 0 where they used something, and none below what they use where all were heard all the time.
func TestTakeoverMeetsSilence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const end, step = 240_000, 250
		quarters := func(from, to int, name string) int {
			return step * rapid.IntRange(from*1000/step, to*1000/step).Draw(t, name)
		}
		type machine struct {
			every, offset int
			silences      []away
		}
		machines := make([]machine, rapid.IntRange(1, 3).Draw(t, "machines"))
		for i := range machines {
			m := &machines[i]
			m.every = rapid.SampledFrom([]int{1000, 10_000}).Draw(t, "every")
			m.offset = quarters(0, m.every/1000, "offset")
			for range rapid.IntRange(0, 2).Draw(t, "silences") {
				from := quarters(20, 180, "silent")
				m.silences = append(m.silences, away{from, from + quarters(3*m.every/1000-5*(m.every/10_000), 120, "for")}) // one sample that is late is made good by the next
			}
		}
		type turn struct{ at, to int } // -1: nobody's
		turns := []turn{{0, 0}}
		for at, who := 0, 0; ; {
			if at += quarters(11, 90, "holds"); at > end {
				break
			}
			turns = append(turns, turn{at, -1})
			at += rapid.SampledFrom([]int{0, 2000, 10_000, 15_000}).Draw(t, "free")
			who = 1 - who
			turns = append(turns, turn{at, who})
		}
		history := &valued{of: map[string][]spoken{}}
		var servers [2]struct {
			RollUps
			gate    door
			phase   int
			waiting []*metric.Batch
		}
		for i := range servers {
			s := &servers[i]
			p, err := New(Options{})
			if err != nil {
				t.Fatal(err)
			}
			s.RollUps = RollUps{Picture: p, History: history, Gate: &s.gate, Every: 10 * time.Second, Written: history.written}
			s.phase = quarters(0, 9, "phase")
			s.gate.shut.Store(true)
		}
		at := func(ms int) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }
		for now := 0; now <= end; now += step {
			for len(turns) > 0 && turns[0].at <= now {
				for i := range servers {
					servers[i].gate.shut.Store(i != turns[0].to)
				}
				turns = turns[1:]
			}
			for i, m := range machines {
				if now < m.offset || (now-m.offset)%m.every != 0 || slices.ContainsFunc(m.silences, func(a away) bool { return a.has(now) }) {
					continue
				}
				b := sent(fmt.Sprint("m", i), float64(now)/1000, 1)
				b.Fast = m.every == 1000
				for k := range servers {
					_ = servers[k].Picture.Apply(b)
				}
			}
			for i := range servers {
				if s := &servers[i]; now > 0 && now%10_000 == s.phase {
					s.waiting = s.pass(context.Background(), at(now), s.waiting)
				}
			}
		}
		calm := func(from, to int64) bool { // all were heard, up to when it was told
			for _, m := range machines {
				for _, a := range m.silences {
					last := a.from - (a.from-m.offset)%m.every
					if int64(last) < to && int64(a.to)+30_000 > from {
						return false
					}
				}
			}
			return from > 40_000
		}
		for name, all := range history.of {
			members := 1.
			if level := name[:4]; level == "clus" || level == "name" || level == "work" {
				members = float64(len(machines))
			}
			slices.SortStableFunc(all, func(a, b spoken) int { return cmp.Compare(a.T, b.T) })
			for i := 1; i < len(all); i++ {
				a, b := all[i-1], all[i]
				if b.V < a.V {
					continue // begun anew
				}
				rate := (b.V - a.V) / float64(b.T-a.T) * 1000
				from, to, at := a.T-t0.UnixMilli(), b.T-t0.UnixMilli(), b.at.Sub(t0).Milliseconds()
				switch {
				case a.T == b.T && a.V != b.V:
					t.Errorf("%s: %v and %v at %d", name, a.V, b.V, from)
				case a.T == b.T:
				case rate > members/2+0.001 && (calm(from, to) || rate > members): // what is late is made good by the next interval
					t.Errorf("%s: %v from %d to %d, want no more than %v", name, rate, from, to, members/2)
				case rate == 0 && to-from > 10 && a.V > 0: // a life of one sample is told from the next by nothing
					t.Errorf("%s: none from %d to %d (%v to %v)", name, from, to, a.V, b.V)
				case calm(from, at) && rate < members/2-0.001 && to-from > 10:
					t.Errorf("%s: %v from %d to %d though all were heard, want %v", name, rate, from, to, members/2)
				}
			}
		}
	})
}

// A machine whose clock is behind is taken over like any other: by its own clock, and it is in the sums again within two intervals.
func TestTakeoverOfASlowClock(t *testing.T) {
	for _, slow := range []float64{5, 15, 60} {
		for phase := range 10 {
			t.Run(fmt.Sprint(slow, phase), func(t *testing.T) {
				history := &valued{of: map[string][]spoken{}}
				var gates [2]door
				var servers [2]RollUps
				var waiting [2][]*metric.Batch
				for i := range servers {
					servers[i] = RollUps{Picture: newPicture(t, Options{}), History: history, Gate: &gates[i], Every: 10 * time.Second, Written: history.written}
				}
				for s := range 200 {
					for i := range servers {
						for m, behind := range map[string]float64{"m": slow, "right": 0} {
							b := sent(m, float64(s)-behind, 1)
							b.Time, b.Fast = sec(float64(s)), true
							apply(t, servers[i].Picture, b)
						}
						gates[i].shut.Store(i == 0 != (s < 100) || s >= 100 && s < 112)
						if s%10 == [2]int{3, phase}[i] {
							waiting[i] = servers[i].pass(t.Context(), sec(float64(s)), waiting[i])
						}
					}
				}
				for _, name := range []string{"pod pod demo/m0", "node node m"} {
					all := history.of[name]
					slices.SortStableFunc(all, func(a, b spoken) int { return cmp.Compare(a.T, b.T) })
					for i, b := range all[1:] {
						a := all[i]
						switch gap := float64(b.T-a.T) / 1000; {
						case b.V < a.V && gap > 25:
							t.Errorf("%s: nothing for %v s", name, gap)
						case b.V >= a.V && (b.V-a.V)/gap > 0.501, b.V > a.V && (b.V-a.V)/gap < 0.499:
							t.Errorf("%s: %v in %v s", name, b.V-a.V, gap)
						}
					}
					if at := float64(all[len(all)-1].T-t0.UnixMilli()) / 1000; at < 185-slow {
						t.Errorf("%s: the last is of %v", name, at)
					}
				}
			})
		}
	}
}
