package remotewrite

import (
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// ahead is how far a sample's time may be in the future.
const ahead = 10 * time.Minute

// Left counts the points that Clean left out.
type Left struct{ NotFinite, Time, Unknown int }

// Clean returns the batch without what can never be stored: points that are not finite, are from before 1970 or more than ten
// minutes ahead of now, or are not in the catalogue at their entity's level. It is the batch itself when there is no such point.
func Clean(b *metric.Batch, now time.Time) (*metric.Batch, Left) {
	var left Left
	latest := now.Add(ahead).UnixMilli()
	good := func(g *metric.Group, p *metric.Point) bool {
		switch {
		case g.Entity == nil || int(p.ID) >= len(metric.Rows()) || !metric.Get(p.ID).Has(g.Entity.Level):
			left.Unknown++
		case p.V-p.V != 0:
			left.NotFinite++
		case p.T <= 0 || p.T > latest:
			left.Time++
		default:
			return true
		}
		return false
	}
	bad := false
	for i := range b.Groups {
		g := &b.Groups[i]
		bad = bad || g.Entity == nil
		for j := range g.Points {
			if !good(g, &g.Points[j]) {
				bad = true
			}
		}
	}
	if !bad {
		return b, left
	}
	left = Left{}
	out := *b
	out.Groups = make([]metric.Group, 0, len(b.Groups))
	for _, g := range b.Groups {
		if g.Entity == nil {
			left.Unknown += len(g.Points)
			continue
		}
		points := make([]metric.Point, 0, len(g.Points))
		for j := range g.Points {
			if good(&g, &g.Points[j]) {
				points = append(points, g.Points[j])
			}
		}
		g.Points = points
		out.Groups = append(out.Groups, g)
	}
	return &out, left
}
