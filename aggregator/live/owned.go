package live

import (
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// What ever had a row of its own has no sum of its members in that row, whatever became of it: what was said of it is in the history, and the two would be
// taken for one.

// mostOwned is of how many units of a level that are not there the rows are kept.
const mostOwned = 20_000

// maySum says whether a value of the past may be a sum: of a machine what it measures is not, its kills for want of memory included, and containers have no members.
func maySum(e *metric.Entity, id metric.ID) bool {
	return e != nil && e.Level != metric.Container && (e.Level != metric.Node || id.Standing() && id != metric.OOMKills)
}

// owns adds the rows that a group of an entity has to a set. What is too old to be shown says all the same of a machine what it measures: its counters are of days.
func (in *intake) owns(e *metric.Entity, g *metric.Group, known, rows *metric.Set) {
	for i := range g.Points {
		pt := &g.Points[i]
		if rows.Has(pt.ID) || !known.Has(pt.ID) {
			continue
		}
		if why := in.refuses(e, pt); why == numReasons || why == dropOld && !maySum(e, pt.ID) {
			rows.Add(pt.ID)
		}
	}
}

// had notes the rows of an entity of which a group brings nothing that can be shown.
func (t *tree) had(in *intake, g *metric.Group, known *levelRows) {
	e := g.Entity
	if e == nil || !identity.Usable(e) || e.Level == metric.Container {
		return
	}
	var rows metric.Set
	in.owns(e, g, &known[e.Level], &rows)
	u := t.named(e)
	switch {
	case u == nil:
		t.own(t.keyOf(e), rows)
	case u.entity.Node == e.Node && rows.Less(&u.rows) != metric.Set{}:
		t.speaks(u)
		u.rows.AddAll(&rows)
		t.changes++
	}
}

// own keeps the rows of a unit that is not there. Containers have no members, and where there are too many some are forgotten.
func (t *tree) own(k identity.Key, rows metric.Set) {
	if k.Level == metric.Container || rows == (metric.Set{}) {
		return
	}
	of := t.owned[k.Level]
	if of == nil {
		of = map[identity.Key]metric.Set{}
		t.owned[k.Level] = of
	}
	had := of[k]
	rows.AddAll(&had)
	for other := range of {
		if len(of) < mostOwned {
			break
		}
		delete(of, other)
	}
	of[k] = rows
}
