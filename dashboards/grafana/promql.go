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
		expr = divided(expr) + " / " + divided(promJoin(q.below(), window))
	}
	if q.kept != nil {
		expr = promJoin(*q.kept, window) + " or " + expr
	}
	return expr
}

// divided puts what is a choice between several into brackets.
func divided(expr string) string {
	if strings.Contains(expr, ") or ") {
		return "(" + expr + ")"
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
	if !q.together() {
		return joined(q.Join, q.By, expr)
	}
	ended := expr // of what is there at no moment that is drawn
	if q.Func == store.Rate {
		ended = "irate(" + of + ")"
	}
	return joined(q.Join, q.By, "("+expr+") and ("+promql.There(selector, "${__to}")+")") + " or " + joined(store.Max, q.By, ended)
}

func joined(how store.Func, by []string, expr string) string {
	if len(by) == 0 {
		return string(how) + "(" + expr + ")"
	}
	return string(how) + " by (" + strings.Join(by, ", ") + ") (" + expr + ")"
}
