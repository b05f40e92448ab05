package samples

import (
	"cmp"
	"slices"
	"sort"

	"plimsoll.dev/plimsoll/internal/store"
)

// lives are one counter's samples, as the intervals between them: what it grew by, and for how long. Of an interval in which it fell, or that
// is too long, there is neither.
type lives struct {
	at     []int64   // Unix milliseconds of each sample
	grown  []float64 // up to each sample, since the first
	length []float64 // milliseconds of intervals up to each sample
	last   float64   // value
	whole  bool      // the last interval counted
	apart  pace      // of the last run
	runs   []run     // in time order
}

// pace is how far apart the samples of a member are, in milliseconds: as far as the newest two, or the two before, if these are nearer. A hole is no pace.
type pace struct{ newest, of int64 }

// sample notes that one came so long after the one before.
func (p *pace) sample(after int64) {
	p.of = after
	if p.newest > 0 {
		p.of = min(after, p.newest)
	}
	p.newest = after
}

// next is how long after a sample the next is to come.
func (p *pace) next() int64 { return cmp.Or(p.of, moment.Milliseconds()) }

// late is by when it has come: half an interval late at most.
func (p *pace) late() int64 { return p.next() + p.next()/2 }

// run is a stretch of intervals that follow one another.
type run struct {
	store.Span
	next, due int64   // when the next sample was to come, and by when it must have
	rate      float64 // of its newest interval
}

func (l *lives) reset() {
	*l = lives{at: l.at[:0], grown: l.grown[:0], length: l.length[:0], runs: l.runs[:0]}
}

// sample adds a later sample.
func (l *lives) sample(t int64, v float64) {
	n := len(l.at)
	grown, length := 0.0, 0.0
	if n > 0 {
		grown, length = l.grown[n-1], l.length[n-1]
		d := t - l.at[n-1]
		whole := d <= store.MaxInterval.Milliseconds() && v >= l.last
		if whole && !l.whole {
			l.apart = pace{}
			l.runs = append(l.runs, run{Span: store.Span{From: l.at[n-1]}})
		}
		if l.whole = whole; whole {
			l.apart.sample(d)
			last := &l.runs[len(l.runs)-1]
			last.To, last.next, last.due, last.rate = t, t+l.apart.next(), t+l.apart.late(), (v-l.last)*1000/float64(d)
			grown, length = grown+v-l.last, length+float64(d)
		}
	}
	l.at, l.grown, l.length, l.last = append(l.at, t), append(l.grown, grown), append(l.length, length), v
}

// upTo returns how many samples are at or before a time, which are no fewer than some.
func (l *lives) upTo(some int, t int64) int {
	for some < len(l.at) && l.at[some] <= t {
		some++
	}
	return some
}

// between returns the growth in the intervals that end in samples from one number up to another, and their length in milliseconds, 0 if there
// are none.
func (l *lives) between(from, to int) (grown, length float64) {
	if from == to {
		return 0, 0
	}
	grown, length = l.grown[to-1], l.length[to-1]
	if from > 0 {
		grown, length = grown-l.grown[from-1], length-l.length[from-1]
	}
	return grown, length
}

// there appends when in (lo, hi] the counter was there: in its intervals, and after the last of them up to hi while the next sample may still come.
func (l *lives) there(out []store.Span, lo, hi, now int64) []store.Span {
	i := sort.Search(len(l.runs), func(i int) bool { return l.runs[i].To > lo })
	for ; i < len(l.runs) && l.runs[i].From < hi; i++ {
		to := min(l.runs[i].To, hi)
		if due := l.runs[i].due; due > hi && due >= now {
			to = hi
		}
		out = append(out, store.Span{From: max(l.runs[i].From, lo), To: to})
	}
	return out
}

// spanning is the rate of the interval in which a time is, and when that begins; false if there is none, or it does not count. to is how many samples are at or before the time.
func (l *lives) spanning(to int) (rate float64, from int64, ok bool) {
	if to == 0 || to == len(l.at) {
		return 0, 0, false
	}
	grown, length := l.between(to, to+1)
	if length == 0 {
		return 0, 0, false
	}
	return grown * 1000 / length, l.at[to-1], true
}

// rates appends the rates over every over milliseconds in which an interval ends. Their ends are whole multiples of it away from end.
func (l *lives) rates(out []store.Sample, over, end int64) []store.Sample {
	for from := 0; from < len(l.at); {
		at := l.at[from] + mod(end-l.at[from], over)
		to := from
		for to < len(l.at) && l.at[to] <= at {
			to++
		}
		if grown, length := l.between(from, to); length > 0 {
			out = append(out, store.Sample{T: at, V: grown * 1000 / length})
		}
		from = to
	}
	return out
}

// mod is the remainder that is not negative.
func mod(a, b int64) int64 { return (a%b + b) % b }

// leaving is the last sample of a life of a member, and up to when it may have been there: it ended before the next would have come.
type leaving struct {
	at, until int64
	begun     int64
	v         float64
}

// succeed ends lives where others begin that came after them. Where nobody else is there for certain that is the next one to begin. Else it is one for each, the last that begins before its
// next sample was to come: who begins beside many may have come after any of them, or be one more.
func succeed(gone []*leaving, begins []int64) {
	slices.Sort(begins)
	slices.SortFunc(gone, func(a, b *leaving) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.begun, b.begun)) })
	var free []int64 // those who came after nobody yet
	n, first := 0, 0 // gone[first:n] have ended, and may have been there still
	for i, b := range begins {
		for n < len(gone) && (gone[n].at < b || gone[n].at == b && gone[n].begun < b) { // who begins with it does not come after it
			n++
		}
		earlier, _ := slices.BinarySearch(begins[:i], b)
		if earlier > n {
			free = append(free, b)
			continue
		}
		for first < n && gone[first].until < b {
			first++
		}
		if first < n {
			gone[first].until = b - 1
			first++
		}
	}
	slices.SortFunc(gone, func(a, b *leaving) int { return cmp.Compare(a.until, b.until) })
	taken := 0
	var open []int64 // of those that are free, up to until
	for _, g := range gone {
		for taken < len(free) && free[taken] <= g.until {
			open = append(open, free[taken])
			taken++
		}
		if k := len(open) - 1; k >= 0 && (open[k] > g.at || open[k] == g.at && g.begun < g.at) {
			g.until, open = min(g.until, open[k]-1), open[:k]
		}
	}
}
