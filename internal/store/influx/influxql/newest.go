package influxql

import (
	"plimsoll.dev/plimsoll/internal/store"
)

// mostWindows is the most windows of which each is asked for by a statement of its own: only so do the newest values of series have their times, and each costs as much again
// as all in one.
const mostWindows = 24

// newest writes statements whose rows are the newest sample of each series in each window, or the part of it that the window before has not, and the first sample after the last
// window: from when the samples were it is seen who was there at a window's end. Of many windows all but the last are asked for at once.
func (w *writer) newest() error {
	first, last, step := w.query.Grid()
	if w.window <= w.moment+1 {
		return w.write()
	}
	w.kind, w.join = latest, true
	from, summed := first, false
	if (last-first)/step >= mostWindows {
		from = last
		var err error
		if summed, err = w.earlier(first-w.window, last-step, step); err != nil {
			return err
		}
	}
	for t := from; t <= last; t += step {
		lo := t - w.window
		if t > first && !summed {
			lo = max(lo, t-step)
		}
		w.cut(source{lo: lo, hi: t}, 0, 0, func(s *source) { w.add(s, 0, 0) })
	}
	after := source{lo: last, hi: last + store.MaxInterval.Milliseconds()}
	w.Statements = append(w.Statements, Statement{Text: "SELECT FIRST(" + Ident(w.field) + ") AS v FROM " + w.from(&after, after.lo, after.hi) + " GROUP BY *", after: last})
	return nil
}

// earlier writes statements of all windows but the last, and says whether their rows are sums: that of the newest moment at which any was there, or where there are too
// many moments, the mean of the last minutes at which any was. Otherwise they are who was in the last piece of a window.
func (w *writer) earlier(lo, hi, step int64) (summed bool, err error) {
	part := gcd(w.window, step)
	g := w.group(part, store.MaxInterval)
	if (hi-lo)/g > maxPieces {
		return false, tooMany(w)
	}
	s, few := source{lo: lo, hi: hi}, hi-lo <= mostMoments*w.moment
	switch {
	case few && part%w.moment == 0:
		w.fine, w.join = true, false
		w.cut(s, part, hi, func(s *source) {
			w.add(s, part, hi)
			w.Statements[len(w.Statements)-1].tells = sums
		})
		w.fine, w.join = false, true
	case few || w.query.Join != "" && w.query.Join != store.Sum:
		return false, w.pieces(lo, hi, step)
	default:
		w.cutMeetings(s, g, whole)
		w.paces(lo, hi, false)
	}
	return true, nil
}

// party is the series that are joined.
type party struct {
	value   func(label string) string
	members []*Series
	sums    []cell // what they were together in windows before the last
}

// together joins series at the end of each window.
func (p *Plan) together(series []*Series) *store.Joiner {
	joined := p.query
	joined.Join = store.Sum // each party is one by then
	j, parties := store.NewJoiner(&joined), map[string]*party{}
	for _, l := range series {
		value := (&store.Series{Labels: l.labels}).Label
		key := ""
		for _, name := range p.query.By {
			key += value(name) + "\x00"
		}
		if parties[key] == nil {
			parties[key] = &party{value: value}
		}
		g := parties[key]
		own := l.cells[:0]
		for _, c := range l.cells {
			if c.tells == nothing {
				own = append(own, c)
			} else {
				g.sums = append(g.sums, c)
			}
		}
		if l.cells = own; len(own) > 0 {
			g.members = append(g.members, l)
		}
	}
	for _, g := range parties {
		j.Add(g.value, g.samples(p), nil)
	}
	return j
}

// member is a series as it is in one window.
type member struct {
	t, begun int64 // its newest sample, and the first of those that came one after the other
	v        float64
	goesOn   bool // another came after the window
	may      bool // or may still
	coarse   bool // it is only known that the sample was in a piece that ends at t
}

// samples makes the points.
func (g *party) samples(p *Plan) (out []store.Sample) {
	first, last, step := p.query.Grid()
	at := make([]int, len(g.members)) // how many of a member's cells are in windows that have been
	begun := make([]int64, len(g.members))
	hole := max(step, store.MaxInterval.Milliseconds())
	var in []member
	g.sums = fold(g.sums)
	summed := 0
	for t := first; t <= last; t += step {
		in = in[:0]
		for summed < len(g.sums) && g.sums[summed].t <= t {
			summed++
		}
		if t < last && summed > 0 && g.sums[summed-1].t > t-p.window {
			out = append(out, store.Sample{T: t, V: g.sums[summed-1].together()})
			continue
		}
		for i, l := range g.members {
			cells := l.cells
			for ; at[i] < len(cells) && cells[at[i]].t <= t; at[i]++ {
				if at[i] == 0 || cells[at[i]].t-cells[at[i]-1].t > hole {
					begun[i] = cells[at[i]].t
				}
			}
			if at[i] == 0 || cells[at[i]-1].t <= t-p.window {
				continue
			}
			m := member{t: cells[at[i]-1].t, v: cells[at[i]-1].v, begun: begun[i], coarse: cells[at[i]-1].length > p.moment}
			m.goesOn = at[i] < len(cells) && cells[at[i]].t-t <= hole && t-m.t < store.MaxInterval.Milliseconds()
			m.may = p.now != 0 && m.t > p.now-arriving.Milliseconds()
			in = append(in, m)
		}
		if v, ok := newestOf(p.query.Join, in, t, p.moment); ok {
			out = append(out, store.Sample{T: t, V: v})
		}
	}
	return out
}

// newestOf joins members at a moment: those that go on, and those that may, unless they have missed a sample and another has begun since. Who has ended counts while its
// next sample would not have come, unless another has begun since; where nobody goes on, all count that were there when the last of them was.
func newestOf(join store.Func, in []member, t, missed int64) (v float64, ok bool) {
	begun, newest, some := int64(0), int64(0), false
	for _, m := range in {
		newest = max(newest, m.t)
		if m.goesOn || m.may {
			begun, some = max(begun, m.begun), true
		}
	}
	n := 0
	for _, m := range in {
		switch {
		case m.goesOn:
		case m.may && (m.t > newest-missed || m.t >= begun):
		case some && !m.coarse && m.t > t-missed && m.t >= begun:
		case !some && m.t > newest-missed:
		default:
			continue
		}
		v, n = v+m.v, n+1
	}
	switch {
	case n == 0:
		return 0, false
	case join == store.Count:
		v = float64(n)
	case join == store.Avg:
		v /= float64(n)
	}
	return v, true
}
