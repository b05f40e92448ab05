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
	// moment is how often history has a sample, and mostMoments the longest time in which the greatest sum is looked for at every one.
	moment, mostMoments = 10 * time.Second, 6 * time.Hour
)

// Render plans how a query is answered. The error wraps store.ErrTooLarge.
func Render(q store.Checked, o Options) (*Plan, error) {
	if o.Value == nil {
		o.Value = func(s string) string { return s }
	}
	p := &Plan{query: q.Query, window: q.Back.Milliseconds(), Together: together, labels: fixed(q.Metric, q.Level)}
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
	w := &writer{Plan: p, opts: o, reading: newReading(&p.query, q.Metric, conds, o.Database)}
	write := w.write
	if q.Meets() {
		first, last, _ := q.Grid()
		short := last-first+w.window <= mostMoments.Milliseconds()+1
		switch q.Func {
		case store.Max:
			w.fine = short
		case store.Quantile: // a low one would be of the moments in which a member has no sample
			w.fine = short && q.Q >= 0.5 && (o.Piece == 0 || q.Back <= o.Piece)
		}
		if !w.fine && q.Func != store.Quantile {
			write = w.meet
		}
	}
	if q.Newest() && !w.named() {
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
	// going is what the statements that are written have of the pieces that go on.
	going going
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
		w.cut(source{lo: lo, hi: last}, piece, func(s *source) { w.add(s, 0, 0) })
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
		n := s.hi - s.lo
		if p := w.opts.Piece.Milliseconds(); p > 0 {
			n = max(p/step, 1) * step
		}
		w.cut(*s, n, func(s *source) { w.add(s, step, s.hi) })
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
		n := s.hi - s.lo
		if piece > 0 {
			n = max(piece/g, 1) * g
		}
		w.cut(s, n, func(s *source) { w.add(s, g, hi) })
	}
	return nil
}

// meet writes statements whose rows are what the members of a sum were together in some minutes: so much, by so many samples, how many of
// them one member had, and where it is the greatest that is asked for, the greatest of one.
func (w *writer) meet() error {
	w.kind = meetings
	first, last, step := w.query.Grid()
	lo, part := first-w.window, w.window
	if w.query.Step > 0 {
		part = gcd(w.window, step)
	}
	group := func(target int64) int64 {
		if p := w.opts.Piece.Milliseconds(); p > 0 {
			target = min(target, p)
		}
		n := max(part/target, 1)
		for w.query.Step > 0 && part%n != 0 {
			n--
		}
		return (part + n - 1) / n
	}
	short := group(store.MaxInterval.Milliseconds())
	long := short
	sources := w.sources(lo, last, part, short)
	for _, s := range sources {
		if s.rollup != nil {
			long = max(long, group(s.rollup.Every.Milliseconds()))
		}
	}
	pieces := int64(0)
	for _, s := range sources {
		g := long
		if s.rollup == nil && s.hi == last { // the newest, which is not rolled up yet
			g = short
		}
		if pieces += (s.hi - s.lo) / g; pieces > maxPieces {
			return tooMany(w)
		}
		from, to := s.hi, s.hi
		if s.rollup == nil {
			from, to = w.goesOn(&s, g)
		}
		w.cutMeetings(source{s.rollup, s.lo, from}, g)
		w.going = moments
		w.cutMeetings(source{s.rollup, from, to}, min(g, moment.Milliseconds()))
		w.going = counts
		w.cutMeetings(source{s.rollup, from, to}, g)
		w.going = ended
		w.cutMeetings(source{s.rollup, to, s.hi}, g)
	}
	return nil
}

// arriving is how long after its time a sample may come without being late.
const arriving = time.Minute

// goesOn returns the pieces of g milliseconds, (from, to], that go on: all members have fewer samples in them than in others, and have not taken
// turns for that.
func (w *writer) goesOn(s *source, g int64) (from, to int64) {
	if w.opts.Now.IsZero() {
		return s.hi, s.hi
	}
	early, late := w.opts.Now.Add(-arriving).UnixMilli(), w.opts.Now.Add(arriving).UnixMilli()
	from = max(s.hi-(max(s.hi-early, 0)+g-1)/g*g, s.lo)
	return from, max(s.hi-max(s.hi-late, 0)/g*g, from)
}

// cutMeetings writes statements in groups of g milliseconds.
func (w *writer) cutMeetings(s source, g int64) {
	n := s.hi - s.lo
	if p := w.opts.Piece.Milliseconds(); p > 0 {
		n = max(p/g, 1) * g
	}
	_, last, _ := w.query.Grid()
	w.cut(s, n, func(s *source) { w.add(s, g, last) })
}

func tooMany(w *writer) error {
	return fmt.Errorf("%w: more than %d pieces a series; use a window %q and a step %q that have a longer common divisor",
		store.ErrTooLarge, maxPieces, time.Duration(w.window)*time.Millisecond, w.query.Step)
}

// cut gives a source in parts of n milliseconds, the last one shorter.
func (w *writer) cut(s source, n int64, each func(*source)) {
	for lo := s.lo; lo < s.hi; lo += n {
		part := source{s.rollup, lo, min(lo+n, s.hi)}
		each(&part)
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
		at := " GROUP BY " + every(moment, end-shift) + ", "
		text = "SELECT SUM(v) AS v FROM (" + columns + at + "* fill(none)) WHERE " + until(hi) + at + strings.Join(tags, ", ")
		of := "MAX(v) AS v"
		if w.query.Func == store.Quantile {
			of = w.quantile("v", "v", "v")
		}
		text = "SELECT " + of + " FROM (" + strings.TrimSuffix(text, ", ") + " fill(none)) WHERE " + until(hi) + by(tags...)
	case w.kind == meetings && w.query.Func == store.Max:
		text = "SELECT SUM(v) AS v, SUM(w) AS w, MAX(w) AS x, MAX(y) AS y FROM (" + text + ") WHERE " + until(hi) + by(tags...)
	case w.kind == meetings:
		text = "SELECT SUM(v) AS v, SUM(w) AS w, MAX(w) AS x FROM (" + text + ") WHERE " + until(hi) + by(tags...)
	case one: // nothing is left to do before the join
		text = "SELECT " + joins(w.query.Join) + "(" + Ident(field) + ") AS v FROM " + w.from(s, lo, hi) + by(tags...)
	default:
		text = "SELECT " + joins(w.query.Join) + "(v) AS v FROM (" + text + ") WHERE " + until(hi) + by(tags...)
	}
	st := Statement{Text: text, t: shift + group, after: s.lo, length: group, going: w.going}
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
