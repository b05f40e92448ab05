package promql

import (
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/store"
)

// PromQL's rate() divides the growth by the window, of which it guesses how much the counter was there for. That is the rate between the samples
// where they fill the window, and too little at a birth, at an end and around a hole. irate() is the rate of one interval, exactly,
// so that the mean of many is what is meant; where they would be too many, rate() stands for them in the windows that are full.

const (
	// tick is how often history has a sample.
	tick = 10 * time.Second
	// maxTicks is the most moments at which an interval's rate is asked for.
	maxTicks = 2000
	// bridged is how long something counts as there after its newest sample: two missed ticks. A bare selector finds samples for up
	// to five minutes, where nothing marks the end.
	bridged = 3 * tick
)

func ranged(selector string, d time.Duration) string { return selector + "[" + Duration(d) + "]" }

// there is what has a sample that is not older than is bridged.
func there(selector string) string { return "last_over_time(" + ranged(selector, bridged) + ")" }

// interval is the rate of the newest interval at a moment, for as long as the series is there; of one in which the counter fell there is none.
func interval(selector string) string {
	of := ranged(selector, store.MaxInterval)
	return "irate(" + of + ") and " + there(selector) + " unless idelta(" + of + ") < 0"
}

// full is the rate over a window by rate(), where both its ends are there.
func full(selector string, d time.Duration) string {
	return "rate(" + ranged(selector, d) + ") and " + there(selector) + " and last_over_time(" + ranged(selector, bridged) + " offset " + Duration(d) + ")"
}

// every is the distance of the moments at which intervals are asked for.
func every(q *store.Checked) time.Duration {
	span := q.Back
	if q.Step > 0 {
		span += q.End.Sub(q.Start)
	}
	if q.Back+time.Millisecond < tick {
		return q.Back
	}
	return max(tick, (span/maxTicks + tick - 1).Truncate(tick))
}

// rate renders a counter's rate, joined.
func rate(q *store.Checked, selector string) string {
	at := every(q)
	over := "[" + Duration(q.Back) + ":" + Duration(at) + "]"
	known := "last_over_time(" + ranged(selector, q.Back) + ")"
	expr := "avg_over_time((" + interval(selector) + ")" + over + ") and " + known
	if at == tick && !q.Meets() {
		return join(q, expr)
	}
	newest := "irate(" + ranged(selector, q.Back) + ")" // of what was there between two moments
	switch {
	case q.Meets() && (q.Step == 0 || at == tick): // joined first
		expr = "avg_over_time((" + join(q, interval(selector)) + ")" + over + ") and " + join(q, known)
		if at > tick {
			expr += " or " + join(q, newest)
		}
		return expr
	case q.Step > 0 && at > tick:
		expr = full(selector, q.Back) + " or (" + expr + ") or " + newest
	case at > tick:
		expr += " or " + newest
	}
	return join(q, expr)
}

// join renders the join of series, if there is one.
func join(q *store.Checked, expr string) string {
	if q.By == nil {
		return expr
	}
	how := q.Join
	if how == "" {
		how = store.Sum
	}
	by := ""
	if len(q.By) > 0 {
		by = " by (" + strings.Join(q.By, ", ") + ") "
	}
	return string(how) + by + "(" + expr + ")"
}
