package grafana

import (
	"strconv"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
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
	expr := promJoin(q, promFunc(q, metric.Get(q.Row), window))
	if q.Over != nil {
		row := metric.Get(*q.Over)
		d := q
		d.Func = store.Last
		if row.Kind == metric.Counter {
			d.Func = store.Rate
		}
		expr += " / " + promJoin(q, promFunc(d, row, window))
	}
	return expr
}

// nowWindow is how far back a panel that shows the present looks: a value older than that is not the present. Every function
// has a window, the newest value too: how far a bare selector looks back differs from engine to engine, from 30 s to 5 minutes.
const nowWindow = "1m"

func promJoin(q Query, expr string) string {
	if len(q.By) == 0 {
		return string(q.Join) + "(" + expr + ")"
	}
	return string(q.Join) + " by (" + strings.Join(q.By, ", ") + ") (" + expr + ")"
}

func promFunc(q Query, row *metric.Row, window string) string {
	sel := promSelector(row, q.Level, q.Matchers)
	of := sel + "[" + window + "]"
	switch {
	case q.Total:
		return "increase(" + of + ")"
	case q.Func == store.Rate:
		return "rate(" + of + ")"
	case q.Func == store.Quantile:
		return "quantile_over_time(" + strconv.FormatFloat(q.Q, 'g', -1, 64) + ", " + of + ")"
	}
	return string(q.Func) + "_over_time(" + of + ")"
}

// promSelector renders the metric's name at the level with its fixed labels and the matchers.
func promSelector(row *metric.Row, level metric.Level, matchers []store.Matcher) string {
	var ms []string
	if level == row.Levels[0] {
		for _, f := range row.Fixed {
			ms = append(ms, f.Name+"="+strconv.Quote(f.Value))
		}
	}
	for _, m := range matchers {
		ms = append(ms, m.Name+string(m.Op)+strconv.Quote(m.Value))
	}
	if len(ms) == 0 {
		return row.At(level)
	}
	return row.At(level) + "{" + strings.Join(ms, ", ") + "}"
}
