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
// several series is not their sum, and a sum over all points grows with the interval.
func influxQL(q Query, now bool, column string) string {
	when, group, fill := "$timeFilter", "time($__interval), ", " fill(none)"
	inner := group + "*" + fill
	if now {
		group, fill = "", ""
		inner = "*"
		if q.Total {
			inner = "time($__interval), * fill(none)"
		} else {
			when = "time > ${__to}ms - " + nowWindow + " AND time <= ${__to}ms"
		}
	}
	each := influxFunc(q) + ` AS "v"`
	join := influxName(q.Join)
	whole := join + `("v")`
	if q.Over != nil {
		each += ", " + influxFunc(q.below()) + ` AS "w"`
		whole += " / " + join + `("w")`
	}
	if column != "" {
		whole += " AS " + quoteIdent(column)
	}
	s := "SELECT " + whole + " FROM (SELECT " + each + " FROM " + quoteIdent(q.Level.String()) +
		" WHERE " + when + influxWhere(q.Matchers) + " GROUP BY " + inner + ") WHERE " + when
	for _, l := range q.By {
		group += quoteIdent(l) + ", "
	}
	if group != "" {
		s += " GROUP BY " + strings.TrimSuffix(group, ", ")
	}
	return s + fill
}

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
		return "percentile(" + field + ", " + strconv.FormatFloat(q.Q*100, 'g', -1, 64) + ")"
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
