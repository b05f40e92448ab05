package promql

import (
	"strconv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/store"
)

// alone is a range that has one sample of what is measured every tick, whether or not the engine includes a range's left end.
const alone = tick - time.Millisecond

// sums renders the greatest, the least, the mean or a quantile over time of a sum of a gauge, which is added up at every moment first. Where the moments
// are further apart than samples, each tells of the time since the one before. Whoever ended in that time and whoever
// began in it may not have met: the one are added up with those that stayed, and the other are.
func sums(q *store.Checked, selector string) string {
	at := max(min(every(q), (q.Back/10).Truncate(tick)), tick)
	over := func(expr string) string {
		return OverTime(q.Func, q.Q, "("+join(q, expr)+")["+Duration(q.Back)+":"+Duration(at)+"]")
	}
	otherwise := " or " + join(q, OverTime(q.Func, q.Q, ranged(selector, q.Back))) // of what was there between two moments
	switch {
	case at == tick && q.Func == store.Max: // the ended must not count on beside who came after it
		return over(OverTime(store.Max, 0, ranged(selector, alone))) + otherwise
	case at == tick, q.Func == store.Quantile: // of which the moments alone tell enough
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

// newest renders what series of a gauge are together at the newest moment of a window: of each the newest value, where that is not older than is bridged
// beside the newest of its group. A bare selector tells the time of a sample for as long as it is found, five minutes; of what ended
// before, the moments since tell it.
func newest(q *store.Checked, selector string) string {
	at := "timestamp(" + selector + ")"
	if q.Back > store.MaxInterval {
		every := min(every(q), store.MaxInterval)
		at = "(" + at + " or " + OverTime(store.Max, 0, "("+at+")["+Duration(q.Back)+":"+Duration(every)+"]") + ")"
	}
	by := strings.Join(q.By, ", ")
	of := at + " > on (" + by + ") group_left () (max by (" + by + ") (" + at + ") - " + strconv.FormatFloat(bridged.Seconds(), 'f', -1, 64) + ")"
	return join(q, OverTime(store.Last, 0, ranged(selector, q.Back))+" and ("+of+")")
}
