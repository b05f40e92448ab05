package live

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// builder makes one snapshot: first it reads every unit's own samples, with the lock, then it rolls them up, without. Items and
// what they have come from few large slices: thousands of small ones would cost the garbage collector more than the work itself.
type builder struct {
	plan  *plan
	known *levelRows
	now   int64
	keeps bool   // it is for the history: what is late is in no sum
	late  bool   // something is, and was left out
	items []Item // by spot
	notes []note // by spot
	left  int    // how many units are still to be read
	owns  []own

	inventory cluster.Inventory // nil: nobody knows
	cluster   bool              // its pods are a cluster's, which places them
	besides   besides
}

// note is what was read of a unit and is not in its item.
type note struct {
	rows    metric.Set // those that are its own: no roll-up
	values  int        // how many current ones it has of its own
	members int32
	sent    bool           // some sender knows it
	valued  bool           // it has current values of its own
	begun   bool           // some sender says when it began
	newest  int64          // its newest sample
	missed  int64          // as the unit has it
	awayOf  *metric.Entity // a machine of which nothing is heard, where members were
	counts  bool           // its restarts are counted here alone
	torn    bool           // its counters, or some of its members', have begun anew since the last roll-up
	tears   int32          // members whose growth is not whole in this pass, beside those that are missing
}

// read fills a unit's item with its own samples. The lock is held.
func (b *builder) read(t *tree, i int, s *spot) {
	u, it, n := s.u, &b.items[i], &b.notes[i]
	b.left = len(b.items) - i - 1
	*it = Item{Entity: s.entity, Start: millis(u.began()), First: millis(u.first), Restarts: int(u.restarts), Own: u.rows, Source: u.source}
	now := b.now
	if _, late := u.overdue(t.limits, now); b.keeps && late && measured(u.key.Level) {
		b.late, now = true, endOfTime
	}
	st := t.state(u, now)
	if it.has = st.has; st.current > 0 {
		it.own = b.own(u, t.limits, now)
	}
	n.values = st.current
	n.rows, n.sent, n.valued = u.rows, u.sent(), st.current > 0
	n.begun, n.newest, n.missed = u.began() != 0, u.newest(), u.missed
	if x, ok := t.lacks[u]; ok {
		it.Away, n.awayOf = x.n, x.of.entity
	}
	if it.Counted, it.Another = u.told, u.another; u.told {
		it.Restarts = int(u.rises)
		it.Count = int32(u.again())
	}
	n.counts = !u.told && u.rows.Has(metric.Restarts)
	it.Gap = t.gapOf(u, st, b.now)
	it.Unheard = t.unheard(u, it.Gap)
	if it.own != nil && it.Waits() { // what was measured of it is of before
		it.own.series = slices.DeleteFunc(slices.Clone(it.own.series), func(x series) bool { return !x.id.Standing() })
	}
	if n.sent && (!n.valued || it.Gap != nil) {
		it.Ended = t.ended(u)
	}
	it.Lacks = st.lacks
	if n.sent && it.Entity.Level == metric.Container && !u.rows.Has(metric.CPUUsage) {
		if it.has.Has(metric.MemoryWorkingSet) {
			it.Lacks.Add(metric.CPUUsage) // the kernel does not account for it
		}
	}
}

// measured says whether what is of such names uses something itself.
func measured(l metric.Level) bool { return l <= metric.Pod || l == metric.Node }

// own is what an item has of its unit's series, with which it shares them. The lock is held.
func (b *builder) own(u *unit, l *limits, now int64) *own {
	if len(b.owns) == cap(b.owns) {
		b.owns = make([]own, 0, min(1024, b.left+1))
	}
	u.shared = true
	b.owns = append(b.owns, own{series: u.series, subs: u.subs, rings: [...]pair{u.rings[0].pair(), u.rings[1].pair()}, base: u.base,
		oldest: [numLanes]int64{full: max(u.sourced, now-u.limit(l, full)), fast: max(u.sourced, now-u.limit(l, fast))}, sized: max(u.sourced, u.sized(l, now))})
	return &b.owns[len(b.owns)-1]
}

// snapshot adds up what was read.
func (b *builder) snapshot(now time.Time) *Snapshot {
	b.family()
	b.silence()
	s := &Snapshot{Time: now, Cluster: &b.items[len(b.items)-1], Pods: b.level(metric.Pod)}
	var asked metric.Set
	if b.cluster {
		asked = requests
	}
	sum := newSummer(asked)
	for i := range b.items {
		if i == b.plan.from[metric.Workload] && b.inventory != nil { // of the pods all is read, and nothing is added up yet
			s.Known = knownPods(b.inventory.All(), s.Pods)
			if b.cluster {
				b.pods(s.Known, now)
			}
		}
		it, n := &b.items[i], &b.notes[i]
		b.inherit(it, n)
		beside := b.besides[it]
		if len(it.Items) > 0 || beside != nil {
			if it.Entity.Level == metric.Pod {
				sum.pod(it)
			} else {
				sum.members(it, beside, n.rows, b.nodeRows(it))
				it.Values = sum.append(make([]Value, 0, sum.size()+n.values), it)
				it.own = nil
				for i := range it.Values {
					if id := it.Values[i].ID; !asked.Has(id) { // that something asks is not that anything was heard
						it.has.Add(id)
					}
				}
			}
			lacks := sum.lacks.And(&b.known[it.Entity.Level])
			it.Lacks.AddAll(&lacks)
			if it.Away > 0 {
				it.Lacks.AddAll(&essential)
			}
			b.missing(it, n)
		}
		if it.Ended = it.Gap != nil && (it.Gap.Reason == metric.GapGone || it.Gap.Reason == metric.GapStale && b.ended(it, n)); it.Ended {
			it.Lacks = metric.Set{}
		}
	}
	s.Containers, s.Workloads, s.Namespaces = b.level(metric.Container), b.level(metric.Workload), b.level(metric.Namespace)
	s.Nodes, s.Pools = b.level(metric.Node), b.level(metric.Pool)
	return s
}

// level are the items of one level.
func (b *builder) level(l metric.Level) []*Item {
	list := make([]*Item, 0, b.plan.from[l+1]-b.plan.from[l])
	for i := b.plan.from[l]; i < b.plan.from[l+1]; i++ {
		list = append(list, &b.items[i])
	}
	return list
}

// silentAfter is how long nothing must have come of a machine, by either lane, until the slow lane's last values are not taken for
// present ones any more: a little more than that lane's interval.
const silentAfter = 12 * time.Second

// silent says whether a machine that has a gap is silent.
func silent(g *cluster.Gap, now int64) bool {
	return g != nil && g.Reason == metric.GapStale && now-g.Since.UnixMilli() > silentAfter.Milliseconds()
}

// onSilent is why there is nothing of what is on a machine that is silent.
func onSilent(node string, g *cluster.Gap) string {
	return fmt.Sprintf("its machine %q is silent: %s", node, g.Detail)
}

// silence folds what is on a machine that nothing is heard of under that machine's gap.
func (b *builder) silence() {
	machines := map[string]*cluster.Gap{}
	for i := b.plan.from[metric.Node]; i < b.plan.from[metric.Node+1]; i++ {
		it := &b.items[i]
		g := it.Gap
		if g == nil && !b.notes[i].sent {
			g = b.quiet(it, b.notes[i].missed)
			it.Gap = g
		}
		if silent(g, b.now) {
			it.Gap = &cluster.Gap{Since: g.Since, Reason: metric.GapSilent, Detail: g.Detail}
			machines[it.Entity.Node] = &cluster.Gap{Since: g.Since, Reason: metric.GapSilent, Detail: onSilent(it.Entity.Node, g)}
		}
	}
	if len(machines) == 0 {
		return
	}
	for i := range b.plan.from[metric.Workload] {
		it, n := &b.items[i], &b.notes[i]
		if g := machines[it.Entity.Node]; g != nil && n.newest < g.Since.Add(silentAfter).UnixMilli() && !b.ended(it, n) {
			it.Gap = g
		}
	}
}

// quiet is the gap of a machine that sends nothing of itself: it has one when all that is on it has, or has been forgotten with one: since is
// when something of that was last heard of. What ended there says nothing of the machine.
func (b *builder) quiet(it *Item, since int64) *cluster.Gap {
	for _, list := range [...][]*Item{it.Items, parts(it.Items)} {
		for _, m := range list {
			switch {
			case m.Ended, m.Own == metric.Set{}, m.First.IsZero(): // it has nothing to say, or others say it
			case m.Gap == nil, m.Gap.Reason == metric.GapStarting && m.Any(), m.Waits():
				return nil
			case m.Gap.Reason == metric.GapStale:
				since = max(since, m.Gap.Since.UnixMilli())
			}
		}
	}
	if since == 0 {
		return nil
	}
	return &cluster.Gap{Since: millis(since), Reason: metric.GapStale, Detail: fmt.Sprintf("no sample for %v", (time.Duration(b.now-since) * time.Millisecond).Round(time.Second))}
}

// parts are the members of all items.
func parts(of []*Item) (out []*Item) {
	for _, it := range of {
		out = append(out, it.Items...)
	}
	return out
}

// family tells items their parents and members. A node has as members what runs on it, and a pool its nodes, whose parents others are.
func (b *builder) family() {
	total := 0
	each := func(do func(i int, of *unit)) {
		for i := range b.plan.spots {
			if s := &b.plan.spots[i]; s.parent != nil {
				do(i, s.parent)
				if s.node != nil {
					do(i, s.node)
				}
			}
		}
	}
	each(func(_ int, of *unit) { b.notes[of.spot].members++; total++ })
	refs := make([]*Item, total)
	each(func(i int, of *unit) {
		to, n := &b.items[of.spot], &b.notes[of.spot]
		if to.Items == nil {
			to.Items, refs = refs[:0:n.members], refs[n.members:]
		}
		to.Items = append(to.Items, &b.items[i])
		if of == b.plan.spots[i].parent {
			b.items[i].Parent = to
		}
	})
}

// inherit takes from the members what a roll-up does not know of itself.
func (b *builder) inherit(it *Item, n *note) {
	for _, m := range it.Items {
		if it.Entity.Level == metric.Cluster && m.Entity.Level == metric.Node || it.Entity.Level == metric.Node {
			continue // their containers are counted in the namespaces
		}
		it.Restarts += m.Restarts
		if it.Entity.Level == metric.Pod {
			it.Source = cmp.Or(it.Source, m.Source)
		}
	}
	if n.sent {
		return
	}
	for _, m := range it.Items {
		if it.First.IsZero() || m.First.Before(it.First) {
			it.First = m.First
		}
		if it.Entity.Level == metric.Pod && !m.Start.IsZero() && (it.Start.IsZero() || m.Start.Before(it.Start)) {
			it.Start = m.Start
		}
	}
}

// nodeRows are, for the cluster, the rows that nodes have: they are not counted again from the namespaces.
func (b *builder) nodeRows(it *Item) (rows metric.Set) {
	if it.Entity.Level == metric.Cluster {
		for i := b.plan.from[metric.Node]; i < b.plan.from[metric.Node+1]; i++ {
			rows.AddAll(&b.notes[i].rows)
		}
	}
	return rows
}

// ended says whether a silent unit, or all that a roll-up is made of, has ended.
func (b *builder) ended(it *Item, n *note) bool {
	if n.sent {
		return it.Ended
	}
	return !slices.ContainsFunc(it.Items, func(m *Item) bool { return !m.Ended })
}

// missing counts the members that the sums lack, in whole or in part, and says why as the item's gap if it has none itself. What has ended, or waits for its next life,
// is not missing, nor is what lacks only rows that the item has of its own.
func (b *builder) missing(it *Item, n *note) {
	own := essential.Less(&n.rows)
	if it.Entity.Level == metric.Node && n.valued && it.Lacks.And(&own) == (metric.Set{}) {
		return // a node's values are its own
	}
	it.Missing = it.Away
	counted, ended, silent, starting := it.Away, 0, 0, 0
	var worst, last *Item
	var from time.Time
	nodes := it.Entity.Level == metric.Cluster && len(b.plan.level(metric.Node)) > 0
	for _, m := range it.Items {
		if nodes && m.Entity.Level != metric.Node {
			continue // the cluster's values are its nodes'
		}
		counted++
		if m.Gap != nil && (last == nil || m.Gap.Since.After(last.Gap.Since)) {
			last = m
		}
		begins := m.Gap == nil || m.Gap.Reason == metric.GapStarting && m.Any()
		if m.Ended || m.Waits() {
			ended++
		}
		if m.Ended || m.Waits() || begins && m.Lacks.And(&own) == (metric.Set{}) {
			continue
		}
		it.Missing++
		if m.Silent() {
			silent++
		}
		if begins {
			starting++
		}
		if _, since := b.why(m); worst == nil || since.Before(from) {
			worst, from = m, since
		}
	}
	switch {
	case it.Gap != nil:
	case it.Missing > 0 && worst == nil:
		since, why := b.silentSince(n.awayOf)
		it.Gap = &cluster.Gap{Since: since, Reason: metric.GapMember, Detail: fmt.Sprintf("%d of %d: on machine %q, which is silent: %s", it.Missing, counted-ended, n.awayOf.Node, why)}
	case it.Missing > 0 && worst.Gap != nil && (silent == it.Missing && !it.Any() || starting == counted):
		it.Gap = worst.Gap
	case it.Missing > 0:
		why, since := b.why(worst)
		it.Gap = &cluster.Gap{Since: since, Reason: metric.GapMember, Detail: fmt.Sprintf("%d of %d: %s: %s", it.Missing, counted-ended, worst.Entity, why)}
	case last != nil && !it.measured():
		it.Gap = &cluster.Gap{Since: last.Gap.Since, Reason: last.Gap.Reason, Detail: "no member has values; the last was " + last.Entity.String()}
	}
}

// silentSince says since when nothing is heard of a machine, and for how long.
func (b *builder) silentSince(node *metric.Entity) (since time.Time, why string) {
	for i := b.plan.from[metric.Node]; i < b.plan.from[metric.Node+1]; i++ {
		if it := &b.items[i]; it.Entity.Node == node.Node && it.Gap != nil {
			return it.Gap.Since, it.Gap.Detail
		}
	}
	return millis(b.now), "no sample any more"
}

// measured says whether an item has a value of its CPU or memory.
func (it *Item) measured() bool { return it.has.And(&essential) != metric.Set{} }

// why says for what reason a member's part is missing, and since when. What has no gap of its own has no rate yet, or never will.
func (b *builder) why(m *Item) (reason string, since time.Time) {
	if m.Gap != nil && m.Away > 0 {
		return metric.GapSilent, m.Gap.Since
	}
	if m.Gap != nil && m.Gap.Reason == metric.GapMember { // then for that of its own member
		for _, x := range m.Items {
			if reason, since := b.why(x); since.Equal(m.Gap.Since) {
				return reason, since
			}
		}
	}
	if m.Gap != nil {
		return m.Gap.Reason, m.Gap.Since
	}
	if _, ok := m.Get(metric.CPUUsage); !ok && m.Lacks.Has(metric.CPUUsage) {
		return metric.GapUnaccounted, m.First
	}
	return metric.GapStarting, millis(b.now)
}
