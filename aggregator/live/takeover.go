package live

import (
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// beginSums has the counters of all roll-ups begin at the newest pass.
func (p *Picture) beginSums() {
	p.walk.Lock()
	defer p.walk.Unlock()
	p.others = 0
	for sum := range p.sums() {
		sum.start = p.rolled.Load()
		for j := range sum.cells {
			sum.cells[j].sum, sum.cells[j].fresh = 0, true
		}
	}
}

// goOn has the counters go on without a word of where they have begun: nobody knows of when another process's are, if there are any.
func (p *Picture) goOn() {
	p.walk.Lock()
	defer p.walk.Unlock()
	for sum := range p.sums() {
		for j := range sum.cells {
			sum.cells[j].fresh = false
		}
	}
}

// sums are the roll-ups that there are, by the units that have them.
func (p *Picture) sums() func(yield func(*rollup, *metric.Entity) bool) {
	return func(yield func(*rollup, *metric.Entity) bool) {
		for i := range p.plan.spots {
			if s := &p.plan.spots[i]; s.u.sum != nil && !yield(s.u.sum, s.entity) {
				return
			}
		}
	}
}

// begins says with what a counter begins that has grown by v from one time to another, in a pass that began at a time, where another process has counted up
// to a later one: with a point of 0, and what it grew by from there. No point of 0 is needed of what was heard again within the pass: the other's begins there
// too, or goes on above it. later: the other has counted all of it. slow is by how much the clock that times are by is behind.
func begins(from, to int64, v float64, pass, others, slow int64) (zero int64, grown float64, later bool) {
	again := from > pass+1
	others -= slow
	zero = max(from, others+1)
	switch {
	case to <= others:
		return 0, 0, true
	case again && from <= others:
		return 0, v, false
	case zero >= to: // there is no room for a point, or the clock was set back
		return to, 0, false
	case zero > from:
		v *= float64(to-zero) / float64(to-from)
	}
	return zero, v, false
}

// lag is by how much the newest sample of a sum is older than it can be because of a sampling interval: its machine's clock is slow, in milliseconds.
func lag(now, t int64) int64 { return max(0, now-t-silentAfter.Milliseconds()) }

// tale is what one counter has come to in passes.
type tale struct {
	sum float64
	t   int64 // of its newest point; 0: it has not begun
}

// told is whose tale it is.
type told struct {
	entity *metric.Entity
	id     metric.ID
	sub    string
}

// continueSums makes one count of passes that were counted each by itself, and has it go on in those to come. What another process has counted, up to
// last, is not in it.
func (p *Picture) continueSums(passes []*metric.Batch, last time.Time, every time.Duration) {
	p.walk.Lock()
	defer p.walk.Unlock()
	tales, starts := map[told]tale{}, map[*metric.Entity]time.Time{}
	for k, b := range passes {
		begun := b.Time.Add(-every)
		others := after(last, begun)
		for i := range b.Groups {
			g := &b.Groups[i]
			if g.Entity.Level < metric.Pod { // a container's are its own, and no sums
				continue
			}
			// A pass begins at the one before it, unless all began anew where it was heard again.
			if at, ok := starts[g.Entity]; ok && !g.Start.IsZero() && g.Start.Equal(passes[k-1].Time.Truncate(time.Millisecond)) {
				g.Start = at
			} else if !ok || !g.Start.IsZero() {
				starts[g.Entity] = g.Start
			}
			joined(tales, g, begun.UnixMilli(), others, b.Time.UnixMilli())
		}
	}
	p.others = after(last, millis(p.rolled.Load()))
	for sum, entity := range p.sums() {
		at, ok := starts[entity]
		if !ok {
			continue
		}
		if !at.IsZero() {
			sum.start = at.UnixMilli()
		}
		for j := range sum.cells {
			x := &sum.cells[j]
			of := tales[told{entity, x.id, x.sub}]
			x.sum, x.fresh = of.sum, of.t == 0
		}
	}
}

// after is the time up to which another process has counted what a pass that begins at a time has too; 0: nothing.
func after(others, begins time.Time) int64 {
	if !others.After(begins) {
		return 0
	}
	return unixMilli(others)
}

// joined has the counters of a group of a pass at a time go on from those of the passes before it.
func joined(tales map[told]tale, g *metric.Group, begun, others, now int64) {
	points := g.Points[:0:0]
	for j := 0; j < len(g.Points); j++ {
		x := g.Points[j]
		if metric.Get(x.ID).Kind != metric.Counter {
			points = append(points, x)
			continue
		}
		from := int64(0) // not known: there was no such counter before
		if j+1 < len(g.Points) && g.Points[j+1].ID == x.ID && g.Points[j+1].Sub == x.Sub {
			from = x.T
			j++
			x = g.Points[j]
		}
		of := told{g.Entity, x.ID, x.Sub}
		is := tales[of]
		switch {
		case from == 0:
			is.sum += x.V
		case is.t == 0:
			zero, grown, later := begins(from, x.T, x.V, begun, others, lag(now, x.T))
			if later {
				continue
			}
			if zero != 0 {
				points = append(points, metric.Point{ID: x.ID, Sub: x.Sub, T: zero})
			}
			is.sum = grown
		case from-is.t > unheard:
			points = append(points, metric.Point{ID: x.ID, Sub: x.Sub, T: from})
			is.sum = x.V
		default:
			is.sum += x.V
		}
		is.t, x.V = x.T, is.sum
		tales[of] = is
		points = append(points, x)
	}
	g.Points = points
}
