package live

import "plimsoll.dev/plimsoll/internal/metric"

// remove drops a unit, and the parents that it leaves empty.
func (p *Picture) remove(u *unit) {
	parent, node := u.parent, u.node
	p.detach(u)
	p.unknow(u, nil)
	p.lose(u, u.entity)
	delete(p.byKey, u.key)
	u.dead = true // tidy takes it out of its level: one by one would be slow for many
	p.meters.entities[u.key.level].Dec()
	if p.dead++; p.dead > 10_000 {
		p.tidied = false
		p.tidy()
	}
	p.prune(parent)
	p.prune(node)
}

// forget drops the units that have had no sample for too long; a roll-up goes with its last member.
func (p *Picture) forget(now int64) {
	if d := now - p.forgot; d >= 0 && d < 1000 {
		return
	}
	p.forgot = now
	var out []*unit
	for l := range p.level {
		for _, u := range p.level[l] {
			// Far in the future is what a clock that was wrong has left behind.
			if age := now - u.mentioned(); u.owned() && !u.dead && (age > p.patience(u) || -age > p.opts.Forget.Milliseconds()) {
				out = append(out, u)
			}
		}
	}
	for _, u := range out {
		p.drop(u)
	}
}

// mentioned is when the unit was last heard of, in Unix milliseconds.
func (u *unit) mentioned() int64 {
	t := max(u.newestSample(), u.first)
	if u.gap != nil {
		t = max(t, unixMilli(u.gap.Since))
	}
	return t
}

// patience is how long a unit without samples is kept, in milliseconds.
func (p *Picture) patience(u *unit) int64 {
	ln := full
	if u.last[full] == 0 {
		ln = fast
	}
	forget := p.opts.Forget
	if u.key.level == metric.Node {
		forget = p.opts.ForgetNodes
	}
	return max(forget.Milliseconds(), 2*p.limit(u, ln))
}

// drop removes a unit, or turns it into a mere roll-up when it still has members.
func (p *Picture) drop(u *unit) {
	if u.dead {
		return // it went with a member
	}
	if u.count == 0 && u != p.cluster {
		p.remove(u)
		return
	}
	p.unknow(u, nil)
	u.series, u.subs, u.gap = nil, []string{""}, nil
	u.last, u.interval = [numLanes]int64{}, [numLanes]int32{}
}

// prune removes a roll-up that lost its last member.
func (p *Picture) prune(u *unit) {
	if u != nil && u != p.cluster && u.count == 0 && !u.owned() && !u.dead {
		p.remove(u)
	}
}
