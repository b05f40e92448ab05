package live

import (
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// state is what became of a unit's own series at a moment.
type state struct {
	current, old, fastOld int // series with a current value; with none; those of the fast lane among them
	counters, rates       int // current counters; those with a rate
}

// values appends the values of the unit's own series that are current at now.
func (u *unit) values(out []Value, l *limits, now int64) ([]Value, state) {
	var st state
	if u.gone() {
		return out, st
	}
	for i := range u.series {
		x := &u.series[i]
		if !u.current(x, l, now) {
			if x.n > 0 {
				st.old++
				if x.lane == fast {
					st.fastOld++
				}
			}
			continue
		}
		st.current++
		t, v := x.newest()
		val := Value{ID: x.id, Sub: u.subs[x.sub], T: millis(u.base + int64(t)), V: v}
		if metric.Get(x.id).Kind == metric.Counter {
			rate, window := x.rate()
			if x.id != metric.Restarts { // which a restart does not begin anew
				st.counters++
				if window > 0 {
					st.rates++
				}
			}
			val.Rate, val.Window = rate, time.Duration(window)*time.Millisecond
		}
		out = append(out, val)
	}
	return out, st
}

// note keeps what a batch says of an entity that could not be read.
func (t *tree) note(in *intake, g *metric.Gap, at time.Time) {
	if g.Entity == nil || at.Year() < 1970 || at.Year() > 2285 || !usable(g.Entity) || len(g.Reason) > 64 || len(g.Detail) > 1024 {
		return
	}
	u := t.byPtr[g.Entity]
	if u == nil {
		u = t.named(g.Entity)
	}
	switch {
	case u == nil && g.Reason == metric.GapGone:
		return
	case u == nil:
		u, _ = t.admit(in, &metric.Group{Entity: g.Entity}, in.at)
	case u.entity.ID != g.Entity.ID:
		return // of a container that another one of its names has replaced
	}
	if u == nil || in.at <= u.newest() || u.gap != nil && u.gap.Reason == g.Reason {
		return
	}
	since := at
	if u.gap != nil {
		since = u.gap.Since
	}
	u.gap = &cluster.Gap{Since: since, Reason: g.Reason, Detail: g.Detail}
	t.changes++
}

// gapOf says why a unit has no current values of its own; nil if it has, or has nothing to have.
func (t *tree) gapOf(u *unit, st state, now int64) *cluster.Gap {
	switch {
	case !u.owned() && u.gap == nil:
		return nil
	case st.current > 0 && st.fastOld == 0 || st.current == 0 && u.count > 0 && u.gap == nil && u.key.Level != metric.Node:
		if st.counters > 0 && st.rates == 0 {
			return &cluster.Gap{Since: millis(max(u.first, u.restarted)), Reason: metric.GapStarting, Detail: "one sample so far, a rate needs two"}
		}
		return nil
	case u.gap != nil:
		g := *u.gap
		return &g
	}
	last := u.newest()
	if last == 0 || st.current+st.old == 0 {
		return &cluster.Gap{Since: millis(max(u.first, last)), Reason: metric.GapStarting, Detail: "no sample that can be used so far"}
	}
	detail := "no sample for " + (time.Duration(now-last) * time.Millisecond).Round(time.Second).String()
	if t.ended(u) {
		detail += ", though its node is read"
	}
	return &cluster.Gap{Since: millis(last), Reason: metric.GapStale, Detail: detail}
}

// ended says whether a silent unit seems to be no more: a batch said so, or its node's later batches leave it out.
func (t *tree) ended(u *unit) bool {
	if u.gap != nil {
		return u.gone()
	}
	n := t.byKey[identity.NodeKey(u.entity.Node)]
	if n == nil || n == u || u.entity.Node == "" || u.newest() == 0 {
		return false
	}
	ln := full
	if u.last[fast] != 0 {
		ln = fast
	}
	return n.heard[ln]-u.last[ln] > u.limit(t.limits, ln)
}
