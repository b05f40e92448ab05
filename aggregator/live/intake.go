package live

import (
	"math"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// lane is the way a sample came.
type lane uint8

const (
	full lane = iota
	fast
	numLanes
)

// endOfTime is the latest time that a sample can have, in Unix milliseconds: the year 2286. It keeps sums of
// times within range.
const endOfTime = 1e13

// limits say how samples age and how many are kept; times are in milliseconds.
type limits struct {
	stale               [numLanes]int64 // the shortest time after which a row has no current value
	keep                uint32
	forget, forgetNodes int64
	ring                int // most samples of a series
	series              int // most series of an entity
	entities            int // most of them with samples of their own
}

// intake is a batch on its way into the picture, and what became of it.
type intake struct {
	*limits
	lane    lane
	at      int64 // the batch's time
	rolled  int64 // when the roll-ups were last given out
	horizon int64 // the latest time that a sample may have
	past    int64 // what is not later says nothing of what there is: a queue brings it late
	present int64 // what is not later makes no row an entity's own

	applied         int
	heard           int64 // the newest sample of the groups that were taken
	restarts, steps int
	drops           drops
}

func newIntake(b *metric.Batch, l *limits) intake {
	in := intake{limits: l, at: unixMilli(b.Time), horizon: endOfTime}
	if b.Fast {
		in.lane = fast
	}
	if !b.Time.IsZero() && b.Time.Year() <= 2285 {
		in.horizon, in.past, in.present = b.Time.Add(skew).UnixMilli(), max(0, in.at-l.forgetNodes), in.at-l.forget
	}
	return in
}

// refuses says why a point cannot be used, whatever it is of; numReasons if it can.
func (in *intake) refuses(pt *metric.Point) reason {
	switch {
	case math.IsNaN(pt.V) || math.IsInf(pt.V, 0):
		return dropNotFinite
	case pt.T > in.horizon:
		return dropFuture
	case pt.T <= in.past:
		return dropOld
	}
	return numReasons
}

// screen counts the points that cannot be used, and returns how many can and the time of the newest.
func (in *intake) screen(points []metric.Point) (good int, newest int64) {
	for i := range points {
		if why := in.refuses(&points[i]); why != numReasons {
			in.drops[why]++
			continue
		}
		good++
		newest = max(newest, points[i].T)
	}
	return good, newest
}

// unixMilli is a time in Unix milliseconds; 0 for the zero time and for those that no clock shows.
func unixMilli(t time.Time) int64 {
	if t.Year() < 1970 || t.Year() > 2285 {
		return 0
	}
	return t.UnixMilli()
}
