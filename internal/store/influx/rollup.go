package influx

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// aggregate is one field that a roll-up makes of a field.
type aggregate struct {
	prefix   string
	ql       string // InfluxQL of the raw field %s
	flux     string // Flux function
	again    string // InfluxQL that makes days of hours
	fluxDays string
}

var valueAggregates = [...]aggregate{
	{PrefixMean, "mean(%s)", "mean", "mean(%s)", "mean"},
	{PrefixMin, "min(%s)", "min", "min(%s)", "min"},
	{PrefixMax, "max(%s)", "max", "max(%s)", "max"},
	{PrefixP95, "percentile(%s, 95)", "p95", "percentile(%s, 95)", "p95"},
	{PrefixCount, "count(%s)", "count", "sum(%s)", "sum"},
}

var lastAggregate = aggregate{PrefixLast, "last(%s)", "last", "last(%s)", "last"}

// rollUpQL is the SELECT ... INTO of a level and resolution, with a condition on time (for the past) or without (in a continuous query).
func rollUpQL(p Place, l metric.Level, r RollUp, where string) string {
	values, counters := Fields(l)
	var b strings.Builder
	b.WriteString("SELECT ")
	first := true
	add := func(a aggregate, field string) {
		if !first {
			b.WriteString(", ")
		}
		first = false
		if r == Hour {
			fmt.Fprintf(&b, a.ql, ident(field))
		} else {
			fmt.Fprintf(&b, a.again, ident(a.prefix+field))
		}
		b.WriteString(" AS " + ident(a.prefix+field))
	}
	for _, f := range values {
		for _, a := range valueAggregates {
			add(a, f)
		}
	}
	for _, f := range counters {
		add(lastAggregate, f)
	}
	fmt.Fprintf(&b, " INTO %s FROM %s", p.From(l, r), p.From(l, r-1))
	if where != "" {
		b.WriteString(" WHERE " + where)
	}
	fmt.Fprintf(&b, " GROUP BY time(%s), *", r)
	return b.String()
}

// timeRange is InfluxQL's condition for from <= time < to.
func timeRange(from, to time.Time) string {
	return fmt.Sprintf("time >= '%s' AND time < '%s'", from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339))
}

// continuousQuery is the name and statement of a level's roll-up on 1.x. The name holds a hash of the statement: the server
// shows statements in words of its own, so that only a name can tell whether one is up to date.
func continuousQuery(p Place, l metric.Level, r RollUp) (name, statement string) {
	resample := "RESAMPLE EVERY 30m FOR 2h"
	if r == Day {
		resample = "RESAMPLE EVERY 1h FOR 2d"
	}
	body := resample + " BEGIN " + rollUpQL(p, l, r, "") + " END"
	h := fnv.New32a()
	_, _ = h.Write([]byte(body))
	name = fmt.Sprintf("%s%08x", queryPrefix(l, r), h.Sum32())
	return name, fmt.Sprintf("CREATE CONTINUOUS QUERY %s ON %s %s", ident(name), ident(p.Database), body)
}

func queryPrefix(l metric.Level, r RollUp) string { return fmt.Sprintf("plimsoll_%s_%s_", l, r) }

// taskName is the name of a level's roll-up on 2.x.
func taskName(p Place, l metric.Level, r RollUp) string {
	return fmt.Sprintf("plimsoll: %s of %s", p.Measurement(l, r), p.Database)
}

// fluxTask is the Flux of a level's roll-up on 2.x.
func fluxTask(p Place, l metric.Level, r RollUp) string {
	every, since := "30m", "-1h"
	if r == Day {
		every, since = "1h", "-1d"
	}
	return fmt.Sprintf("import \"date\"\n\noption task = {name: %s, every: %s, offset: 30s}\n\n%s", fluxString(taskName(p, l, r)), every,
		fluxRollUp(p, l, r, fmt.Sprintf("start: date.truncate(t: %s, unit: %s)", since, r)))
}

// fluxRollUp is the part that rolls a range of time up.
func fluxRollUp(p Place, l metric.Level, r RollUp, span string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "data = from(bucket: %s) |> range(%s) |> filter(fn: (r) => r._measurement == %s)\n",
		fluxString(p.Bucket(r-1)), span, fluxString(p.Measurement(l, r-1)))
	b.WriteString("p95 = (column, tables=<-) => tables |> quantile(q: 0.95, column: column, method: \"exact_selector\")\n")
	var names []string
	part := func(a aggregate, counter bool) {
		name := strings.TrimSuffix(a.prefix, "_")
		fn, filter, field := a.flux, `r._field !~ /_total$/`, fluxString(a.prefix)+" + r._field"
		if counter {
			filter = `r._field =~ /_total$/`
		}
		if r == Day {
			fn, filter, field = a.fluxDays, fmt.Sprintf(`r._field =~ /^%s/`, a.prefix), "r._field"
		}
		fmt.Fprintf(&b, "%s_ = data |> filter(fn: (r) => %s) |> aggregateWindow(every: %s, fn: %s, timeSrc: \"_start\", createEmpty: false)\n"+
			"    |> map(fn: (r) => ({r with _measurement: %s, _field: %s, _value: float(v: r._value)}))\n",
			name, filter, r, fn, fluxString(p.Measurement(l, r)), field)
		names = append(names, name+"_")
	}
	for _, a := range valueAggregates {
		part(a, false)
	}
	part(lastAggregate, true)
	fmt.Fprintf(&b, "\nunion(tables: [%s]) |> to(bucket: %s)\n", strings.Join(names, ", "), fluxString(p.Bucket(r)))
	return b.String()
}

// fluxString writes a text of Flux.
func fluxString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "${", `\${`).Replace(s) + `"`
}
