package influxql

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/store"
)

// tells says what a row of what series are together is about.
type tells uint8

const (
	nothing tells = iota // it is of one series
	whole                // a piece that has ended
	moments              // one of the moments of a piece that goes on
	counts               // a piece that goes on
	sums                 // the newest moment of a piece
	paces                // how far apart samples of a member are
)

// meet writes statements whose rows are what the members of a sum were together in some minutes: v so much, w by so many samples, x how many of
// them one member had, z in how many moments any had one, and where it is the greatest that is asked for, y the greatest of one. Each is a statement, for
// which InfluxDB 1.8 takes less than half the time that it takes for the fields of a subquery together.
func (w *writer) meet() error {
	w.kind = meetings
	first, last, step := w.query.Grid()
	if rest := w.window % w.moment; rest > 1 && w.window > store.MaxInterval.Milliseconds() && w.query.Func != store.Max && (w.query.Step == 0 || step%w.moment == 0) {
		w.window -= rest // only some have a sample in it, by which nothing but the greatest can be told
	}
	lo, part := first-w.window, w.window
	if w.query.Step > 0 {
		part = gcd(w.window, step)
	}
	short := w.group(part, store.MaxInterval)
	long := short
	sources := w.sources(lo, last, part, short)
	for _, s := range sources {
		if s.rollup != nil {
			long = max(long, w.group(part, s.rollup.Every))
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
		w.cutMeetings(source{s.rollup, s.lo, from}, g, whole)
		w.cutMeetings(source{s.rollup, from, to}, min(g, w.moment), moments)
		w.cutMeetings(source{s.rollup, from, to}, g, counts)
		w.cutMeetings(source{s.rollup, to, s.hi}, g, whole)
	}
	w.paces(lo, last, len(sources) > 1 || sources[0].rollup != nil)
	return nil
}

// The pace of members is looked at in so many stretches of a query's time, of so many moments each, for to look at all of it would take longer than all else. Who sends less often
// has two samples in the longer ones; roll-ups need these, in which samples of sums stand beside those of members.
const (
	stretches     = 2
	stretch       = 6
	stretchRolled = 12
)

// paces writes statements whose rows are how far apart samples of a member are, in milliseconds: half of them at most so far.
func (w *writer) paces(lo, hi int64, rolled bool) {
	r, long := *w.reading, stretch*w.moment
	if r.field == "" {
		r.field = r.row.Field
	}
	if rolled {
		long = stretchRolled * w.moment
	}
	for every := max((hi-lo)/stretches, long); lo < hi; hi -= every {
		s := source{lo: hi - long, hi: hi}
		text := "SELECT MEDIAN(e) AS v FROM (SELECT ELAPSED(" + Ident(r.field) + ", 1ms) AS e FROM " + r.from(&s, s.lo, s.hi) + " GROUP BY *) WHERE " + until(s.hi)
		if tags := w.tagsOf(w.query.By); len(tags) > 0 {
			text += " GROUP BY " + strings.Join(tags, ", ")
		}
		w.Statements = append(w.Statements, Statement{Text: text, single: true, t: hi, tells: paces})
	}
}

// group is how long the pieces of a part of windows are that is a whole number of them: about as long as a time.
func (w *writer) group(part int64, about time.Duration) int64 {
	target := about.Milliseconds()
	if p := w.opts.Piece.Milliseconds(); p > 0 {
		target = min(target, p)
	}
	if w.query.Step == 0 {
		return min(part, target)
	}
	n := max(part/target, 1)
	for part%n != 0 {
		n--
	}
	return part / n
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
func (w *writer) cutMeetings(s source, g int64, about tells) {
	_, last, _ := w.query.Grid()
	w.aligned(s, g, last, func(s *source, g, end int64) {
		m := meeting{writer: w, source: s, g: g, end: end - s.shift(), about: about, lo: s.lo - s.shift(), hi: s.hi - s.shift()}
		if s.rollup == nil {
			m.raw()
		} else {
			m.rolled()
		}
	})
}

// meeting writes the statements of a source's pieces of g milliseconds.
type meeting struct {
	*writer
	*source
	g, end int64 // how long groups are, and where one ends
	about  tells
	lo, hi int64
}

func (m *meeting) statement(text string) {
	shift := m.shift()
	m.Statements = append(m.Statements, Statement{Text: text, t: shift + m.g, after: m.source.lo, length: m.g, moment: m.part(), rolled: m.rollup != nil, tells: m.about})
}

// by renders groups of g milliseconds and of what is joined, or of what dims say.
func (m *meeting) by(g int64, dims ...string) string {
	if dims == nil {
		dims = m.tagsOf(m.query.By)
	}
	return " GROUP BY " + strings.Join(append([]string{every(time.Duration(g)*time.Millisecond, m.end)}, dims...), ", ") + " fill(none)"
}

// of joins what a subquery gives.
func (m *meeting) of(columns, subquery string) {
	m.statement("SELECT " + columns + " FROM (" + subquery + ") WHERE " + until(m.hi) + m.by(m.g))
}

// extreme says whether members are the greatest or the least of their samples, and not their mean.
func (m *meeting) extreme() bool { return m.query.Func == store.Max || m.query.Func == store.Min }

// raw writes the statements of samples.
func (m *meeting) raw() {
	c, from := m.reading.raw(m.source, m.lo, m.hi)
	counted := "COUNT(" + c + ")"
	members := func(column string) string { return "SELECT " + column + " AS v FROM " + from + m.by(m.g, "*") }
	if m.about != counts {
		together := counted + " AS w"
		if m.extreme() {
			m.of("SUM(v) AS v", members(strings.ToUpper(string(m.query.Func))+"("+c+") * "+counted))
		} else {
			together += ", SUM(" + c + ") AS v"
		}
		if m.query.Func == store.Max {
			together += ", MAX(" + c + ") AS y"
		}
		m.statement("SELECT " + together + " FROM " + from + m.by(m.g))
	}
	if m.about != moments {
		m.of("MAX(v) AS x", members(counted))
	}
	if m.about == whole {
		m.of("COUNT(n) AS z", "SELECT "+counted+" AS n FROM "+from+m.by(m.part()))
	}
}

// part is how long the moments of a piece are: as long as history's interval, or so much shorter that the piece is a whole number of them, if that is less than a sixth.
func (m *meeting) part() int64 {
	if m.rollup != nil { // samples of sums
		return m.moment
	}
	n := (m.g + m.moment - 1) / m.moment
	for k := n; k <= n+n/6; k++ {
		if m.g%k == 0 {
			return m.g / k
		}
	}
	return m.moment
}

// rolled writes the statements of roll-ups. In how many moments any member was there is told by how many samples they have of what stands above the members and is there as
// long as any of them is.
func (m *meeting) rolled() {
	from, name := m.from(m.source, m.lo, m.hi), func(f string) string { return Ident(f + "_" + m.field) }
	of, together := "mean", "SUM("+name("count")+") AS w"
	switch {
	case m.extreme():
		of = string(m.query.Func)
	case m.query.Func == store.Quantile && m.query.Q >= high:
		of = "p95"
	}
	if m.query.Func == store.Max {
		together += ", MAX(" + name("max") + ") AS y"
	}
	m.of("SUM(s) AS v", "SELECT "+name(of)+" * "+name("count")+" AS s FROM "+from+" GROUP BY *")
	m.statement("SELECT " + together + " FROM " + from + m.by(m.g))
	sums := func(r *reading) string {
		return "SELECT SUM(" + Ident("count_"+r.field) + ") AS n FROM " + r.from(m.source, m.lo, m.hi) + m.by(m.g, "*")
	}
	m.of("MAX(n) AS x", sums(m.reading))
	if r, ok := m.above(); ok {
		m.of("MAX(n) AS z", sums(r))
	}
}

// above reads the sums that have the names by which members are joined, and those by which they are chosen, if any have these, too.
func (w *writer) above() (*reading, bool) {
	chosen := slices.Clone(w.query.By)
	for _, m := range w.query.Matchers {
		chosen = append(chosen, m.Name)
	}
	q := w.query
	for _, names := range [...][]string{chosen, w.query.By} {
		for _, l := range slices.Backward(slices.Sorted(slices.Values(w.row.Levels))) {
			is := func(name string) bool { return isTag(l, name) }
			if l <= w.query.Level || slices.ContainsFunc(names, func(name string) bool { return isTag(w.query.Level, name) && !is(name) }) {
				continue
			}
			q.Level = l
			conds, never := conditions(slices.DeleteFunc(slices.Clone(q.Matchers), func(m store.Matcher) bool { return !is(m.Name) }), is, w.constant, w.opts.Value)
			return newReading(&q, w.row, conds, w.database, w.interval), !never
		}
	}
	return nil, false
}

// pace is how far apart samples of one member were at a time, both in milliseconds.
type pace struct {
	t     int64
	apart float64
}

// nearest is the pace that was seen nearest to a time; zero where none was.
func nearest(ps []pace, t int64) float64 {
	var out pace
	for i, p := range ps {
		if d, least := p.t-t, out.t-t; i == 0 || max(d, -d) < max(least, -least) {
			out = p
		}
	}
	return out.apart
}

// count puts what is counted in moments into samples of one member, of a pace, zero if that is not known: a moment holds several of who sends more often, and one of who sends less
// often. Sums have a sample in each moment, however often members send.
func (c *cell) count(apart float64) {
	n := 1.0
	if apart > 0 {
		n = float64(c.moment) / apart
	}
	if whole := math.Round(n); math.Abs(n-whole) < whole/20 { // samples are not on time to the millisecond
		n = whole
	}
	switch {
	case c.rolled:
		c.z *= n
	case c.tells == moments:
		c.z = max(n, 1)
	default: // no more than one has who is there all the time: others may send at other moments
		c.z = min(c.z*max(n, 1), math.Ceil(float64(c.length)/float64(c.moment)*n-0.1))
	}
}

// fold puts rows together that tell of the same, which follow one another.
func fold(cells []cell) []cell {
	out := cells[:0]
	for _, c := range cells {
		if n := len(out) - 1; n >= 0 && out[n].t == c.t && out[n].tells == c.tells && out[n].rolled == c.rolled {
			o := &out[n]
			o.v, o.w, o.x, o.y, o.z = larger(o.v, c.v), larger(o.w, c.w), larger(o.x, c.x), larger(o.y, c.y), larger(o.z, c.z)
			continue
		}
		out = append(out, c)
	}
	return out
}

// together is what members were together in a piece or in a moment.
func (c *cell) together() float64 {
	if c.tells == sums {
		return c.v
	}
	return c.v / c.there(c.w)
}

// there is for how long any member was there in a piece, in samples: as many as one has at least, as all have together at most, and between the two in how many moments
// any has one; most where that is not told.
func (c *cell) there(most float64) float64 {
	if !math.IsNaN(c.z) {
		most = larger(c.x, c.z)
	}
	return min(c.w, most)
}

// met is what members were together, of the time that any was there. Where no moments are told, one that is there for a whole piece has as many samples in it as any
// has in any of its length. Of the piece that goes on there are the moments, each of which says what was there; they are as long as one member has samples in them
// at least, since a moment may hold two of them.
func met(q *store.Query, cells []cell) float64 {
	var together []cell // of which w is for how long any was there, in samples
	var now cell
	for len(cells) > 0 {
		run, most := 0, 0.0
		for run < len(cells) && cells[run].length == cells[0].length && cells[run].tells == cells[0].tells {
			most = larger(most, cells[run].x)
			run++
		}
		for _, c := range cells[:run] {
			switch {
			case c.tells != counts && math.IsNaN(c.v+c.w): // written while it was asked
			case c.tells == moments:
				now.v, now.w, now.z, now.y = now.v+c.v, now.w+c.w, now.z+c.z, larger(c.y, now.y)
			case c.tells == counts:
				now.x += c.x
			default:
				c.w = c.there(most)
				together = append(together, c)
			}
		}
		cells = cells[run:]
	}
	if now.w > 0 {
		now.w = now.there(0)
		together = append(together, now)
	}
	return over(q, together)
}

// over is the function over time of what members were together.
func over(q *store.Query, together []cell) float64 {
	out, n := math.NaN(), 0.0
	switch q.Func {
	case store.Max:
		for _, c := range together {
			out = larger(larger(c.v/c.w, c.y), out)
		}
		return out
	case store.Min:
		for _, c := range together {
			out = -larger(-c.v/c.w, -out)
		}
		return out
	case store.Quantile:
		slices.SortFunc(together, func(a, b cell) int { return cmp.Compare(a.v/a.w, b.v/b.w) })
		for _, c := range together {
			n += c.w
		}
		rest := n * (1 - q.Q) // how much is above the quantile
		for _, c := range slices.Backward(together) {
			out = c.v / c.w
			if rest -= c.w; rest < 0 {
				break
			}
		}
		return out
	}
	sum := 0.0
	for _, c := range together {
		sum, n = sum+c.v, n+c.w
	}
	return sum / n
}

// larger is the larger of two, a NaN being nothing.
func larger(a, b float64) float64 {
	switch {
	case math.IsNaN(a):
		return b
	case math.IsNaN(b):
		return a
	}
	return max(a, b)
}
