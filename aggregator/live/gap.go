package live

import (
	"cmp"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// state is what became of a unit's own series at a moment.
type state struct {
	current, old, fastOld int        // series with a current value; with none; those of the fast lane among them
	counters, rates       int        // current counters; those with a rate
	has                   metric.Set // the rows of those with a current value
	runs                  bool       // one of those is of what only something that runs has
	// lacks are the rows that have no value now and will again: not those that the sender goes on without.
	lacks metric.Set
}

// state looks through a unit's own series at now.
func (t *tree) state(u *unit, now int64) state {
	var st state
	if u.gone() {
		return st
	}
	l, waits := t.limits, t.waits(u, now)
	sized := u.sized(l, now)
	for i := range u.series {
		x := &u.series[i]
		h := u.pair(x)
		if waits && !x.id.Standing() || u.elsewhere(&h) {
			continue
		}
		if !u.current(&h, l, now) && !h.stands(x.id, u.base, sized) {
			began := u.restarted
			if h.n > 0 {
				st.old++
				if h.lane == fast && now-u.last[fast] > u.limit(l, fast) {
					st.fastOld++
				}
				began = u.base + int64(h.last.t) + u.limit(l, h.lane)/2
			}
			if u.last[h.lane] <= began {
				st.lacks.Add(x.id)
			}
			continue
		}
		st.current++
		st.has.Add(x.id)
		st.runs = st.runs || !x.id.Standing()
		if metric.Get(x.id).Kind == metric.Counter && !x.id.OfAllLives() { // which a restart does not begin anew
			st.counters++
			if h.n > 1 {
				st.rates++
			} else {
				st.lacks.Add(x.id)
			}
		}
	}
	if waits {
		st.lacks = metric.Set{}
	}
	if len(u.series) == 0 && u.sent() && u.key.Level <= metric.Pod && u.count == 0 {
		st.lacks = essential
	}
	return st
}

// sizes are the rows of what is there, or set, and changes rarely: the slow lane brings them, and under load it is late.
var sizes = func() (s metric.Set) {
	for _, id := range [...]metric.ID{metric.CPUCapacity, metric.MemoryCapacity, metric.CPUAllocatable, metric.MemoryAllocatable,
		metric.CPURequest, metric.MemoryRequest, metric.CPULimit, metric.MemoryLimit} {
		s.Add(id)
	}
	return s
}()

// sized is since when a size must have been told to stand: it is what it was, though told too long ago to be current, while the fast lane goes on, and its own has not gone on
// without it.
func (u *unit) sized(l *limits, now int64) int64 {
	since := now - u.limit(l, full)
	if u.last[fast] != 0 && now-u.last[fast] <= u.limit(l, fast) && u.rows.And(&sizes) != (metric.Set{}) {
		return min(since, u.last[full]-u.limit(l, full)/2)
	}
	return since
}

// stands says whether the newest sample is a size that was told since then.
func (h *pair) stands(id metric.ID, base, sized int64) bool {
	return h.n > 0 && h.lane == full && base+int64(h.last.t) >= sized && sizes.Has(id)
}

// essential are the rows that everything has which runs.
var essential = func() (s metric.Set) {
	s.Add(metric.CPUUsage)
	s.Add(metric.MemoryWorkingSet)
	return s
}()

// lone is when the one sample was taken that there is so far: of the first life that is when it was first seen.
func (u *unit) lone() int64 {
	if u.restarted == 0 && !u.another {
		return u.first
	}
	return max(u.first, u.newest())
}

// gapOf says why a unit has no current values of its own; nil if it has, or has nothing to have.
func (t *tree) gapOf(u *unit, st state, now int64) *cluster.Gap {
	switch {
	case !u.sent() && u.gap == nil:
		return nil
	case t.waits(u, now):
		return &cluster.Gap{Since: millis(cmp.Or(u.read, u.first)), Reason: metric.GapWaiting, Detail: "it does not run at present; whoever runs it has it still, and has started it again " + times(u.again())}
	case u.told && u.read == 0 && u.gap == nil && u.key.Level == metric.Container:
		return &cluster.Gap{Since: millis(u.first), Reason: metric.GapStarting, Detail: "it was not measured so far"}
	case st.current > 0 && u.key.Level > metric.Pod && u.key.Level != metric.Node:
		return nil // what is said of it beside its members' sums comes and goes: a load is there only while something runs
	case st.current > 0 && st.fastOld == 0 && (st.runs || u.key.Level != metric.Container) || st.current == 0 && u.count > 0 && u.gap == nil && u.key.Level != metric.Node:
		if st.counters > 0 && st.rates == 0 {
			return &cluster.Gap{Since: millis(u.lone()), Reason: metric.GapStarting, Detail: "one sample so far, a rate needs two"}
		}
		return nil
	case t.unheardWaiting(u):
		return &cluster.Gap{Since: millis(u.newest()), Reason: metric.GapStale, Detail: noSample(now - u.newest())}
	case u.gap != nil:
		g := *u.gap
		return &g
	}
	last := cmp.Or(u.measured(), u.newest())
	if st.fastOld > 0 && st.current > 0 {
		last = min(last, u.last[fast])
	}
	if last == 0 || st.current+st.old == 0 {
		return &cluster.Gap{Since: millis(max(u.first, last)), Reason: metric.GapStarting, Detail: "no sample that can be used so far"}
	}
	if t.ended(u) {
		return &cluster.Gap{Since: millis(last), Reason: metric.GapGone, Detail: "it has ended: its machine is read, and does not have it any more"}
	}
	return &cluster.Gap{Since: millis(last), Reason: metric.GapStale, Detail: noSample(now - last)}
}

// noSample says for how many milliseconds there has been none.
func noSample(ms int64) string {
	return "no sample for " + (time.Duration(ms) * time.Millisecond).Round(time.Second).String()
}

// elsewhere says whether what there is of a series comes from where the unit's figures do not come from any more, which may have others.
func (u *unit) elsewhere(h *pair) bool { return h.n > 0 && u.base+int64(h.last.t) < u.sourced }

// mainLane is the one by which a unit is measured more often.
func (u *unit) mainLane() lane {
	if u.last[fast] != 0 {
		return fast
	}
	return full
}

// left says whether by a lane a unit's node goes on without it, of which there was something last at a time.
func (t *tree) left(u *unit, ln lane, last int64) bool {
	n := t.byKey[identity.NodeKey(u.entity.Node)]
	if n == nil || n == u || u.entity.Node == "" || last == 0 {
		return false
	}
	return n.heard[ln]-last > u.limit(t.limits, ln)
}

// ended says whether a silent unit seems to be no more: a batch said so, or its node's later batches leave it out.
func (t *tree) ended(u *unit) bool {
	if u.gap != nil && u.gap.Reason != metric.GapGone {
		return false
	}
	if u.gap != nil && !u.kept() {
		return true
	}
	if u.told && u.last[full] > u.last[fast] && (u.gap != nil || u.last[full]-u.read > u.limit(t.limits, fast)) { // of what is not measured the slow lane tells alone
		return t.left(u, full, u.last[full])
	}
	return t.left(u, u.mainLane(), u.last[u.mainLane()])
}

// unheard says whether a gap of something on a machine says no more than that nothing was heard of that machine either.
func (t *tree) unheard(u *unit, g *cluster.Gap) bool {
	if g == nil || g.Reason != metric.GapStale || u.key.Level > metric.Pod {
		return false
	}
	return t.withMachine(u)
}

// withMachine says whether nothing was heard of a unit's machine either since it was heard of last.
func (t *tree) withMachine(u *unit) bool {
	n := t.byKey[identity.NodeKey(u.entity.Node)]
	return n != nil && max(n.heard[full], n.heard[fast])-u.newest() <= u.limit(t.limits, u.mainLane())/2
}

// quiet says whether a unit of the fast lane is late by half an interval, and its machine with it: what there is of the unit ends there, and it has not ended.
func (t *tree) quiet(u *unit, now int64) bool {
	i, last := int64(u.interval[fast]), u.newest()
	if i == 0 || u.source != "" || last-u.last[fast] > u.limit(t.limits, fast) || now-last <= i+i/2 || u.gone() {
		return false
	}
	n := t.byKey[identity.NodeKey(u.entity.Node)]
	return n != nil && max(n.heard[full], n.heard[fast]) <= last
}

// gone says whether a batch said that the unit does not exist any more, and nobody has told of it since.
func (u *unit) gone() bool { return u.gap != nil && u.gap.Reason == metric.GapGone && !u.kept() }

// mentioned is when the unit was last heard of, in Unix milliseconds.
func (u *unit) mentioned() int64 {
	t := max(u.newest(), u.first)
	if u.gap != nil {
		t = max(t, unixMilli(u.gap.Since))
	}
	return t
}

// forget drops a unit that has had no sample for too long, or turns it into a mere roll-up when it still has members.
// What a clock that was wrong has left behind is far in the future.
func (t *tree) forget(u *unit, now int64) {
	if age := now - u.missed; u.missed != 0 && u.count == 0 && !u.dead && (age > t.limits.forgetNodes || -age > t.limits.forget) {
		t.remove(u)
		return
	}
	age := now - u.mentioned()
	if u.dead || !u.sent() || age <= t.patience(u) && -age <= t.limits.forget {
		return
	}
	if n := t.byKey[identity.NodeKey(u.entity.Node)]; n != nil && n != u && !t.ended(u) {
		if !n.sent() {
			n.missed = max(n.missed, u.newest())
		}
		if !t.known {
			t.leave(u, n)
		}
	}
	if n := t.byKey[identity.NodeKey(u.entity.Node)]; n != nil && u.lived() && t.born(u.entity) != 0 { // its pod is there: it may be told of again, from what nobody remembers
		t.steady[n] = now
	}
	t.drop(u)
}

// lack is how many members a sum lacks that were forgotten in silence, and a node that they were on.
type lack struct {
	n  int
	of *unit
}

// leave has the sum that a unit is in, and that stays, lack it while nothing is heard of its node.
func (t *tree) leave(u, node *unit) {
	sum := u.parent
	for sum != nil && sum.count == 1 && !sum.sent() { // it goes with it
		sum = sum.parent
	}
	if sum == nil || sum == t.root { // which lacks the node
		return
	}
	if t.away[node] == nil {
		t.away[node] = map[*unit]int{}
	}
	t.away[node][sum]++
	t.lacks[sum] = lack{t.lacks[sum].n + 1, node}
}

// regain has the sums lack nothing more of a node.
func (t *tree) regain(node *unit) {
	back := t.away[node]
	delete(t.away, node)
	for sum := range back {
		var left lack
		for other, sums := range t.away {
			if n := sums[sum]; n > 0 {
				left = lack{left.n + n, other}
			}
		}
		if t.lacks[sum] = left; left.n == 0 {
			delete(t.lacks, sum)
		}
	}
}

// found takes in that a machine of which things were missed is heard again.
func (t *tree) found(node *unit) {
	t.regain(node)
	if node.missed == 0 {
		return
	}
	if node.missed = 0; node.count == 0 && !node.sent() {
		t.remove(node)
	}
}

// patience is how long a unit without samples is kept, in milliseconds.
func (t *tree) patience(u *unit) int64 {
	ln, forget := full, t.limits.forget
	if u.last[full] == 0 {
		ln = fast
	}
	if u.key.Level == metric.Node {
		forget = t.limits.forgetNodes
	}
	return max(forget, 2*u.limit(t.limits, ln))
}
