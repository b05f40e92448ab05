package grafana

import (
	"strconv"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// influxQL renders a query of schema v1 with Grafana's macros: the measurement is the level, a counter's rate is a field of
// its own. now is for panels that show one number, as in promQL; the answer's column is then called column.
//
// The function over time is applied to each series by itself, then the series are added up: a mean over all points of
// several series is not their sum, and a sum over all points grows with the interval. Where there is one series for each line of a chart
// nothing is, and InfluxDB answers in a tenth of the time.
func influxQL(q Query, now bool, column string) string {
	when := "$timeFilter"
	if now && !q.Total {
		when = "time > ${__to}ms - " + nowWindow + " AND time <= ${__to}ms"
	}
	if by := q.lines(); by != nil && !now && (q.Over == nil || metric.Get(q.Row).Rate != "" || q.Func != store.Rate) {
		of := influxFunc(q)
		if q.Over != nil {
			of += " / " + influxFunc(q.below())
		}
		return "SELECT " + of + " FROM " + quoteIdent(q.Level.String()) + " WHERE " + when + influxWhere(q.Matchers) + influxGroup(false, "", "$__interval", by)
	}
	from := influxMembers(q, now, when)
	if q.kept != nil {
		from = influxMembers(*q.kept, now, when) + ", " + from
	}
	whole := influxJoin(q, "v")
	if q.Over != nil {
		whole += " / " + influxJoin(q, "w")
	}
	if column != "" {
		whole += " AS " + quoteIdent(column)
	}
	return "SELECT " + whole + " FROM " + from + influxGroup(now, when, "$__interval", q.By)
}

// influxMembers renders what is added up, as "v", and what that is divided by, as "w": the function over time of each series. What comes and goes is added up at each
// moment first, and the function is that of the sum.
func influxMembers(q Query, now bool, when string) string {
	group := " GROUP BY *"
	switch {
	case q.together():
		group = " GROUP BY time(" + moment + "), * fill(none)"
	case !now || q.Total:
		group = " GROUP BY time($__interval), * fill(none)"
	}
	each := influxFunc(q) + ` AS "v"`
	if q.Over != nil {
		each += ", " + influxFunc(q.below()) + ` AS "w"`
	}
	members := "(SELECT " + each + " FROM " + quoteIdent(q.Level.String()) + " WHERE " + when + influxWhere(q.Matchers) + group + ")"
	if !q.together() {
		return members
	}
	sum, over := influxJoin(q, "v")+` AS "v"`, influxOver(q, now, "v")+` AS "v"`
	if q.Over != nil {
		sum, over = sum+", "+influxJoin(q, "w")+` AS "w"`, over+", "+influxOver(q.below(), now, "w")+` AS "w"`
	}
	return "(SELECT " + over + " FROM (SELECT " + sum + " FROM " + members + influxGroup(false, when, moment, q.By) + ")" + influxGroup(now, when, "$__interval", q.By) + ")"
}

// moment is how often history has a sample of each series.
const moment = "10s"

// influxGroup groups what subqueries give by time and by labels; one number by labels alone, and whatever time that has got.
func influxGroup(now bool, when, every string, by []string) string {
	var dims []string
	where, fill := "", ""
	if !now {
		dims, fill = append(dims, "time("+every+")"), " fill(none)"
		if when != "" {
			where = " WHERE " + when
		}
	}
	for _, l := range by {
		dims = append(dims, quoteIdent(l))
	}
	if len(dims) == 0 {
		return where
	}
	return where + " GROUP BY " + strings.Join(dims, ", ") + fill
}

func influxJoin(q Query, column string) string {
	return influxName(q.Join) + "(" + quoteIdent(column) + ")"
}

// influxOver renders the function over time of sums. At the ends of a range a moment may lack members that have theirs just beyond, so the present is
// the middle of the last minute's.
func influxOver(q Query, now bool, column string) string {
	of := quoteIdent(column)
	switch {
	case q.Func == store.Quantile:
		return "percentile(" + of + ", " + percent(q.Q) + ")"
	case now && (q.Func == store.Last || q.Func == store.Rate):
		return "median(" + of + ")"
	case q.Func == store.Rate:
		return "mean(" + of + ")"
	}
	return influxName(q.Func) + "(" + of + ")"
}

func percent(q float64) string { return strconv.FormatFloat(q*100, 'g', -1, 64) }

// influxFunc renders the function over time of one series.
func influxFunc(q Query) string {
	row := metric.Get(q.Row)
	field := quoteIdent(row.Field)
	switch q.Func {
	case store.Rate:
		switch {
		case q.Total:
			return "non_negative_difference(last(" + field + "))"
		case row.Rate == "":
			return "non_negative_derivative(last(" + field + "), 1s)"
		}
		return "mean(" + quoteIdent(row.Rate) + ")"
	case store.Quantile:
		return "percentile(" + field + ", " + percent(q.Q) + ")"
	}
	return influxName(q.Func) + "(" + field + ")"
}

func influxName(f store.Func) string {
	if f == store.Avg {
		return "mean"
	}
	return string(f)
}

// influxWhere renders matchers. A variable stands in its regular expression as Grafana documents it, /^$node$/.
func influxWhere(matchers []store.Matcher) string {
	var b strings.Builder
	for _, m := range matchers {
		b.WriteString(" AND " + quoteIdent(m.Name) + " " + string(m.Op) + " ")
		switch {
		case m.Op == store.Equal || m.Op == store.NotEqual:
			b.WriteString(quoteString(m.Value))
		case strings.HasPrefix(m.Value, "$"):
			b.WriteString("/^" + m.Value + "$/")
		default:
			b.WriteString("/^(?:" + strings.ReplaceAll(m.Value, "/", `\/`) + ")$/")
		}
	}
	return b.String()
}

func quoteIdent(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

func quoteString(s string) string {
	return `'` + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(s) + `'`
}
