package live

import (
	"math"
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
// to a later one (upTo): with a point of 0, and what it grew by from there. No point of 0 is needed of what was heard again within the pass: the other's begins there
// too, or goes on above it. But the history knows of the other's last to the second, and in that second it may have been before. later: the other has counted all of it.
func begins(from, to int64, v float64, pass, others int64) (zero int64, grown float64, later bool) {
	again := from > pass+1
	zero = max(from, others+1)
	switch {
	case to <= others:
		return 0, 0, true
	case again && from <= others-time.Second.Milliseconds():
		return 0, v, false
	case zero >= to: // there is no room for a point, or the clock was set back
		return to, 0, false
	case zero > from:
		v *= float64(to-zero) / float64(to-from)
	}
	return zero, v, false
}

// upTo is up to when another process, whose last sums are of a time, can have told one by the clock of its members. Each process tells members up to times of its
// own, so that this one, which told so much up to the pass before, so much later than it was heard, may be behind. But nobody tells what is not heard: of one machine, in a pass that
// begins after the other's last, the other has no more than was heard by then. The time of a sum of several goes on with one of them when another falls silent, and may be beyond
// that. What was heard long before the pass is of a machine whose clock is slow.
func upTo(last, pass, told, late int64, one bool) int64 {
	heard := told + late
	others := last - max(0, pass-heard-joins)
	if one && last <= pass {
		return min(others, heard)
	}
	return others
}

// lateness is by how much what was told of a sum was behind what was heard, at each of the last passes, the newest first.
type lateness [waits + 1]uint8

// tenth is what lateness is counted in, in milliseconds.
const tenth = 100

// of is the lateness so many passes ago, in milliseconds. What is too much to be counted has no bound.
func (l *lateness) of(ago int) int64 {
	if l[ago] == math.MaxUint8 {
		return time.Hour.Milliseconds()
	}
	return int64(l[ago]) * tenth
}

// next notes that of another pass, of a sum that was told up to a time. Where nothing is heard any more it stays.
func (l *lateness) next(told, heard int64) {
	copy(l[1:], l[:])
	if told != 0 && heard != 0 {
		l[0] = uint8(min(max(0, heard-told+tenth-1)/tenth, math.MaxUint8))
	}
}

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
	tales, starts, sums := map[told]tale{}, map[*metric.Entity]time.Time{}, map[*metric.Entity]*rollup{}
	for sum, entity := range p.sums() {
		sums[entity] = sum
	}
	for k, b := range passes {
		of := pass{plan: &p.plan, begun: b.Time.Add(-every).UnixMilli(), others: unixMilli(last), ago: len(passes) - k}
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
			of.joins(tales, g, sums[g.Entity])
		}
	}
	p.others = unixMilli(last)
	for entity, at := range starts {
		sum := sums[entity]
		if sum == nil {
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

// pass is one that has waited, with up to when another process has written sums.
type pass struct {
	plan          *plan
	begun, others int64
	ago           int // how many passes ago it began
}

// joins has the counters of a group of the pass go on from those of the passes before it. sum is what they are of, if it is still there.
func (p *pass) joins(tales map[told]tale, g *metric.Group, sum *rollup) {
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
			var late lateness
			if sum != nil {
				late = sum.cell(x.ID, x.Sub).late
			}
			others := upTo(p.others, p.begun, from-1, late.of(p.ago), p.plan.single(g.Entity))
			zero, grown, later := begins(from, x.T, x.V, p.begun, others)
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
