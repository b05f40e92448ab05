package live

import (
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// rollup is what a unit above the containers has counted from its members. It grows by what the members' counters grow by, and a member
// that ends or begins anew adds nothing. It begins anew itself after a time in which nothing was heard of any member.
type rollup struct {
	start int64          // when counting began, Unix milliseconds
	given *metric.Entity // as which a pass had points of it last; nil: none had, or it has ended since
	line  *metric.Entity // as which one had points of it last, ended or not
	rows  metric.Set     // the gauges that the last pass had of it, of those that nobody says of it
	cells []count        // sorted by row and sub
}

// count is one counter of a roll-up.
type count struct {
	id metric.ID
	// nodes says, for the cluster, that the row is counted from the nodes.
	nodes bool
	fresh bool // it has begun at a pass of which the history may have another process's sums: the next point that is given out tells it by a 0
	late  lateness
	sub   string
	sum   float64
	sent  int64 // the time of the last point given out
	inc   float64
	at    int64 // the newest member's sample in this pass; 0: none
	from  int64 // since when the members with new samples have grown by inc; 0: there are none
	span  int64 // the longest time of one of them that is in the pass; where sums begin, the shortest (start.go)
	heard int64 // the newest sample that there is of a member, be it in this pass or of those to come; 0: none
}

// RollUp returns sums for the history, as a batch without a node: for pods, workloads, namespaces, pools and the cluster, and
// for nodes where the node has no value of its own and never had. Gauges are the sums of the snapshot at now. Counters are monotone
// counters of the roll-up's own: each pass adds what the members' counters have grown by since the pass before, so a
// member's end, restart or reset never makes one drop, and rate() over them is the members' summed rate. What a container used
// before its first sample, or between the last sample before a restart and the first after it, is not counted, nor what it used while it was not heard and
// sums were given out without it. No pass has more of a member than of the time since the pass before, and no point is nearer to the one before than that is long; where no member has grown
// there is no point (pace.go). A counter begins with a point of 0 at its members' first sample; in the first pass in which anything is heard, where each of its members counts (start.go). When the members with new samples were all not heard since the last point, it begins anew: there is a point of 0 where they come back;
// restarts and OOM kills go on, whoever counts them knows of those meanwhile, and of a pod that began after sums did they are counted from 0, whatever its first sample is.
// Group.Start is when Plimsoll began to count. The entities' pointers stay the same for as long as the names do. What cannot be added joins as the
// catalogue says. Of containers there are the restarts that nobody else counts. A sum that lacks a part of a member, now or because
// the member's counters have begun anew or have nothing new since the pass before, says of how many (MissingParts). A member of the slow lane
// that is late by half an interval is out of all sums. Of what has ended since the pass before there is a gap, and one of the rows that nothing in a sum has any more.
//
// One caller calls it at the pace of the history (every 10 s): what a pass has counted is not in the next.
func (p *Picture) RollUp(now time.Time) *metric.Batch {
	b, _ := p.rollUp(now)
	return b
}

// rollUp is RollUp with the snapshot that the sums are of.
func (p *Picture) rollUp(now time.Time) (*metric.Batch, *Snapshot) {
	p.walk.Lock()
	defer p.walk.Unlock()
	p.pool()
	c := counter{none: p.tree.none, plan: &p.plan, known: &p.known, limits: &p.limits, now: now.UnixMilli(), tree: &p.tree}
	if rolled := p.rolled.Load(); rolled != 0 {
		c.step = c.now - rolled
	}
	if !p.begun {
		c.first, c.step = true, 0
	}
	shown, shownOf := p.snap, p.snapOf
	b, snap := p.build(now, c.unit)
	if b.late { // people are shown what is late for a while longer
		p.snap, p.snapOf = shown, shownOf
	}
	c.members(b.notes)
	c.tears(b)
	out := &metric.Batch{Time: now}
	for i := range p.plan.from[metric.Pod] {
		if v, ok := b.items[i].Get(metric.Restarts); ok && b.notes[i].counts && !b.items[i].Silent() {
			out.Groups = append(out.Groups, metric.Group{Entity: p.plan.spots[i].entity, Points: []metric.Point{{ID: v.ID, T: v.T.UnixMilli(), V: v.V}}})
		}
	}
	for i := p.plan.from[metric.Pod]; i < len(p.plan.spots); i++ {
		s := &p.plan.spots[i]
		if s.u.sum != nil && another(s.u.sum.line, s.entity) {
			s.u.sum.settle()
		}
		g := c.given(&b.items[i], &b.notes[i], s, p.rolled.Load(), p.others, now.UnixMilli())
		if len(g.Points) > 0 {
			out.Groups = append(out.Groups, g)
		}
		if s.u.sum != nil {
			if gap, some := s.u.sum.ends(&b.items[i], &g, &b.notes[i].rows); some {
				out.Gaps = append(out.Gaps, gap)
			}
		}
	}
	if c.gave && !p.begun {
		p.begun = true
		p.began.Store(c.now)
	}
	p.emptied(out)
	p.rolled.Store(now.UnixMilli())
	return out, snap
}

// pool asks which nodes are in which pools.
func (p *Picture) pool() {
	if p.nodes == nil {
		return
	}
	nodes := p.nodes()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tree.group(nodes)
}

// counter is one pass of counting.
type counter struct {
	plan  *plan
	tree  *tree // with the lock held
	known *levelRows
	torn  []*spot // units whose counters have begun anew, or have nothing new though it is time

	limits *limits
	none   *samples
	now    int64
	step   int64 // since the pass before, in milliseconds; not above 0: there is none, or the clock was set back
	first  bool  // no sum was ever given out: all begin in this pass (start.go)
	gave   bool  // one is, in this pass
	// others is what the cluster's members have grown by that are no nodes; it counts in the rows that no node has.
	others rollup
	values []Value // room for those of one item
}

// unit counts what a unit's own counters have grown by. The lock is held.
func (c *counter) unit(s *spot) {
	if s.u.samples == c.none {
		return
	}
	overdue, late := s.u.overdue(c.limits, c.now)
	s.u.out, s.u.counted = late && measured(s.u.key.Level), s.u.newest()
	booked := int64(0) // of how much time its CPU is in the pass
	for i := range s.u.series {
		x := &s.u.series[i]
		if metric.Get(x.id).Kind != metric.Counter {
			continue
		}
		by := s.u.book(i, c.limits, c.step)
		if x.id == metric.CPUUsage {
			booked = by.span
		}
		if c.first {
			by = paced(by, c.tree.ended(s.u))
		}
		c.grow(s, x.id, s.u.subs[x.sub], by)
	}
	if s.u.torn || booked < c.step && measured(s.u.key.Level) && (overdue || c.tree.quiet(s.u, c.now)) {
		s.u.torn = false
		c.torn = append(c.torn, s)
	}
}

// members counts what roll-ups have grown by in those above them, smallest first. Rows of a unit's own are counted already.
func (c *counter) members(notes []note) {
	for i := range c.plan.spots {
		s := &c.plan.spots[i]
		switch {
		case s.u.sum == nil:
		case s.entity.Level == metric.Cluster:
			c.cluster(s.u.sum)
		default:
			for k := range s.u.sum.cells {
				if x := &s.u.sum.cells[k]; !notes[i].rows.Has(x.id) {
					c.grow(s, x.id, x.sub, *x)
				}
			}
		}
	}
}

// tears counts what has begun anew among the missing parts of all that it is summed up in, where it is not counted already.
func (c *counter) tears(b *builder) {
	if len(c.torn) == 0 {
		return
	}
	for _, s := range c.torn {
		b.notes[s.u.spot].torn = true
	}
	nodes := len(c.plan.level(metric.Node)) > 0
	for i := range c.plan.spots {
		s, it := &c.plan.spots[i], &b.items[i]
		if !b.notes[i].torn || it.Ended || it.Lacks.And(&essential) != (metric.Set{}) {
			continue
		}
		for _, to := range [...]*unit{s.parent, s.node} {
			if to == nil || s.entity.Level != metric.Node && nodes && to.key.Level == metric.Cluster {
				continue // the cluster's values are its nodes'
			}
			if n := &b.notes[to.spot]; essential.Less(&n.rows) != (metric.Set{}) {
				n.torn = true
				n.tears++
			}
		}
	}
}

// cluster counts the others' rows that no node has.
func (c *counter) cluster(sum *rollup) {
	for i := range c.others.cells {
		x := &c.others.cells[i]
		if to := sum.cell(x.id, ""); !to.nodes {
			to.inc, to.at, to.from, to.span, to.heard = x.inc, x.at, x.from, x.span, x.heard
		}
	}
}

// grow adds one counter's growth in this pass to the unit's parent and node.
func (c *counter) grow(s *spot, id metric.ID, sub string, by count) {
	if by.at == 0 {
		return
	}
	for _, to := range [...]*unit{s.parent, s.node} {
		if to == nil {
			continue
		}
		level := c.plan.spots[to.spot].entity.Level
		if !c.known[level].Has(id) {
			continue
		}
		if level != metric.Pod {
			sub = ""
		}
		if to.sum == nil {
			to.sum = &rollup{}
		}
		sum := to.sum
		if level == metric.Cluster && s.entity.Level != metric.Node {
			sum = &c.others
		}
		x := sum.cell(id, sub)
		switch {
		case !c.first:
			x.span = max(x.span, by.span)
		case x.at == 0 || by.span < x.span:
			x.span = by.span
		}
		x.inc, x.at, x.nodes = metric.Get(id).Join.Of(x.inc, by.inc), max(x.at, by.at), level == metric.Cluster
		x.heard = max(x.heard, by.heard)
		if x.from == 0 || by.from != 0 && by.from < x.from {
			x.from = by.from
		}
	}
}

// given returns the points that a unit gives to the history, and begins its next pass.
func (c *counter) given(it *Item, n *note, s *spot, rolled, others, now int64) metric.Group {
	g := c.grown(it, n, s, rolled, others, now)
	s.u.lacks(&g, it, n, now)
	return g
}

// lacks says how many members the sums of a pass lack, each time with the time of what lacks them: the CPU is told up to a time of its own, the memory is of the pass. The 0
// after it comes after all that.
func (u *unit) lacks(g *metric.Group, it *Item, n *note, now int64) {
	missing := it.Missing + int(n.tears)
	if missing == 0 && u.lacked == 0 || !it.Any() || it.Silent() || n.rows.Has(metric.MissingParts) {
		return
	}
	say := func(t int64) {
		g.Points = append(g.Points, metric.Point{ID: metric.MissingParts, T: t, V: float64(missing)})
	}
	told := now
	for _, x := range g.Points {
		if x.ID == metric.CPUUsage {
			told = x.T
		}
	}
	if missing == 0 {
		if told <= u.lacked {
			told = now
		}
		say(told)
		u.lacked = 0
		return
	}
	say(told)
	if u.lacked = told; told < now && it.Lacks.Has(metric.MemoryWorkingSet) && !n.rows.Has(metric.MemoryWorkingSet) {
		say(now)
		u.lacked = now
	}
}

// grown are the points of a unit's gauges and of its counters.
func (c *counter) grown(it *Item, n *note, s *spot, rolled, others, now int64) metric.Group {
	g := metric.Group{Entity: s.entity}
	c.values = it.each(c.values, func(v *Value) {
		if metric.Get(v.ID).Kind == metric.Gauge && !n.rows.Has(v.ID) && !it.over(v) {
			g.Points = append(g.Points, metric.Point{ID: v.ID, Sub: v.Sub, T: now, V: v.V})
		}
	})
	sum := s.u.sum
	if sum == nil {
		return g
	}
	if c.first {
		sum.start = sum.begin(now)
	}
	if sum.start == 0 {
		sum.start = max(unixMilli(it.First), rolled) // there was nothing to count at the pass before
	}
	sum.anew(n)
	if !n.begun { // else its sender says when it began, and readers take another start for a restart
		g.Start = millis(sum.start)
	}
	for i := range sum.cells {
		x := &sum.cells[i]
		x.sum += x.inc
		if t := x.time(now); x.from != 0 && t > x.sent && !n.rows.Has(x.id) && !x.idle() {
			zero := max(x.sent+1, min(x.from, t-x.span)) // before now by as much as is told: a member's clock may be ahead
			switch {                                     // who reads the values alone sees it begin anew by a 0
			case x.fresh:
				if !x.lost() && x.sent != 0 {
					zero = x.sent + 1
				}
				told := upTo(others, rolled, zero-1, x.late.of(0), c.plan.single(s.entity))
				if zero, x.sum, x.fresh = begins(zero, t, x.sum, rolled, told); !x.fresh && zero != 0 {
					g.Points = append(g.Points, metric.Point{ID: x.id, Sub: x.sub, T: zero})
				}
			case x.sent != 0 && !x.lost(), x.from == 0:
			case zero < t: // new, or heard again
				g.Points = append(g.Points, metric.Point{ID: x.id, Sub: x.sub, T: zero})
			case x.sent != 0: // the clock was set back
				x.sum = 0
			}
			x.sent, c.gave = t, true
			if !x.fresh {
				g.Points = append(g.Points, metric.Point{ID: x.id, Sub: x.sub, T: t, V: x.sum})
			}
		}
		x.late.next(x.sent, min(x.heard, now))
		x.inc, x.at, x.from, x.span, x.heard = 0, 0, 0, 0, 0
	}
	return g
}

// unheard is for how long nothing of a counter must have been heard until what it used meanwhile is not known, in milliseconds.
const unheard = 5000

// lost says whether nothing was heard of any of those that have new samples now for a while after the last point that was given out. Of restarts and OOM kills it is known how many there were meanwhile.
func (x *count) lost() bool { return !x.id.OfAllLives() && x.sent != 0 && x.from-x.sent > unheard }

// idle says whether those with new samples have grown in no interval yet, and others lately: a point would say that nothing was used.
func (x *count) idle() bool { return x.span == 0 && x.sent != 0 && !x.lost() }

// anew has the counters begin anew of which nothing was heard since their last point: a counter that went on from there would say that nothing was used
// meanwhile. When none has gone on, all begin where they are heard again. Restarts and OOM kills always go on: once there are any, they keep the start that they are counted from.
func (r *rollup) anew(n *note) {
	lost, goesOn := int64(0), false
	for i := range r.cells {
		switch x := &r.cells[i]; {
		case n.rows.Has(x.id):
		case x.id.OfAllLives():
			goesOn = goesOn || x.sum+x.inc > 0
		case x.from == 0:
		case x.lost():
			x.sum = 0
			if lost == 0 || x.from < lost {
				lost = x.from
			}
		case x.sent != 0:
			goesOn = true
		}
	}
	if lost == 0 || goesOn {
		return
	}
	r.start = lost
	for i := range r.cells {
		r.cells[i].sum = 0
	}
}

// cell returns the count of a row and sub, making it if it is new.
func (r *rollup) cell(id metric.ID, sub string) *count {
	i, ok := slices.BinarySearchFunc(r.cells, id, func(c count, id metric.ID) int {
		if c.id != id {
			return int(c.id) - int(id)
		}
		return strings.Compare(c.sub, sub)
	})
	if !ok {
		r.cells = slices.Insert(r.cells, i, count{id: id, sub: sub})
	}
	return &r.cells[i]
}
