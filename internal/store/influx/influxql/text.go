package influxql

import (
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// Ident writes a name in double quotes.
func Ident(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// Equals writes the condition that a tag has a value. A control character cannot be written in a string, so that such a
// value becomes a regular expression.
func Equals(tag, value string) string {
	if value == "" {
		return Ident(tag) + " !~ /./" // "= ''" is false where no series of a shard has the tag
	}
	for i := 0; i < len(value); i++ {
		if value[i] < 0x20 || value[i] == 0x7f {
			return Ident(tag) + " =~ " + pattern(regexp.QuoteMeta(value))
		}
	}
	return Ident(tag) + " = " + String(value)
}

// String writes a string in single quotes. It must not hold control characters other than line breaks.
func String(s string) string {
	return `'` + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(strings.ToValidUTF8(s, "\uFFFD")) + `'`
}

// pattern writes an RE2 regular expression that matches whole values. It must be valid. It is written anew from its parsed
// form, which has no control characters, no quoting, and nothing that could end it early.
func pattern(expr string) string {
	re, err := syntax.Parse(expr, syntax.Perl|syntax.DotNL)
	if err != nil { // Query.Check parsed it
		return "/^\\b\\B$/" // matches nothing
	}
	return "/^(?:" + strings.ReplaceAll(re.String(), "/", `\/`) + ")$/"
}

// conditions renders the matchers on tags; never says that no series can match. has says which labels are tags, constant gives
// the value that every other label has.
func conditions(ms []store.Matcher, has func(string) bool, constant func(string) string, value func(string) string) (out []string, never bool) {
	for _, m := range ms {
		if has(m.Name) {
			out = append(out, condition(m, value))
			continue
		}
		if !matches(m, constant(m.Name)) {
			return nil, true
		}
	}
	return out, false
}

// Matches writes a matcher on a tag by its regular expression.
func Matches(m store.Matcher) string { return condition(m, func(v string) string { return v }) }

// condition renders a matcher on a tag. On a shard in which no series has the tag, InfluxDB 1.8 holds = and =~ to be false and
// != and !~ for true, whatever the value; a matcher that "" matches is therefore written so that this is right.
func condition(m store.Matcher, value func(string) string) string {
	tag := Ident(m.Name)
	const absent, present = " !~ /./", " =~ /./"
	switch m.Op {
	case store.NotEqual:
		if m.Value == "" {
			return tag + present
		}
		return strings.Replace(strings.Replace(Equals(m.Name, value(m.Value)), tag+" = ", tag+" != ", 1), tag+" =~ ", tag+" !~ ", 1)
	case store.Regexp:
		if matches(m, "") {
			return "(" + tag + absent + " OR " + tag + " =~ " + pattern(m.Value) + ")"
		}
		return tag + " =~ " + pattern(m.Value)
	case store.NotRegexp:
		if !matches(m, "") {
			return "(" + tag + present + " AND " + tag + " !~ " + pattern(m.Value) + ")"
		}
		return tag + " !~ " + pattern(m.Value)
	}
	return Equals(m.Name, value(m.Value))
}

// matches says whether a matcher accepts a value.
func matches(m store.Matcher, v string) bool {
	switch m.Op {
	case store.Equal:
		return m.Value == v
	case store.NotEqual:
		return m.Value != v
	}
	re, err := regexp.Compile("^(?s:" + m.Value + ")$")
	return err == nil && re.MatchString(v) == (m.Op == store.Regexp)
}

// at writes a time in Unix nanoseconds.
func at(ms int64) string { return strconv.FormatInt(ms, 10) + "000000" }

// between writes the condition that a time is in (lo, hi], Unix milliseconds.
func between(lo, hi int64) string { return "time > " + at(lo) + " AND time <= " + at(hi) }

// until writes the upper bound of a query over a subquery. It has no lower one: InfluxDB 1.8 would hand it down, and loses a
// whole series when one of the subquery's rows is before it.
func until(hi int64) string { return "time <= " + at(hi) }

// every writes a GROUP BY time whose groups are (t-d, t] for the moments t that are whole multiples of d away from end.
func every(d time.Duration, end int64) string {
	offset := end % d.Milliseconds()
	return "time(" + strconv.FormatInt(d.Milliseconds(), 10) + "ms, " + strconv.FormatInt(offset, 10) + "000001ns)"
}

// fixed are the labels that belong to a row's identity at its first level.
func fixed(row *metric.Row, level metric.Level) []metric.Label {
	if level == row.Levels[0] {
		return row.Fixed
	}
	return nil
}
