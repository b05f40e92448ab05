package grafana

import (
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/promql"
)

// promQL renders a query with Grafana's macros. now is for panels that show one number: what holds at the end of
// the range, from the last minute and nothing older.
func promQL(q Query, now bool) string {
	window := "$__rate_interval"
	switch {
	case now && q.Total:
		window = "$__range"
	case now:
		window = nowWindow
	}
	expr := promJoin(q, window)
	if q.Over != nil {
		expr += " / " + promJoin(q.below(), window)
	}
	return expr
}

// nowWindow is how far back a panel that shows the present looks: a value older than that is not the present. Every function
// has a window, the newest value too: how far a bare selector looks back differs from engine to engine, from 30 s to 5 minutes.
const nowWindow = "1m"

func promJoin(q Query, window string) string {
	selector := promql.Selector(metric.Get(q.Row), q.Level, q.Matchers)
	of := selector + "[" + window + "]"
	expr := promql.OverTime(q.Func, q.Q, of)
	switch {
	case q.Total:
		expr = promql.OverTime(store.Increase, 0, of)
	case q.Func == store.Rate:
		expr = promql.RateOfAnyAge(selector, window)
	}
	if len(q.By) == 0 {
		return string(q.Join) + "(" + expr + ")"
	}
	return string(q.Join) + " by (" + strings.Join(q.By, ", ") + ") (" + expr + ")"
}
