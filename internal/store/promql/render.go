// Package promql renders the structured query of package store to PromQL, for the embedded store and for every engine that is
// read through Prometheus' HTTP API. It is pure text and imports no engine.
package promql

import (
	"strconv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// Render writes a structured query in PromQL. It is to be evaluated at q.Start, q.Start+q.Step and so on up to
// q.End, or, with Step zero, at q.End alone. Every point reaches back over q.Back, its left end excluded.
func Render(q store.Checked) string {
	selector := Selector(q.Metric, q.Level, q.Matchers)
	if q.Func == store.Rate {
		return rate(&q, selector)
	}
	if q.Meets() {
		return sums(&q, selector)
	}
	if q.Newest() && q.Back > bridged {
		return newest(&q, selector)
	}
	of := ranged(selector, q.Back)
	if q.RateOver > 0 {
		of = "(" + full(selector, q.RateOver) + " or irate(" + ranged(selector, q.RateOver) + "))[" + Duration(q.Back) + ":" + Duration(q.RateOver) + "]"
	}
	return join(&q, OverTime(q.Func, q.Q, of))
}

// RateOfAnyAge writes rate(), and for what is there and younger than the window the rate of its newest interval: rate() would tell too
// little of it. The window may be a variable of Grafana's.
func RateOfAnyAge(selector, window string) string {
	of := selector + "[" + window + "]"
	return "irate(" + of + ") and " + selector + " unless " + selector + " offset " + window + " or rate(" + of + ")"
}

// There writes what is there at a moment: of which there is a sample that is no older than a tick, or one before and one after. Within one and a half ticks of the end of
// what is asked for, a variable in Unix milliseconds, the next sample of who has said no end may still come.
func There(selector, end string) string {
	const late = tick * 3 / 2
	return "last_over_time(" + ranged(selector, tick) + ") or last_over_time(" + ranged(selector, time.Minute) + " offset -1m) or last_over_time(" + ranged(selector, late) +
		") and " + selector + " and on () (vector(time()) * 1000 > " + end + " - " + strconv.FormatInt(late.Milliseconds(), 10) + ")"
}

// OverTime writes a function over time, applied to a range such as `m[5m]`; q is the quantile's.
func OverTime(f store.Func, q float64, of string) string {
	switch f {
	case store.Rate, store.Increase:
		return string(f) + "(" + of + ")"
	case store.Quantile:
		return "quantile_over_time(" + strconv.FormatFloat(q, 'g', -1, 64) + ", " + of + ")"
	}
	return string(f) + "_over_time(" + of + ")"
}

// Selector writes a metric's name at a level and what selects its series: the catalogue's fixed labels, then the matchers.
func Selector(row *metric.Row, level metric.Level, matchers []store.Matcher) string {
	var ms []string
	if level == row.Levels[0] {
		for _, f := range row.Fixed {
			ms = append(ms, f.Name+"="+quote(f.Value))
		}
	}
	for _, m := range matchers {
		ms = append(ms, m.Name+string(m.Op)+quote(m.Value))
	}
	if len(ms) == 0 {
		return row.At(level)
	}
	return row.At(level) + "{" + strings.Join(ms, ", ") + "}"
}

// quote writes a string in PromQL. Its parser refuses U+FFFD, which stands for bytes that are no UTF-8, unless it is escaped.
func quote(s string) string { return strings.ReplaceAll(strconv.Quote(s), "\uFFFD", `\ufffd`) }

// Duration writes whole milliseconds as PromQL does: 1h30m, 1500ms as 1s500ms.
func Duration(d time.Duration) string {
	var b strings.Builder
	for _, u := range [...]struct {
		name string
		unit time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}} {
		if n := d / u.unit; n > 0 {
			b.WriteString(strconv.FormatInt(int64(n), 10) + u.name)
			d -= n * u.unit
		}
	}
	return b.String()
}
