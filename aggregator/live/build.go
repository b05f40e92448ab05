package live

import (
	"fmt"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// gone is the reason of a gap whose entity does not exist any more.
const gone = "gone"

// The reasons that the picture itself gives.
const (
	stale    = "stale"
	starting = "starting"
	member   = "member"
)

// Snapshot returns the picture at now. It is built once for each change and second; with more than a thousand
// entities it may be up to 10 µs for each of them old, so that readers cannot make it cost more than a small share of a core.
func (p *Picture) Snapshot(now time.Time) *Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.snapshot(now)
}

// Missing returns the items of the snapshot at now that have a gap, smallest level first.
func (p *Picture) Missing(now time.Time) []*Item { return p.Snapshot(now).Missing() }

// Missing returns the items that have a gap, smallest level first.
func (s *Snapshot) Missing() []*Item {
	var out []*Item
	for _, list := range [][]*Item{s.Containers, s.Pods, s.Workloads, s.Namespaces, s.Nodes, {s.Cluster}} {
		for _, it := range list {
			if it.Gap != nil {
				out = append(out, it)
			}
		}
	}
	return out
}

func (p *Picture) snapshot(now time.Time) *Snapshot {
	if p.fresh(now) {
		return p.snap
	}
	began := time.Now()
	p.forget(now.UnixMilli())
	p.snap, p.snapOf = p.build(now), p.changes
	p.meters.took(began)
	return p.snap
}

// fresh says whether the last snapshot still does.
func (p *Picture) fresh(now time.Time) bool {
	if p.snap == nil {
		return false
	}
	age := now.Sub(p.snap.Time)
	if age < 0 || age >= time.Second {
		return false
	}
	if p.snapOf == p.changes {
		return true
	}
	n := len(p.level[metric.Container]) + len(p.level[metric.Pod])
	return n > 1000 && age < time.Duration(n)*10*time.Microsecond
}

func (p *Picture) build(now time.Time) *Snapshot {
	p.tidy()
	b := builder{p: p, now: now.UnixMilli()}
	n := 0
	for l := range p.level {
		n += len(p.level[l])
	}
	b.items = make([]Item, 0, n)
	s := &Snapshot{Time: now}
	s.Containers = b.list(metric.Container)
	s.Pods = b.list(metric.Pod)
	s.Workloads = b.list(metric.Workload)
	s.Namespaces = b.list(metric.Namespace)
	s.Nodes = b.list(metric.Node)
	s.Cluster = b.list(metric.Cluster)[0]
	for l := range p.level {
		for _, u := range p.level[l] {
			u.item = nil
		}
	}
	return s
}

// builder makes one snapshot. Items and values come from few large slices: thousands of small ones would cost
// the garbage collector more than the work itself.
type builder struct {
	p      *Picture
	now    int64
	items  []Item
	values []Value
	refs   []*Item
}

// list builds a level's items, in order of name. Members come before their parents.
func (b *builder) list(l metric.Level) []*Item {
	units := b.p.level[l]
	out := make([]*Item, len(units))
	for i, u := range units {
		out[i] = b.item(u)
	}
	return out
}

func (b *builder) item(u *unit) *Item {
	b.items = append(b.items, Item{Entity: u.entity})
	it := &b.items[len(b.items)-1]
	u.item = it
	it.Items = b.members(u, it)
	it.Start, it.First, it.Restarts = millis(max(u.start[full], u.start[fast])), millis(u.first), u.restarts
	b.inherit(u, it)
	from := len(b.values)
	if cap(b.values)-from < 4*len(b.p.rows)+len(u.series) {
		b.values, from = make([]Value, 0, max(4096, 8*len(b.p.rows)+len(u.series))), 0
	}
	state := b.ownValues(u)
	if len(it.Items) > 0 {
		b.p.sum.members(u, it.Items, b.values[from:])
		b.values = b.p.sum.append(b.values[:from])
	}
	it.Values = b.values[from:len(b.values):len(b.values)]
	it.Gap = b.gapOf(u, it, state)
	u.shown = it.Gap
	u.over = it.Gap != nil && (it.Gap.Reason == gone || it.Gap.Reason == stale && b.over(u))
	return it
}

// members returns the items of a unit's members and makes it their parent; a node's have another.
func (b *builder) members(u *unit, it *Item) []*Item {
	n := len(u.members)
	if n == 0 {
		return nil
	}
	if cap(b.refs)-len(b.refs) < n {
		b.refs = make([]*Item, 0, max(1024, n))
	}
	from := len(b.refs)
	for _, m := range u.members {
		b.refs = append(b.refs, m.item)
		if u.key.level != metric.Node {
			m.item.Parent = it
		}
	}
	return b.refs[from:len(b.refs):len(b.refs)]
}

// inherit takes from the members what a roll-up does not know of itself.
func (b *builder) inherit(u *unit, it *Item) {
	for _, m := range it.Items {
		if u.key.level == metric.Cluster && m.Entity.Level == metric.Node || u.key.level == metric.Node {
			continue // their containers are counted in the namespaces
		}
		it.Restarts += m.Restarts
	}
	if u.owned() {
		return
	}
	for _, m := range it.Items {
		if it.First.IsZero() || m.First.Before(it.First) {
			it.First = m.First
		}
		if u.key.level == metric.Pod && !m.Start.IsZero() && (it.Start.IsZero() || m.Start.Before(it.Start)) {
			it.Start = m.Start
		}
	}
}

// state is what became of a unit's own series at the moment of the snapshot.
type state struct {
	current, old, fastOld int // series with a current value; with none; those of the fast lane among them
	counters, rates       int // current counters; those with a rate
}

// ownValues appends the values of the unit's own current series.
func (b *builder) ownValues(u *unit) (st state) {
	if u.gap != nil && u.gap.Reason == gone {
		return st
	}
	for i := range u.series {
		s := &u.series[i]
		if !b.p.current(u, s, b.now) {
			if s.n > 0 {
				st.old++
				if s.lane == fast {
					st.fastOld++
				}
			}
			continue
		}
		st.current++
		t, v := s.newest()
		val := Value{ID: s.id, Sub: u.subs[s.sub], T: millis(u.base + int64(t)), V: v}
		if b.p.rows[s.id].Kind == metric.Counter {
			st.counters++
			rate, window := s.rate()
			if window > 0 {
				st.rates++
			}
			val.Rate, val.Window = rate, time.Duration(window)*time.Millisecond
		}
		b.values = append(b.values, val)
	}
	return st
}

// gapOf says why the item has no current values, or nil.
func (b *builder) gapOf(u *unit, it *Item, st state) *cluster.Gap {
	if u.owned() || u.gap != nil {
		if g := b.ownGap(u, st); g != nil {
			return g
		}
	}
	if u.key.level == metric.Node && st.current > 0 {
		return nil // the node's values are its own
	}
	return b.memberGap(u, it)
}

func (b *builder) ownGap(u *unit, st state) *cluster.Gap {
	switch {
	case st.current > 0 && st.fastOld == 0 || st.current == 0 && len(u.members) > 0 && u.gap == nil:
		if st.counters > 0 && st.rates == 0 {
			return &cluster.Gap{Since: millis(max(u.first, u.restarted)), Reason: starting, Detail: "one sample so far, a rate needs two"}
		}
		return nil
	case u.gap != nil:
		g := *u.gap
		return &g
	}
	last := u.newestSample()
	if last == 0 || st.current+st.old == 0 {
		return &cluster.Gap{Since: millis(max(u.first, last)), Reason: starting, Detail: "no sample that can be used so far"}
	}
	detail := "no sample for " + (time.Duration(b.now-last) * time.Millisecond).Round(time.Second).String()
	if b.p.ended(u) {
		detail += ", though its node is read"
	}
	return &cluster.Gap{Since: millis(last), Reason: stale, Detail: detail}
}

// over says whether a silent unit, or all that a roll-up is made of, has ended.
func (b *builder) over(u *unit) bool {
	if u.owned() {
		return b.p.ended(u)
	}
	for _, m := range u.members {
		if !m.over {
			return false
		}
	}
	return true
}

// ended says whether a silent unit seems to be no more: a batch said so, or its node's later batches leave it out.
func (p *Picture) ended(u *unit) bool {
	if u.gap != nil {
		return u.gap.Reason == gone
	}
	n := p.byKey[key{level: metric.Node, node: u.entity.Node}]
	if n == nil || n == u || u.entity.Node == "" || u.newestSample() == 0 {
		return false
	}
	ln := full
	if u.last[fast] != 0 {
		ln = fast
	}
	return n.heard[ln]-u.last[ln] > p.limit(u, ln)
}

// memberGap speaks of members whose values are missing from the sum: not of those that end or begin.
func (b *builder) memberGap(u *unit, it *Item) *cluster.Gap {
	missing, counted := 0, 0
	var worst, last *Item
	for _, m := range u.members {
		if u.key.level == metric.Cluster && m.key.level != metric.Node && len(b.p.level[metric.Node]) > 0 {
			continue // the cluster's values are its nodes'
		}
		counted++
		g := m.item.Gap
		if g == nil {
			continue
		}
		if last == nil || g.Since.After(last.Gap.Since) {
			last = m.item
		}
		if m.over || g.Reason == starting && len(m.item.Values) > 0 {
			continue
		}
		missing++
		if worst == nil || g.Since.Before(worst.Gap.Since) {
			worst = m.item
		}
	}
	switch {
	case worst != nil:
		return &cluster.Gap{Since: worst.Gap.Since, Reason: member,
			Detail: fmt.Sprintf("%d of %d: %s: %s", missing, counted, worst.Entity, worst.Gap.Reason)}
	case len(it.Values) > 0 || last == nil:
		return nil
	}
	return &cluster.Gap{Since: last.Gap.Since, Reason: last.Gap.Reason, Detail: "no member has values; the last was " + last.Entity.String()}
}

func millis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
