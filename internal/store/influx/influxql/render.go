package influxql

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/store"
)

const (
	// together is how many statements are sent in one request.
	together = 100
	// maxPieces is the most pieces of one series.
	maxPieces = 200_000
	// mostMoments is the most at which the greatest sum is looked for at every moment at which history has a sample: six hours of them.
	mostMoments = 2160
	// shortLive is the shortest window of which it matters little that the newest samples of some of its members are still to come.
	shortLive = 2 * time.Minute
)

// Render plans how a query is answered. The error wraps store.ErrTooLarge.
func Render(q store.Checked, o Options) (*Plan, error) {
	if o.Value == nil {
		o.Value = func(s string) string { return s }
	}
	if o.Interval <= 0 {
		o.Interval = 10 * time.Second
	}
	p := &Plan{query: q.Query, window: q.Back.Milliseconds(), moment: o.Interval.Milliseconds(), Together: together, labels: fixed(q.Metric, q.Level)}
	if o.Piece > 0 {
		p.Together = 1
	}
	if !o.Now.IsZero() {
		p.now = o.Now.UnixMilli()
	}
	conds, never := conditions(q.Matchers, func(l string) bool { return isTag(q.Level, l) }, p.constant, o.Value)
	if never {
		return p, nil
	}
	w := &writer{Plan: p, opts: o, reading: newReading(&p.query, q.Metric, conds, o.Database, o.Interval)}
	write := w.write
	if first, last, step := q.Grid(); q.Meets() && (q.Back >= shortLive || p.now == 0 || last <= p.now-arriving.Milliseconds()) {
		short := last-first+w.window <= mostMoments*w.moment+1 && (q.Step == 0 || w.window%w.moment == 0 && step%w.moment == 0) // a window is a whole number of moments
		switch q.Func {
		case store.Max:
			w.fine = short
		case store.Quantile: // a low one would be of the moments in which a member has no sample
			w.fine = short && q.Q >= 0.5 && (o.Piece == 0 || q.Back <= o.Piece)
		}
		if !w.fine {
			write = w.meet
		}
	}
	if q.Newest() {
		write = w.newest
	}
	if err := write(); err != nil {
		return nil, err
	}
	return p, nil
}

// constant returns the value that a label which is not a tag has in every series.
func (p *Plan) constant(name string) string {
	for _, l := range p.labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

// writer writes a plan's statements.
type writer struct {
	*Plan
	opts Options
	fine bool // what is looked for is the greatest, or a quantile, of the sums of all moments
	*reading
}

func (w *writer) write() error {
	q := &w.query
	first, last, step := q.Grid()
	whole := q.Step == 0
	lo, piece := first-w.window, w.opts.Piece.Milliseconds()
	small := piece == 0 || w.window <= piece
	composable := q.Func != store.Quantile
	w.join = q.By != nil && !w.fine
	switch {
	case !whole && w.window == step && small:
		w.join = w.join && w.low()
		w.grouped(w.sources(lo, last, step, step), step)
		return nil
	case composable && (!whole || !small || len(w.sources(lo, last, w.window, 0)) > 1):
		w.kind = pieces
		return w.pieces(lo, last, step)
	case !small:
		w.kind = values
		w.cut(source{lo: lo, hi: last}, 0, 0, func(s *source) { w.add(s, 0, 0) })
		return nil
	}
	w.join = w.join && w.low()
	if whole {
		w.only(last)
		return nil
	}
	for t := first; t <= last; t += step {
		s := w.best(t)
		w.point(&s, t)
	}
	return nil
}

// point writes the statement of one point.
func (w *writer) point(s *source, t int64) {
	w.add(s, 0, t)
	w.Statements[len(w.Statements)-1].single = true
}

// only writes the statement of the only point.
func (w *writer) only(t int64) {
	s := w.best(t)
	if w.derivative() != "" { // what was before the window is a group by itself, which the answer drops
		w.add(&s, w.window, t)
		return
	}
	w.each([]source{s}, func(s *source) { w.point(s, t) })
}

// apartFrom is the range from which on a quantile is asked for series by series.
const apartFrom = 24 * time.Hour

// each writes the statements of sources, and remembers how to do it for each series by itself where that is better.
func (w *writer) each(ss []source, add func(*source)) {
	span := int64(0)
	for i := range ss {
		add(&ss[i])
		span += ss[i].hi - ss[i].lo
	}
	if w.query.Func != store.Quantile || w.query.Q <= 0 || w.query.Q >= 1 || w.opts.Piece > 0 || span <= apartFrom.Milliseconds() {
		return
	}
	for i := range ss {
		w.List = append(w.List, w.list(&ss[i]))
	}
	w.apart = func(conditions []string) {
		w.extra = conditions
		for i := range ss {
			add(&ss[i])
		}
	}
}

// grouped writes statements whose rows are the points.
func (w *writer) grouped(ss []source, step int64) {
	w.each(ss, func(s *source) {
		w.cut(*s, step, s.hi, func(s *source) { w.add(s, step, s.hi) })
	})
}

// pieces writes statements whose rows are pieces of the windows, as long as can be.
func (w *writer) pieces(lo, hi, step int64) error {
	g, piece := w.window, w.opts.Piece.Milliseconds()
	if w.query.Step > 0 {
		g = gcd(w.window, step)
		for d := int64(2); piece > 0 && g > piece; d++ {
			if n := gcd(w.window, step); n%d == 0 {
				g = n / d
			}
		}
	} else if piece > 0 {
		g = min(g, piece)
	}
	if (hi-lo)/g > maxPieces {
		return tooMany(w)
	}
	for _, s := range w.sources(lo, hi, g, 0) {
		w.aligned(s, g, hi, w.add)
	}
	return nil
}

// aligned gives a source in parts, as cut does, and how long their groups are and where these end. The first group of differences begins with the source: InfluxDB
// reads what is up to a group before it as well, and a group that began earlier would hold that.
func (w *writer) aligned(s source, g, end int64, each func(s *source, g, end int64)) {
	if head := min(s.hi, s.lo+(end-s.lo-1)%g+1); w.derivative() != "" && head-s.lo < g {
		w.cut(source{s.rollup, s.lo, head}, head-s.lo, head, func(s *source) { each(s, head-s.lo, head) })
		s.lo = head
	}
	w.cut(s, g, end, func(s *source) { each(s, g, end) })
}

func tooMany(w *writer) error {
	return fmt.Errorf("%w: more than %d pieces a series; use a window %q and a step %q that have a longer common divisor",
		store.ErrTooLarge, maxPieces, time.Duration(w.window)*time.Millisecond, w.query.Step)
}

// cut gives a source in parts that a statement may cover. None ends within a group, which is so many milliseconds long and of which one ends at end; zero: there are
// no groups.
func (w *writer) cut(s source, group, end int64, each func(*source)) {
	for s.lo < s.hi {
		part := s
		if p := w.opts.Piece.Milliseconds(); p > 0 {
			hi := s.lo + p
			if group > 0 {
				hi = end - (end-s.lo-max(p/group, 1)*group+group-1)/group*group
			}
			part.hi = min(hi, s.hi)
		}
		each(&part)
		s.lo = part.hi
	}
}

// add writes one statement over a source, in groups of so many milliseconds that end at end; zero: in one.
func (w *writer) add(s *source, group, end int64) {
	shift := s.shift()
	lo, hi := s.lo-shift, s.hi-shift
	inTime, fill := "", ""
	if group > 0 {
		inTime, fill = every(time.Duration(group)*time.Millisecond, end-shift), " fill(none)"
	}
	by := func(dims ...string) string {
		if inTime != "" {
			dims = append([]string{inTime}, dims...)
		}
		if len(dims) == 0 {
			return ""
		}
		return " GROUP BY " + strings.Join(dims, ", ") + fill
	}
	columns := "SELECT " + w.columns(s, w.kind, lo, hi)
	text, tags, joined := columns+by("*"), w.tagsOf(w.query.By), w.query.By != nil && !w.join
	field, one := w.single(s, group)
	switch {
	case !joined:
	case w.fine:
		at := " GROUP BY " + every(w.opts.Interval, end-shift) + ", "
		text = "SELECT " + joins(w.query.Join) + "(v) AS v FROM (" + columns + at + "* fill(none)) WHERE " + until(hi) + at + strings.Join(tags, ", ")
		of := strings.ToUpper(string(w.query.Func)) + "(v) AS v"
		if w.query.Func == store.Quantile {
			of = w.quantile("v", "v", "v")
		}
		text = "SELECT " + of + " FROM (" + strings.TrimSuffix(text, ", ") + " fill(none)) WHERE " + until(hi) + by(tags...)
	case one: // nothing is left to do before the join
		text = "SELECT " + joins(w.query.Join) + "(" + Ident(field) + ") AS v FROM " + w.from(s, lo, hi) + by(tags...)
	default:
		text = "SELECT " + joins(w.query.Join) + "(v) AS v FROM (" + text + ") WHERE " + until(hi) + by(tags...)
	}
	st := Statement{Text: text, t: shift + group, after: s.lo, length: group}
	if group == 0 && w.kind != latest {
		st.t = end
	}
	w.Statements = append(w.Statements, st)
}

// tagsOf returns the labels that are tags, as names, sorted and each once.
func (w *writer) tagsOf(labels []string) []string {
	var out []string
	for _, l := range labels {
		if isTag(w.query.Level, l) {
			out = append(out, Ident(l))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func joins(f store.Func) string {
	switch f {
	case "":
		return "SUM"
	case store.Avg:
		return "MEAN"
	}
	return strings.ToUpper(string(f))
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
