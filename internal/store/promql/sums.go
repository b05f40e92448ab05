package promql

import (
	"time"

	"plimsoll.dev/plimsoll/internal/store"
)

// alone is a range that has one sample of what is measured every tick, whether or not the engine includes a range's left end.
const alone = tick - time.Millisecond

// sums renders the greatest, the least or the mean over time of a sum of a gauge, which is added up at every moment first. Where the moments
// are further apart than samples, each tells of the time since the one before. Whoever ended in that time and whoever
// began in it may not have met: the one are added up with those that stayed, and the other are.
func sums(q *store.Checked, selector string) string {
	at := max(min(every(q), (q.Back/10).Truncate(tick)), tick)
	over := func(expr string) string {
		return OverTime(q.Func, 0, "("+join(q, expr)+")["+Duration(q.Back)+":"+Duration(at)+"]")
	}
	otherwise := " or " + join(q, OverTime(q.Func, 0, ranged(selector, q.Back))) // of what was there between two moments
	switch {
	case at == tick && q.Func == store.Max: // the ended must not count on beside who came after it
		return over(OverTime(store.Max, 0, ranged(selector, alone))) + otherwise
	case at == tick:
		return over(there(selector)) + otherwise
	}
	since := OverTime(q.Func, 0, ranged(selector, at))
	now := "last_over_time(" + ranged(selector, alone)
	ended := over(since + " and " + now + " offset " + Duration(at) + ")")
	begun := over(since + " and " + now + ")")
	switch q.Func {
	case store.Max:
		return "(" + ended + ") >= (" + begun + ") or " + begun + " or " + ended + otherwise
	case store.Min:
		return "(" + ended + ") <= (" + begun + ") or " + begun + " or " + ended + otherwise
	}
	return begun + otherwise
}
