package live

import (
	"math"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// samples are what one entity has of its own: a series for each row and sub, by way of two lanes, and what is known of their clocks.
type samples struct {
	series []series // sorted by row, then sub
	grown  []growth // of each series that has no ring
	rings  [2]ring  // of those series that have one
	before *ring    // what the CPU counter was where its figures came from until now, while where they come from has told it once; nil: nothing
	subs   []string // subs[0] is ""
	base   int64    // Unix milliseconds; times in series are relative to it
	// rows are those that it has or ever had, however long ago. Nobody else's values ever stand in for them: a gap is a gap.
	rows metric.Set

	start    [numLanes]int64 // as the lane's newest group has it, Unix milliseconds; 0: not known
	last     [numLanes]int64 // the newest sample by lane
	read     int64           // the newest of what only something that runs has
	sourced  int64           // since when its figures come from where they do; 0: ever since
	interval [numLanes]int32 // milliseconds between samples

	first     int64 // when the entity was first seen
	restarted int64 // no sample up to this time belongs to the present container
	restarts  int32
	rises     int32  // by how much the restarts that somebody counts were told to be more
	source    string // whose figures the newest are, as batches say
	// A clock that went back is told by samples that are older than the newest, yet advance: how many, and the newest of them.
	steps   [numLanes]uint8
	told    bool // some sender counts the restarts
	another bool // another cgroup has taken the names, and has not begun again since
	torn    bool // since the last roll-up something was used that no sum has: it began anew, or was not heard
	out     bool // the last roll-up was given out without it, as it was late
	shared  bool // a snapshot has the series
	step    [numLanes]int64
	lag     [numLanes]int32 // of that, when it came
	// counted is the newest sample that a roll-up has seen.
	counted int64
}

// newest returns the time of the newest sample of either lane, 0 if there is none.
func (s *samples) newest() int64 { return max(s.last[full], s.last[fast]) }

// began is when the counters began, as senders say; 0 if none does.
func (s *samples) began() int64 { return max(s.start[full], s.start[fast]) }

// limit is how old a row's newest sample may be to be current, in milliseconds: three sampling intervals of its lane.
func (s *samples) limit(l *limits, ln lane) int64 { return max(3*int64(s.interval[ln]), l.stale[ln]) }

// lull is how long after its newest sample the slow lane's part stays in the sums that are kept, if a roll-up finds nothing new: half an interval more
// than one. A kubelet's own readings are that old at times.
func (s *samples) lull(l *limits) int64 {
	i := int64(s.interval[full])
	if i == 0 || s.source != "" {
		return s.limit(l, full)
	}
	return min(i+i/2, s.limit(l, full))
}

// overdue says whether a roll-up at now finds nothing new though the slow lane has had an interval's time, and late whether its lull is over.
func (s *samples) overdue(l *limits, now int64) (overdue, late bool) {
	last := s.newest()
	if i := int64(s.interval[full]); i == 0 || s.source != "" || s.last[full] < last || last > s.counted || now-last <= i {
		return false, false
	}
	return true, now-last > s.lull(l)
}

// pair is what there is of a series.
func (s *samples) pair(x *series) pair {
	if x.ring != 0 {
		return s.rings[x.ring-1].pair()
	}
	return x.pair()
}

// growth is what a series has grown by.
func (s *samples) growth(k int) *growth {
	if i := s.series[k].ring; i != 0 {
		return &s.rings[i-1].grown
	}
	return &s.grown[k]
}

// current says whether a series has a value at now.
func (s *samples) current(h *pair, l *limits, now int64) bool {
	return h.n > 0 && now-(s.base+int64(h.last.t)) <= s.limit(l, h.lane)
}

// mine makes the series ones that may be written: what a snapshot has stays as it is.
func (s *samples) mine() {
	if s.shared {
		s.series, s.shared = append(make([]series, 0, cap(s.series)), s.series...), false
	}
}

// empty has a series begin anew. What it has grown by stays to be rolled up.
func (s *samples) empty(k int) {
	switch x := &s.series[k]; {
	case x.ring != 0:
		s.rings[x.ring-1].n = 0
	case x.n != 0:
		s.mine()
		s.series[k].n = 0
	}
}

// push appends a sample to a series, of which the oldest n samples stay as far as there is room for them, the newest of them after.
func (s *samples) push(in *intake, k int, n uint16, after, x sample) {
	if i := s.series[k].ring; i != 0 {
		r := &s.rings[i-1]
		r.n = n
		r.push(x, in.keep, in.ring)
		r.lane = in.lane
		if i == ringOfCPU && r.n > 1 {
			s.before = nil
		}
		return
	}
	s.mine()
	to := &s.series[k]
	to.two, to.n, to.lane = [2]sample{after, x}, uint8(min(n, 1)+1), in.lane
}

// advance takes a group's start and the time of its newest point. It is false for a group that is not newer than what
// the lane brought before, or that belongs to the container before a restart.
func (s *samples) advance(in *intake, g *metric.Group, t int64) bool {
	ln := in.lane
	if t <= s.last[ln] {
		// Earlier times are believed of the third group that advances with no newer one between. Late copies of old batches are not:
		// their batch came long after them, or what was told over a while comes at once.
		if in.at-t > in.stale[full] || s.steps[ln] > 0 && t <= s.step[ln] {
			return false
		}
		if told := t - s.step[ln]; told > 2*(in.at-s.step[ln]-int64(s.lag[ln])) {
			s.steps[ln] = 0
		}
		s.step[ln], s.lag[ln] = t, int32(max(in.at-t, math.MinInt32))
		if s.steps[ln]++; s.steps[ln] < 3 {
			return false
		}
		in.steps++
		for k := range s.series {
			s.empty(k)
		}
		s.last, s.read, s.interval, s.restarted, s.first, s.torn = [numLanes]int64{}, 0, [numLanes]int32{}, 0, t, true
	}
	if t <= s.restarted {
		return false
	}
	s.steps[ln] = 0
	if start := unixMilli(g.Start); start != 0 {
		if identity.Follows(millis(s.start[ln]), millis(start)) > 0 {
			s.restart(in, t)
		}
		s.start[ln] = start
	}
	switch grown, over, another := s.cpuGrown(g, ln); {
	case another && over > 0 && (grown < 0 || in.cores > 0 && grown*1000 > in.cores*float64(over+roughly)): // who counts here has begun elsewhere
		before := s.rest()
		s.begin(t)
		s.before = before
	case another:
	case over > 0 && grown < 0:
		s.restart(in, t)
	case over > 0 && in.cores > 0 && grown*1000 > in.cores*float64(over+in.stale[ln]): // no machine does that: two things are sent as one
		s.begin(t)
	}
	if last := s.last[ln]; last != 0 {
		// The interval follows at once when it shrinks, by at most a quarter when it grows, so that one gap does not make an entity look slow.
		d, was := min(t-last, 60_000), int64(s.interval[ln])
		if was != 0 {
			d = min(d, was+was/4+1)
		}
		s.interval[ln] = int32(d)
	}
	s.last[ln] = t
	return true
}

// restart begins anew: what there is belongs to a container that is no more. The other lane's start is
// forgotten, so that its next group does not count the same restart again.
func (s *samples) restart(in *intake, t int64) {
	s.begin(t)
	s.restarts++
	s.another = false
	s.start = [numLanes]int64{}
	in.restarts++
}

// begin has all series begin anew: what there was before t says nothing of what there is.
func (s *samples) begin(t int64) {
	for k := range s.series {
		if !s.series[k].id.OfAllLives() { // which go on
			s.empty(k)
		}
	}
	s.torn, s.before = true, nil
	s.restarted = min(s.newest(), t-1)
}

// add appends a point to its series, opening it if it is new. It returns where the next point's series is likely to be, and numReasons
// if the point was taken.
func (s *samples) add(in *intake, pt *metric.Point, hint int) (next int, why reason) {
	k, ok := s.find(hint, pt.ID, pt.Sub)
	if !ok {
		if k, ok = s.open(in, pt, k); !ok {
			return hint, dropLimit
		}
	}
	if d := pt.T - s.base; d < 0 || d >= 1<<31 {
		s.rebase(pt.T)
	}
	h, from := s.pair(&s.series[k]), pt.T-s.base
	if pt.ID.OfAllLives() && pt.V > 0 && (h.n == 0 || pt.V < h.last.v()) {
		s.whole(in, k, pt)
	}
	if h.n > 0 {
		t, v := int64(h.last.t), h.last.v()
		ahead := pt.T - s.base - t
		if h.lane == fast && in.lane == full && ahead <= s.limit(in.limits, fast) {
			return k + 1, dropFastLane
		}
		if ahead <= 0 {
			return k + 1, dropOld
		}
		if h.lane != in.lane && ahead < 500 { // the other lane's reading of the same moment: its successor counts
			h.n--
			h.last = h.prev
		}
		if metric.Get(pt.ID).Kind == metric.Counter {
			fell := h.n > 0 && pt.V < h.last.v()
			if pt.ID == metric.Restarts && s.told && h.n > 0 && pt.V > h.last.v() {
				s.rises += int32(pt.V - h.last.v())
			}
			if fell {
				h.n = 0
			}
			grown, g := max(0, pt.V-v), s.growth(k)
			unheard := !pt.ID.OfAllLives() && s.unheard(in, h.lane, s.base+t, ahead)
			switch {
			case fell:
			case unheard:
				after := s.after(in, s.base+t, pt.T)
				g.sample = newSample(never, portion(pt.ID, grown, float64(after)/float64(ahead)))
				from -= after
			default:
				g.sample = newSample(g.t, g.v()+grown)
				from = t
			}
			s.torn = s.torn || (fell || unheard) && pt.ID == metric.CPUUsage
		}
	}
	if g := s.growth(k); g.t == never {
		g.t = uint32(from)
	}
	s.push(in, k, h.n, h.last, newSample(uint32(pt.T-s.base), pt.V))
	return k + 1, numReasons
}

// find returns the index of a series, looking first at hint: points come in the same order each time.
func (s *samples) find(hint int, id metric.ID, sub string) (int, bool) {
	if hint < len(s.series) {
		if x := &s.series[hint]; x.id == id && s.subs[x.sub] == sub {
			return hint, true
		}
	}
	return slices.BinarySearchFunc(s.series, id, func(x series, id metric.ID) int {
		if x.id != id {
			return int(x.id) - int(id)
		}
		return strings.Compare(s.subs[x.sub], sub)
	})
}

// open makes a series for a point, at index k; ok is false when there are too many.
func (s *samples) open(in *intake, pt *metric.Point, k int) (at int, ok bool) {
	if len(s.series) >= 48 {
		s.prune(pt.T - in.forget)
		k, _ = s.find(0, pt.ID, pt.Sub)
	}
	if len(s.series) >= in.limits.series {
		return k, false
	}
	sub := slices.Index(s.subs, pt.Sub)
	if sub < 0 {
		sub = len(s.subs)
		s.subs = append(s.subs, strings.Clone(pt.Sub))
	}
	s.mine()
	if len(s.series) == cap(s.series) { // room for what else the group brings that is new, and no more: rows come all at once
		room := len(s.series) + 1 + min(in.follow, in.limits.series)
		s.series = append(make([]series, 0, room), s.series...)
		s.grown = append(make([]growth, 0, room), s.grown...)
	}
	x := series{id: pt.ID, sub: uint16(sub)}
	if x.ring = ringOf(pt); x.ring != 0 {
		s.rings[x.ring-1] = ring{grown: none}
	}
	s.series = slices.Insert(s.series, k, x)
	s.grown = slices.Insert(s.grown, k, none)
	return k, true
}

// ringOfCPU is the ring of the CPU counter, plus one.
const ringOfCPU = 1

// ringOf is which ring the row of a point has, plus one. Windows are asked of what pods use of a resource.
func ringOf(pt *metric.Point) uint8 {
	switch {
	case pt.Sub != "":
	case pt.ID == metric.CPUUsage:
		return ringOfCPU
	case pt.ID == metric.MemoryWorkingSet:
		return 2
	}
	return 0
}

// prune drops series that have had no sample since the time given (an interface that went away).
func (s *samples) prune(before int64) {
	was := *s
	s.series, s.grown, s.rings, s.subs, s.shared = make([]series, 0, len(was.series)), make([]growth, 0, len(was.series)), [2]ring{}, append(make([]string, 0, len(was.subs)), ""), false
	for i, x := range was.series {
		h, g := was.pair(&x), *was.growth(i)
		if idle := h.n == 0 || was.base+int64(h.last.t) < before; idle && g.v() == 0 {
			continue
		}
		k := slices.Index(s.subs, was.subs[x.sub])
		if k < 0 {
			k = len(s.subs)
			s.subs = append(s.subs, was.subs[x.sub])
		}
		x.sub = uint16(k)
		if x.ring != 0 {
			s.rings[x.ring-1] = was.rings[x.ring-1]
		}
		s.series, s.grown = append(s.series, x), append(s.grown, was.grown[i])
	}
}

// forget drops all series. Which rows they were of stays known.
func (s *samples) forget() {
	s.series, s.grown, s.rings, s.before, s.subs, s.shared = nil, nil, [2]ring{}, nil, []string{""}, false
	s.last, s.read, s.interval = [numLanes]int64{}, 0, [numLanes]int32{}
}

// rebase makes t fit into the series' range of times; samples that do not are dropped.
func (s *samples) rebase(t int64) {
	s.mine()
	base := t - 1000*3600
	lost := func(x *sample) bool { return t < s.base || s.base+int64(x.t) < base }
	shift := uint32(base - s.base)
	for k := range s.series {
		x := &s.series[k]
		switch {
		case x.n > 0 && lost(&x.two[1]):
			x.n = 0
		case x.n > 1 && lost(&x.two[0]):
			x.n = 1
		}
		x.two[0].t -= shift
		x.two[1].t -= shift
		if g := s.growth(k); g.t != never {
			g.t = uint32(min(max(0, s.base+int64(g.t)-base), t-base))
		}
	}
	for i := range s.rings {
		r := &s.rings[i]
		for r.n > 0 && lost(r.at(0)) {
			r.head = uint16((int(r.head) + 1) % len(r.buf))
			r.n--
		}
		for k := range int(r.n) {
			r.at(k).t -= shift
		}
	}
	s.base, s.before = base, nil
}
