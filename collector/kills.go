package collector

import (
	"iter"
	"maps"
	"time"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Killer is an Extra that knows of containers whose main process the kernel has killed for want of memory: the cgroup that counted it goes with the process, and the
// next life has another, which counts from 0.
type Killer interface {
	// Killed tells of each container that this happened to, and when it did last. It is asked after Read, of the same tick.
	Killed() iter.Seq2[*metric.Entity, time.Time]
}

// kills counts the OOM kills of containers over all of their lives: those that cgroups have counted, and the kill that ended a life. A count is as old as the collector.
type kills struct {
	began time.Time
	by    map[identity.Key]*tally
}

// tally is the count of one container.
type tally struct {
	id      string    // of the cgroup that was read last
	start   time.Time // when that began
	last    float64   // what it counted
	before  float64   // what those before it did, and the kills that ended lives
	killed  time.Time // when the newest of these was
	counted time.Time // when it was told last
	told    bool      // a count of it was told
}

// keepKills is how long a count is kept of what is not told of any more.
const keepKills = 15 * time.Minute

// add puts the counts into a batch, in place of what the cgroups count.
func (k *kills) add(b *metric.Batch, now time.Time, extra []Extra) {
	if k.by == nil {
		k.began, k.by = now, map[identity.Key]*tally{}
	}
	for _, x := range extra {
		killer, ok := x.(Killer)
		if !ok {
			continue
		}
		for e, at := range killer.Killed() {
			if t := k.of(e, now); at.After(t.killed) && at.After(k.began) {
				t.before, t.killed = t.before+1, at
			}
		}
	}
	for i := range b.Groups {
		if b.Groups[i].Entity.Level == metric.Container {
			k.group(&b.Groups[i], now)
		}
	}
	maps.DeleteFunc(k.by, func(_ identity.Key, t *tally) bool { return now.Sub(t.counted) > keepKills })
}

// group puts the count of one container into its group, which has none where there is no cgroup, as between two lives.
func (k *kills) group(g *metric.Group, now time.Time) {
	var own *metric.Point
	for i := range g.Points {
		if g.Points[i].ID == metric.OOMKills {
			own = &g.Points[i]
		}
	}
	if own == nil {
		if t := k.by[identity.KeyOf(g.Entity)]; t != nil && len(g.Points) > 0 {
			t = k.of(g.Entity, now)
			g.Points = append(g.Points, metric.Point{ID: metric.OOMKills, T: g.Points[0].T, V: t.tell(t.last, true)})
		}
		return
	}
	t := k.of(g.Entity, now)
	if own.V < t.last || t.id != g.Entity.ID || identity.Follows(t.start, g.Start) > 0 {
		t.before += t.last
	}
	t.id, t.start, t.last = g.Entity.ID, g.Start, own.V
	own.V = t.tell(own.V, g.Start.After(k.began))
}

// tell is the count where the present cgroup has counted so much. What has begun under the collector's eyes is told from 0, so that its first kill is one more.
func (t *tally) tell(own float64, seen bool) float64 {
	if !t.told && seen {
		t.told = true
		return 0
	}
	t.told = true
	return t.before + own
}

// of is a container's count. What has its name and is of another pod, or is another container by itself, begins anew.
func (k *kills) of(e *metric.Entity, now time.Time) *tally {
	key := identity.KeyOf(e)
	t := k.by[key]
	if t == nil || e.ID != "" && t.id != "" && t.id != e.ID && !identity.SamePod(t.id, e.ID) {
		t = &tally{id: e.ID}
		k.by[key] = t
	}
	t.counted = now
	return t
}
