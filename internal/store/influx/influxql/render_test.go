package influxql

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file of testdata, or rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	name = "testdata/" + name
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s: want -, got + (rewrite with -update):\n%s", name, d)
	}
}

// end is the end of the golden queries: a whole minute, but no whole hour.
var end = time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)

// render checks a query and renders it.
func render(q store.Query, o Options) (*Plan, error) {
	c, err := q.Check()
	if err != nil {
		return nil, err
	}
	return Render(c, o)
}

// TestRender renders every function, every way to join and to match, and what roll-ups and limits change.
func TestRender(t *testing.T) {
	var out strings.Builder
	write := func(name string, o Options, f func(*store.Query)) {
		t.Helper()
		q := store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: end.Add(-time.Hour), End: end, Step: time.Minute, Func: store.Avg}
		f(&q)
		p, err := render(q, o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		fmt.Fprintf(&out, "# %s\n", name)
		for i, s := range p.Statements {
			if i == 3 && len(p.Statements) > 4 {
				fmt.Fprintf(&out, "... %d more\n", len(p.Statements)-3)
				break
			}
			out.WriteString(s.Text + "\n")
		}
		for _, s := range p.List {
			out.WriteString("of the series of: " + s + "\n")
		}
	}
	add := func(name string, f func(*store.Query)) { t.Helper(); write(name, Options{}, f) }
	all := []store.Func{store.Last, store.Avg, store.Max, store.Min, store.Sum, store.Count, store.Quantile}
	for _, fn := range all {
		add(string(fn), func(q *store.Query) { q.Func, q.Q = fn, 0.95 })
	}
	for _, fn := range all {
		add(string(fn)+" over 5 minutes every minute", func(q *store.Query) { q.Func, q.Q, q.Window = fn, 0.95, 5*time.Minute })
	}
	for _, fn := range all {
		add(string(fn)+" over the whole range", func(q *store.Query) { q.Func, q.Q, q.Step = fn, 0.95, 0 })
	}
	add("lowest quantile", func(q *store.Query) { q.Func, q.Q = store.Quantile, 0 })
	add("low quantile, joined", func(q *store.Query) { q.Func, q.Q, q.By = store.Quantile, 0.05, []string{} })
	add("highest quantile", func(q *store.Query) { q.Func, q.Q = store.Quantile, 1 })
	add("rate", func(q *store.Query) { q.Row, q.Func = metric.CPUUsage, store.Rate })
	add("rate over 90 seconds", func(q *store.Query) { q.Row, q.Func, q.Window = metric.CPUUsage, store.Rate, 90*time.Second })
	add("rate without a field", func(q *store.Query) { q.Row, q.Func = metric.Restarts, store.Rate })
	add("rate without a field, whole range", func(q *store.Query) { q.Row, q.Func, q.Step = metric.Restarts, store.Rate, 0 })
	add("highest rate", func(q *store.Query) {
		q.Row, q.Func, q.RateOver, q.Step = metric.CPUUsage, store.Max, 20*time.Second, 0
	})
	for _, join := range []store.Func{"", store.Avg, store.Max, store.Min, store.Count} {
		add("joined by "+string(join), func(q *store.Query) { q.By, q.Join = []string{}, join })
	}
	add("grouped", func(q *store.Query) { q.By = []string{"workload", "namespace", "image", "workload"} })
	add("grouped, one point", func(q *store.Query) { q.By, q.Step = []string{"namespace"}, 0 })
	for _, fn := range []store.Func{store.Max, store.Min} {
		add(string(fn)+" of a sum", func(q *store.Query) { q.Func, q.By, q.Step = fn, []string{"workload"}, 0 })
		add(string(fn)+" of a sum over a day", func(q *store.Query) {
			q.Func, q.By, q.Step, q.Window = fn, []string{"workload"}, 0, 24*time.Hour
		})
	}
	for _, q95 := range []float64{0.95, 0.05} {
		add(fmt.Sprint("quantile of a sum, ", q95), func(q *store.Query) { q.Func, q.Q, q.By, q.Step = store.Quantile, q95, []string{"workload"}, 0 })
	}
	newest := func(name string, f func(*store.Query)) {
		add("newest of a sum, "+name, func(q *store.Query) {
			q.Func, q.By = store.Last, []string{"workload"}
			f(q)
		})
	}
	newest("one point", func(q *store.Query) { q.Step = 0 })
	newest("every minute", func(*store.Query) {})
	newest("overlapping", func(q *store.Query) { q.Window = 5 * time.Minute })
	newest("short", func(q *store.Query) { q.Step, q.Window = 10*time.Second, 25*time.Second })
	newest("too many", func(q *store.Query) { q.Step, q.Start = time.Minute, q.End.Add(-7*time.Hour) })
	newest("each one series", func(q *store.Query) {
		q.By = []string{"node", "namespace", "workload_kind", "workload", "pod", "container"}
	})
	match := func(ops ...any) func(*store.Query) {
		return func(q *store.Query) {
			for i := 0; i < len(ops); i += 3 {
				q.Matchers = append(q.Matchers, store.Matcher{Name: ops[i].(string), Op: ops[i+1].(store.MatchOp), Value: ops[i+2].(string)})
			}
		}
	}
	add("equal", match("pod", store.Equal, "web-1", "namespace", store.NotEqual, "größe"))
	add("equal to nothing", match("pod", store.Equal, "", "namespace", store.NotEqual, ""))
	add("quotes", match("pod", store.Equal, `'; DROP DATABASE "d" --`, "container", store.NotEqual, `a\'b"c`))
	add("control characters", match("pod", store.Equal, "a\nb\x00c", "container", store.NotEqual, "\r"))
	add("regular expressions", match("pod", store.Regexp, `web-\d+/x|y`, "container", store.NotRegexp, "a|b"))
	add("that match nothing too", match("pod", store.Regexp, "a?", "container", store.NotRegexp, "b*"))
	add("that try to get out", match("pod", store.Regexp, "/ OR 1=1 \n;", "container", store.Regexp, `\Q/'\E`))
	add("labels that no series has", match("image", store.Equal, "x"))
	add("labels that no series has, as wanted", match("image", store.NotEqual, "x", "interface", store.Regexp, ".*"))
	add("a row's fixed labels", func(q *store.Query) {
		q.Row, q.Matchers = metric.MemoryPageFaults, []store.Matcher{{Name: "failure_type", Op: store.Equal, Value: "pgfault"}}
	})
	add("of a node", func(q *store.Query) {
		q.Level = metric.Node
		match("node", store.Equal, "n1", "pod", store.Equal, "")(q)
	})
	rollups := Options{Database: `d"b`, Rollups: []Rollup{
		{Policy: "plimsoll_1h", Suffix: "_1h", Every: time.Hour, From: end.Add(-90 * 24 * time.Hour).Truncate(time.Hour), Until: end.Truncate(time.Hour), Beyond: 48 * time.Hour},
		{Policy: "plimsoll_1d", Suffix: "_1d", Every: 24 * time.Hour, From: end.Add(-80 * 24 * time.Hour).Truncate(24 * time.Hour), Until: end.Truncate(24 * time.Hour), Beyond: 60 * 24 * time.Hour},
	}}
	days := func(n int) func(q *store.Query) {
		return func(q *store.Query) { q.Step, q.Start = 0, q.End.Add(-time.Duration(n)*24*time.Hour) }
	}
	for _, fn := range all {
		write(string(fn)+" of 30 days", rollups, func(q *store.Query) { days(30)(q); q.Func, q.Q = fn, 0.95 })
	}
	write("median of 30 days", rollups, func(q *store.Query) { days(30)(q); q.Func, q.Q = store.Quantile, 0.5 })
	write("p95 of the CPU of 30 days", rollups, func(q *store.Query) {
		days(30)(q)
		q.Row, q.Func, q.Q, q.RateOver = metric.CPUUsage, store.Quantile, 0.95, 5*time.Minute
	})
	write("hourly means of three days", rollups, func(q *store.Query) { days(3)(q); q.Step = time.Hour })
	write("hourly means of three days, joined", rollups, func(q *store.Query) { days(3)(q); q.Step, q.By = time.Hour, []string{"namespace"} })
	going := rollups
	going.Now = end.Add(-2 * time.Minute)
	write("hourly means of three days, joined, the last of which go on", going, func(q *store.Query) { days(3)(q); q.Step, q.By = time.Hour, []string{"namespace"} })
	write("means of minutes of three days: raw", rollups, func(q *store.Query) { days(3)(q); q.Step = time.Minute })
	write("hourly means of one day: raw", rollups, func(q *store.Query) { days(1)(q); q.Step = time.Hour })
	write("daily highest of 100 days", rollups, func(q *store.Query) { days(100)(q); q.Step, q.Func = 24*time.Hour, store.Max })
	write("six hours every hour of five days", rollups, func(q *store.Query) { days(5)(q); q.Step, q.Window = time.Hour, 6*time.Hour })
	write("last of a counter, two weeks", rollups, func(q *store.Query) { days(14)(q); q.Row, q.Func = metric.CPUUsage, store.Last })
	write("last of a gauge, two weeks: raw", rollups, func(q *store.Query) { days(14)(q); q.Func = store.Last })
	short := Options{Piece: 6 * time.Hour}
	write("a day in pieces of six hours", short, func(q *store.Query) { q.Start = q.End.Add(-24 * time.Hour) })
	write("a day in one mean", short, func(q *store.Query) { q.Start, q.Step = q.End.Add(-24*time.Hour), 0 })
	write("daily means in pieces", short, func(q *store.Query) { q.Start, q.Step = q.End.Add(-48*time.Hour), 24*time.Hour })
	write("a day's quantile in pieces", short, func(q *store.Query) { q.Start, q.Step, q.Func, q.Q = q.End.Add(-24*time.Hour), 0, store.Quantile, 0.9 })
	golden(t, "render.txt", out.String())
}

// TestEveryRow renders every row at every level, as it is and as a rate.
func TestEveryRow(t *testing.T) {
	var out strings.Builder
	for i := range metric.Rows() {
		row := metric.Get(metric.ID(i))
		for _, l := range row.Levels {
			q := store.Query{Row: row.ID, Level: l, Start: end.Add(-time.Hour), End: end, Func: store.Max}
			if row.Kind == metric.Counter {
				q.Func = store.Rate
			}
			p, err := render(q, Options{})
			if err != nil {
				t.Fatalf("%s at %s: %v", row.Name, l, err)
			}
			text, _, _ := strings.Cut(p.Statements[0].Text, " WHERE")
			fmt.Fprintf(&out, "%s: %s\n", row.At(l), text)
		}
	}
	golden(t, "rows.txt", out.String())
}

// TestApart renders a plan for each series by itself.
func TestApart(t *testing.T) {
	q := store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: end.Add(-48 * time.Hour), End: end, Func: store.Quantile, Q: 0.95, By: []string{"namespace"}, Join: store.Max}
	p, err := render(q, Options{})
	if err != nil || len(p.List) != 1 {
		t.Fatalf("got %+v, %v", p, err)
	}
	p.Apart([]map[string]string{{"pod": "b", "container": ""}, {"pod": "a'", "container": "c"}, {"pod": "b", "container": ""}})
	var got []string
	for _, s := range p.Statements {
		got = append(got, s.Text)
	}
	want := []string{
		`SELECT PERCENTILE("memory_working_set_bytes", 95) AS v FROM "container" WHERE "container" !~ /./ AND "pod" = 'b' AND ` + between(end.Add(-48*time.Hour).UnixMilli()-1, end.UnixMilli()) + ` GROUP BY *`,
		`SELECT PERCENTILE("memory_working_set_bytes", 95) AS v FROM "container" WHERE "container" = 'c' AND "pod" = 'a\'' AND ` + between(end.Add(-48*time.Hour).UnixMilli()-1, end.UnixMilli()) + ` GROUP BY *`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
	if !p.join {
		t.Error("series that are asked for apart have to be joined by the answer")
	}
	many := make([]map[string]string, maxApart+1)
	for i := range many {
		many[i] = map[string]string{"pod": fmt.Sprint(i)}
	}
	if p, err = render(q, Options{}); err != nil {
		t.Fatal(err)
	}
	if p.Apart(many); len(p.Statements) != 1 {
		t.Errorf("got %d statements for too many series, want the one for all", len(p.Statements))
	}
}

// quoted is what stands in quotes, and regular expressions.
var quoted = regexp.MustCompile(`"(\\.|[^"\\\n])*"|'(\\.|[^'\\\n])*'|(?:[=!]~ )/(\\.|[^/\\\n])*/`)

// FuzzRender renders anything: what is not refused reads the measurement that was meant, holds one statement, and what
// the labels say stays in quotes.
func FuzzRender(f *testing.F) {
	f.Add(uint16(0), uint8(0), "pod", "=", "a", "namespace", "avg", "sum", int64(1000), int64(5000), int64(0), 0.5)
	f.Add(uint16(9), uint8(4), "pod", "=~", "(", "a b", "rate", "", int64(0), int64(0), int64(0), 2.0)
	f.Add(uint16(9), uint8(0), "pod", "=~", "/ OR x\n'\"", "pod", "max", "", int64(7000), int64(3000), int64(3600000), 0.3)
	f.Add(uint16(9), uint8(0), "pod", "!=", "a'; DROP\x00", "pod", "quantile", "", int64(0), int64(0), int64(3600000), 0.3)
	plain := regexp.MustCompile(`^[A-Za-z0-9_ ().,<>=!~*]*$`)
	f.Fuzz(func(t *testing.T, row uint16, level uint8, name, op, value, by, fn, join string, step, window, piece int64, quantile float64) {
		q := store.Query{Row: metric.ID(row), Level: metric.Level(level), Start: end.Add(-30 * time.Hour), End: end,
			Step: time.Duration(step) * time.Millisecond, Window: time.Duration(window) * time.Millisecond,
			Matchers: []store.Matcher{{Name: name, Op: store.MatchOp(op), Value: value}}, By: []string{by}, Func: store.Func(fn), Join: store.Func(join), Q: quantile}
		p, err := render(q, Options{Piece: time.Duration(min(max(piece, 0), 1e9)/60000) * time.Minute})
		if err != nil {
			if !errors.Is(err, store.ErrBadQuery) && !errors.Is(err, store.ErrTooLarge) {
				t.Errorf("error %v is not the contract's", err)
			}
			return
		}
		for _, s := range p.Statements[:min(len(p.Statements), 3)] {
			if rest := quoted.ReplaceAllString(s.Text, "Q"); !plain.MatchString(rest) {
				t.Errorf("%q has %q outside of quotes", s.Text, rest)
			}
			if want := ` FROM "` + q.Level.String() + `" WHERE `; strings.Count(s.Text, want) != 1 {
				t.Errorf("%q does not read %q once", s.Text, want)
			}
		}
		if len(p.Statements) > 0 {
			p.Apart([]map[string]string{{name: value}})
		}
	})
}

// TestPools: a pool is asked for by the tag that its measurement has.
func TestPools(t *testing.T) {
	end := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c, err := store.Query{Row: metric.Nodes, Level: metric.Pool, Func: store.Last, Start: end.Add(-time.Minute), End: end, By: []string{"pool"},
		Matchers: []store.Matcher{{Name: "pool", Op: store.Equal, Value: "blue"}}}.Check()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Render(c, Options{})
	if err != nil || len(p.Statements) != 1 || !strings.Contains(p.Statements[0].Text, `"pool" = 'blue'`) || !strings.Contains(p.Statements[0].Text, `GROUP BY "pool"`) && !strings.Contains(p.Statements[0].Text, "GROUP BY *") {
		t.Errorf("got %+v, %v", p, err)
	}
}
