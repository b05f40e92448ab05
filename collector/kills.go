package collector

import (
	"cmp"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Killer is an Extra that knows of containers whose main process the kernel has killed for want of memory: the cgroup that counted it goes with the process, and the
// next life has another, which counts from 0.
type Killer interface {
	// Killed tells of each such kill that is known of a container, the same ones again each time. It is asked after Read, of the same tick.
	Killed() iter.Seq2[*metric.Entity, cluster.Kill]
}

// kills counts the OOM kills of containers over all of their lives: those that cgroups have counted, and the kill that ended a life. A count is as old as the collector.
type kills struct {
	began time.Time
	by    map[identity.Key]*tally
}

// tally is the count of one container.
type tally struct {
	lives   []life         // as they were told of, the newest last
	before  float64        // what those counted that are not kept any more
	until   time.Time      // when the newest of these was killed
	path    string         // of the cgroup that was read last; "" before the first
	absent  *metric.Entity // what it was called where it had no cgroup
	counted time.Time      // when it was told last
	told    bool           // a count of it was told
}

// life is what is known of one.
type life struct {
	id     string    // as who tells of its end calls it; "" where nobody does, or all lives have one
	path   string    // of its cgroup; "": none was read
	start  time.Time // when that began
	count  float64   // what it counted
	rose   time.Time // when it was first read to count that; zero where it did before anybody looked
	killed time.Time // when its main process was; zero: not that anybody knows
}

const (
	// keepKills is how long a count is kept of what is not told of any more.
	keepKills = 15 * time.Minute
	// keepLives is how many lives of a container are: the end of one may be told long after the next has begun.
	keepLives = 20
	// dying is how much later the end of a life may be than the kill that its cgroup was seen to count: kubelets tell it in whole seconds, and a machine that lacks memory is slow.
	dying = 3 * time.Second
)

// kills is how many there were in a life. The one that ended it is among those that its cgroup counted if that was seen to count it, and not if it had counted them some time before.
func (l *life) kills() float64 {
	if l.killed.IsZero() || l.count > 0 && !l.rose.Before(l.killed.Add(-dying)) {
		return l.count
	}
	return l.count + 1
}

// add puts the counts into a batch that has just been read, in place of what the cgroups count.
func (k *kills) add(b *metric.Batch, now time.Time, extra []Extra) {
	if k.by == nil {
		k.began, k.by = now, map[identity.Key]*tally{}
	}
	for _, x := range extra {
		killer, ok := x.(Killer)
		if !ok {
			continue
		}
		for e, kill := range killer.Killed() {
			if t := k.of(e, now); kill.At.After(k.began) {
				t.end(kill)
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
		if k.by[keyOf(g.Entity)] != nil && len(g.Points) > 0 {
			g.Points = append(g.Points, metric.Point{ID: metric.OOMKills, T: g.Points[0].T, V: k.of(g.Entity, now).tell(true)})
		}
		return
	}
	t, seen := k.of(g.Entity, now), g.Start.After(k.began)
	if l := t.read(g.Entity.ID, g.Start, own.V); l.count != own.V {
		if l.count = own.V; seen || t.told {
			l.rose = now
		}
	}
	own.V = t.tell(seen)
}

// read is the life whose cgroup was read.
func (t *tally) read(of string, start time.Time, count float64) *life {
	for i := len(t.lives) - 1; i >= 0; i-- {
		l := &t.lives[i]
		switch {
		case l.path == of && count >= l.count && identity.Follows(l.start, start) <= 0:
		case l.path == "" && (l.id != "" && strings.Contains(path.Base(of), l.id) || l.id == "" && !l.killed.Before(start)): // its end was told first
			l.path = of
		default:
			continue
		}
		l.start = start
		return l
	}
	return t.begin(life{path: of, start: start})
}

// end notes the kill that ended a life.
func (t *tally) end(kill cluster.Kill) {
	if !kill.At.After(t.until) || slices.ContainsFunc(t.lives, func(l life) bool { return l.id == kill.Life && l.killed.Equal(kill.At) }) {
		return
	}
	for i := len(t.lives) - 1; i >= 0; i-- {
		l := &t.lives[i]
		switch {
		case kill.Life != "" && (l.id == kill.Life || strings.Contains(path.Base(l.path), kill.Life)):
		case kill.Life == "" && l.path != "" && l.killed.IsZero() && !l.start.After(kill.At):
		default:
			continue
		}
		l.id, l.killed = kill.Life, cmp.Or(l.killed, kill.At) // a container ends once
		return
	}
	t.begin(life{id: kill.Life, killed: kill.At})
}

// begin adds a life. What the oldest counted is kept for it where there are many.
func (t *tally) begin(l life) *life {
	if len(t.lives) == keepLives {
		oldest := &t.lives[0]
		t.before += oldest.kills()
		if oldest.killed.After(t.until) {
			t.until = oldest.killed
		}
		t.lives = slices.Delete(t.lives, 0, 1)
	}
	t.lives = append(t.lives, l)
	return &t.lives[len(t.lives)-1]
}

// tell is the count. What has begun under the collector's eyes is told from 0, so that its first kill is one more.
func (t *tally) tell(seen bool) float64 {
	if !t.told && seen {
		t.told = true
		return 0
	}
	t.told = true
	sum := t.before
	for i := range t.lives {
		sum += t.lives[i].kills()
	}
	return sum
}

// keyOf is the key of a container with a cgroup and without one: all are of one machine.
func keyOf(e *metric.Entity) identity.Key { return identity.KeyOf(e).InCluster() }

// of is a container's count. What has its name and is of another pod, or is another container by itself, begins anew.
func (k *kills) of(e *metric.Entity, now time.Time) *tally {
	key := keyOf(e)
	t := k.by[key]
	if t == nil || t.another(e) {
		t = &tally{}
		k.by[key] = t
	}
	if e.ID != "" {
		t.path = e.ID
	} else {
		t.absent = e
	}
	t.counted = now
	return t
}

// another says whether what has the name now is another thing. A container of a pod is spoken of as one without a cgroup only before it had its first, and in one way.
func (t *tally) another(e *metric.Entity) bool {
	if e.ID == "" {
		return t.absent != e && (t.absent != nil || t.path != "")
	}
	return t.path != "" && t.path != e.ID && !identity.SamePod(t.path, e.ID)
}
