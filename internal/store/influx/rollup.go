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
	{PrefixP95, "percentile(%s, 95)", "", "percentile(%s, 95)", ""},
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
// shows statements in other words, so that only a name can tell whether one is up to date.
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

// fluxTask is the Flux of a level's roll-up on 2.x: of the last hour or day, and of the one that has begun.
func fluxTask(p Place, l metric.Level, r RollUp) string {
	every := "30m"
	if r == Day {
		every = "1h"
	}
	starts := []string{fmt.Sprintf("date.truncate(t: -%s, unit: %s)", r, r), fmt.Sprintf("date.truncate(t: now(), unit: %s)", r)}
	stop := fmt.Sprintf("date.add(d: %s, to: %s)", r, starts[1])
	return fmt.Sprintf("import \"date\"\n\noption task = {name: %s, every: %s, offset: 30s}\n\n%s", fluxString(taskName(p, l, r)), every,
		fluxRollUp(p, l, r, starts, stop))
}

// fluxStretch is the Flux of the hours or days from one time to another.
func fluxStretch(p Place, l metric.Level, r RollUp, from, to time.Time) string {
	var starts []string
	for ; from.Before(to); from = from.Add(r.Every()) {
		starts = append(starts, from.UTC().Format(time.RFC3339))
	}
	return fluxRollUp(p, l, r, starts, to.UTC().Format(time.RFC3339))
}

// fluxRollUp is the part that rolls up the hours or days that begin at starts, the last of which ends at stop. The server's storage makes
// windows of means and the like by itself, as long as each is a stream of its own. For a quantile Flux would hold all points of all
// windows in memory (gigabytes for 450 containers), so that each hour is a stream of its own there. What was
// written is not sent back.
func fluxRollUp(p Place, l metric.Level, r RollUp, starts []string, stop string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "data = (start, stop) => from(bucket: %s) |> range(start: start, stop: stop) |> filter(fn: (r) => r._measurement == %s)\n",
		fluxString(p.Bucket(r-1)), fluxString(p.Measurement(l, r-1)))
	fmt.Fprintf(&b, "keep = (tables=<-, name) => tables |> to(bucket: %s) |> filter(fn: (r) => r._field == \"\") |> yield(name: name)\n", fluxString(p.Bucket(r)))
	for _, a := range append(valueAggregates[:], lastAggregate) {
		filter, field := `r._field !~ /_total$/`, fluxString(a.prefix)+" + r._field"
		fn := a.flux
		if a.prefix == PrefixLast {
			filter = `r._field =~ /_total$/`
		}
		if r == Day {
			filter, field, fn = fmt.Sprintf(`r._field =~ /^%s/`, a.prefix), "r._field", a.fluxDays
		}
		row := fmt.Sprintf("_measurement: %s, _field: %s, _value: float(v: r._value)", fluxString(p.Measurement(l, r)), field)
		if a.prefix != PrefixP95 {
			fmt.Fprintf(&b, "\ndata(start: %s, stop: %s) |> filter(fn: (r) => %s)\n    |> aggregateWindow(every: %s, fn: %s, timeSrc: \"_start\", createEmpty: false)\n"+
				"    |> map(fn: (r) => ({r with %s})) |> keep(name: %s)\n", starts[0], stop, filter, r, fn, row, fluxString(a.prefix))
			continue
		}
		for i, start := range starts {
			end := stop
			if i+1 < len(starts) {
				end = starts[i+1]
			}
			fmt.Fprintf(&b, "\ndata(start: %s, stop: %s) |> filter(fn: (r) => %s)\n    |> quantile(q: 0.95, method: \"exact_selector\")\n"+
				"    |> map(fn: (r) => ({r with _time: r._start, %s})) |> keep(name: %s)\n", start, end, filter, row, fluxString(fmt.Sprint(a.prefix, i)))
		}
	}
	return b.String()
}

// fluxString writes a text of Flux.
func fluxString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "${", `\${`).Replace(s) + `"`
}
