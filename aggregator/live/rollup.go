package live

import (
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// rollup is what a unit above the containers has counted from its members. Nothing ever makes a count smaller:
// it grows by what the members' counters grow by, and a member that ends or begins anew adds nothing.
type rollup struct {
	start int64   // when counting began, Unix milliseconds
	cells []count // sorted by row and sub
}

// count is one counter of a roll-up.
type count struct {
	id   metric.ID
	sub  string
	sum  float64
	sent int64 // the time of the last point given out
	inc  float64
	at   int64 // the newest member's sample in this pass; 0: none
	// nodes says, for the cluster, that the row is counted from the nodes.
	nodes bool
}

// RollUp returns sums for the history, as a batch without a node: for pods, workloads, namespaces and the cluster, and
// for nodes where the node has no value of its own. Gauges are the sums of the snapshot at now. Counters are monotone
// counters of the roll-up's own: each pass adds what the members' counters have grown by since the pass before, so a
// member's end, restart or reset never makes one drop, and rate() over them is the members' summed rate. What a container used
// before its first sample, or between the last sample before a restart and the first after it, is not counted. A counter's point has
// the time of the newest sample in it; where no member brought a newer sample there is no point. Group.Start is when
// Plimsoll began to count. The entities' pointers stay the same for as long as the names do. Of pressure the members'
// largest counts, not the sum, and of start times the oldest.
//
// One caller calls it at the pace of the history (every 10 s): what a pass has taken is not in the next.
func (p *Picture) RollUp(now time.Time) *metric.Batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	ms := now.UnixMilli()
	p.forget(ms)
	s := p.build(now)
	p.snap, p.snapOf = s, p.changes
	out := &metric.Batch{Time: now}
	lists := [...][]*Item{metric.Pod: s.Pods, metric.Workload: s.Workloads, metric.Namespace: s.Namespaces,
		metric.Node: s.Nodes, metric.Cluster: {s.Cluster}}
	for l := metric.Pod; l <= metric.Cluster; l++ {
		for i, u := range p.level[l] {
			p.grow(u, ms)
			if g := p.given(u, lists[l][i], now); len(g.Points) > 0 {
				out.Groups = append(out.Groups, g)
			}
		}
	}
	p.settle()
	p.rolled = ms
	return out
}

// grow adds up what the unit's members have grown by. The cluster's rows are its nodes'; only those that no node has
// are its namespaces'.
func (p *Picture) grow(u *unit, now int64) {
	if len(u.members) == 0 {
		return
	}
	if u.sum == nil {
		u.sum = &rollup{}
	}
	for _, m := range u.members {
		if u.key.level != metric.Cluster || m.key.level == metric.Node {
			p.take(u, m, now, nil)
		}
	}
	if u.key.level != metric.Cluster {
		return
	}
	nodes := make([]bool, len(p.rows))
	for i := range u.sum.cells {
		nodes[u.sum.cells[i].id] = u.sum.cells[i].at != 0 || u.sum.cells[i].nodes
		u.sum.cells[i].nodes = nodes[u.sum.cells[i].id]
	}
	for _, m := range u.members {
		if m.key.level != metric.Node {
			p.take(u, m, now, nodes)
		}
	}
}

// take adds what one member's counters have grown by, but for the rows in but.
func (p *Picture) take(u, m *unit, now int64, but []bool) {
	for i := range m.series {
		s := &m.series[i]
		if p.rows[s.id].Kind != metric.Counter || len(m.members) > 0 && !m.has(p, s.id, now) {
			continue
		}
		at := m.restarted
		if s.n > 0 {
			t, _ := s.newest()
			at = m.base + int64(t)
		}
		p.gain(u, s.id, m.subs[s.sub], s.pending, at, now, but)
	}
	if m.sum == nil {
		return
	}
	for i := range m.sum.cells {
		if c := &m.sum.cells[i]; c.at != 0 && !m.has(p, c.id, now) {
			p.gain(u, c.id, c.sub, c.inc, c.at, now, but)
		}
	}
}

// gain adds one counter's growth to the unit's, unless the unit counts the row itself.
func (p *Picture) gain(u *unit, id metric.ID, sub string, inc float64, at, now int64, but []bool) {
	if at == 0 || but != nil && but[id] || !p.rows[id].Has(u.key.level) || u.has(p, id, now) {
		return
	}
	if u.key.level != metric.Pod {
		sub = ""
	}
	c := u.sum.cell(id, sub)
	if p.sum.modes[id] == largest {
		c.inc = max(c.inc, inc)
	} else {
		c.inc += inc
	}
	c.at = max(c.at, at)
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

// given returns the points that the unit gives to the history.
func (p *Picture) given(u *unit, it *Item, now time.Time) metric.Group {
	g := metric.Group{Entity: u.entity}
	for i := range it.Values {
		v := &it.Values[i]
		if p.rows[v.ID].Kind == metric.Gauge && !u.has(p, v.ID, now.UnixMilli()) {
			g.Points = append(g.Points, metric.Point{ID: v.ID, Sub: v.Sub, T: now.UnixMilli(), V: v.V})
		}
	}
	if u.sum == nil {
		return g
	}
	if u.sum.start == 0 {
		u.sum.start = max(unixMilli(it.First), p.rolled) // there was nothing to count at the pass before
	}
	if max(u.start[full], u.start[fast]) == 0 { // else its sender says when it began, and readers take another start for a restart
		g.Start = millis(u.sum.start)
	}
	for i := range u.sum.cells {
		c := &u.sum.cells[i]
		c.sum += c.inc
		if t := min(c.at, now.UnixMilli()); t > c.sent {
			c.sent = t
			g.Points = append(g.Points, metric.Point{ID: c.id, Sub: c.sub, T: t, V: c.sum})
		}
	}
	return g
}

// settle ends a pass: what has grown is counted.
func (p *Picture) settle() {
	for l := range p.level {
		for _, u := range p.level[l] {
			for i := range u.series {
				u.series[i].pending = 0
			}
			if u.sum == nil {
				continue
			}
			for i := range u.sum.cells {
				u.sum.cells[i].inc, u.sum.cells[i].at = 0, 0
			}
		}
	}
}
