package tsdb

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/promql/parser"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	render "plimsoll.dev/plimsoll/internal/store/promql"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file of testdata, or rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	name = "testdata/" + name
	if *update {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(name, []byte(got), 0o644))
	}
	want, err := os.ReadFile(name)
	must(t, err)
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s: want -, got + (rewrite with -update):\n%s", name, d)
	}
}

// TestRender renders every function, every way to join and to match, and a metric of every row at every level; PromQL's own
// parser takes them all.
func TestRender(t *testing.T) {
	end := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	q := store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: end.Add(-time.Hour), End: end, Step: time.Minute, Func: store.Avg}
	var out strings.Builder
	p := parser.NewParser(parser.Options{})
	add := func(name string, f func(*store.Query)) {
		t.Helper()
		x := q
		f(&x)
		c, err := x.Check()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		s := render.Render(c)
		if _, err := p.ParseExpr(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		fmt.Fprintf(&out, "# %s\n%s\n", name, s)
	}
	for _, fn := range []store.Func{store.Last, store.Avg, store.Max, store.Min, store.Sum, store.Count, store.Quantile} {
		add(string(fn), func(q *store.Query) { q.Func, q.Q = fn, 0.95 })
	}
	add("rate", func(q *store.Query) { q.Row, q.Func, q.Window = metric.CPUUsage, store.Rate, 90*time.Second })
	add("95th percentile of a rate", func(q *store.Query) {
		q.Row, q.Func, q.Q, q.Window, q.RateOver = metric.CPUUsage, store.Quantile, 0.95, 24*time.Hour, 5*time.Minute
	})
	for _, join := range []store.Func{"", store.Sum, store.Avg, store.Max, store.Min, store.Count} {
		add("joined by "+string(join), func(q *store.Query) { q.By, q.Join = []string{}, join })
	}
	add("grouped", func(q *store.Query) { q.By = []string{"namespace", "workload"} })
	for _, fn := range []store.Func{store.Max, store.Avg, store.Quantile} {
		add(string(fn)+" of a sum", func(q *store.Query) { q.Func, q.Q, q.By, q.Step = fn, 0.95, []string{"workload"}, 0 })
		add(string(fn)+" of a sum over a week", func(q *store.Query) {
			q.Q = 0.95
			q.Func, q.By, q.Step, q.Window = fn, []string{"workload"}, 0, 7*24*time.Hour
		})
	}
	for _, back := range []time.Duration{time.Minute, 7 * 24 * time.Hour} {
		add("newest of a sum over "+back.String(), func(q *store.Query) {
			q.Func, q.By, q.Step, q.Window = store.Last, []string{"namespace", "workload"}, 0, back
		})
	}
	add("matched", func(q *store.Query) {
		q.Matchers = []store.Matcher{{Name: "namespace", Op: store.Equal, Value: `d"e\f` + "\n"}, {Name: "pod", Op: store.Regexp, Value: `web-\d+`}, {Name: "container", Op: store.NotRegexp, Value: "a|b"}, {Name: "node", Op: store.NotEqual, Value: "größe"}}
	})
	add("fixed labels", func(q *store.Query) {
		q.Row, q.Matchers = metric.MemoryPageFaults, []store.Matcher{{Name: "pod", Op: store.Equal, Value: "p"}}
	})
	add("at a node, where the name tells", func(q *store.Query) { q.Row, q.Level = metric.MemoryPageFaults, metric.Node })
	add("whole range", func(q *store.Query) { q.Step = 0 })
	add("instant with a window", func(q *store.Query) { q.Step, q.Window, q.Start = 0, 1500*time.Millisecond, time.Time{} })
	add("long window", func(q *store.Query) {
		q.Window = 15*24*time.Hour + 2*time.Hour + 3*time.Minute + 4*time.Second + 5*time.Millisecond
	})
	for i := range metric.Rows() {
		row := metric.Get(metric.ID(i))
		for _, l := range row.Levels {
			add(fmt.Sprintf("row %d at %s", i, l), func(q *store.Query) { q.Row, q.Level, q.Func = row.ID, l, store.Last })
		}
	}
	golden(t, "render.txt", out.String())
}

// FuzzRender renders anything: what is not refused, PromQL's parser takes, and it asks for the metric that was meant, by the same matchers wherever it does.
func FuzzRender(f *testing.F) {
	f.Add(uint16(0), uint8(0), "pod", "=", "a", "namespace", "avg", "sum", int64(1000), int64(5000), 0.5)
	f.Add(uint16(0), uint8(0), "pod", "=", "bad\ufffd~88cefa6086ed62ba", "namespace", "avg", "sum", int64(1000), int64(5000), 0.5)
	f.Add(uint16(9), uint8(4), "pod", "=~", "(", "a b", "rate", "", int64(0), int64(0), 2.0)
	p := parser.NewParser(parser.Options{})
	f.Fuzz(func(t *testing.T, row uint16, level uint8, name, op, value, by, fn, join string, step, window int64, quantile float64) {
		end := time.UnixMilli(1.8e12)
		q := store.Query{Row: metric.ID(row), Level: metric.Level(level), Start: end.Add(-time.Hour), End: end,
			Step: time.Duration(step) * time.Millisecond, Window: time.Duration(window) * time.Millisecond,
			Matchers: []store.Matcher{{Name: name, Op: store.MatchOp(op), Value: value}}, By: []string{by}, Func: store.Func(fn), Join: store.Func(join), Q: quantile}
		c, err := q.Check()
		if err != nil {
			if !errors.Is(err, store.ErrBadQuery) && !errors.Is(err, store.ErrTooLarge) {
				t.Errorf("error %v is not the contract's", err)
			}
			return
		}
		s := render.Render(c)
		expr, err := p.ParseExpr(s)
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		selectors, matchers := 0, ""
		parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
			if v, ok := n.(*parser.VectorSelector); ok {
				selectors++
				if want := metric.Get(q.Row).At(q.Level); v.Name != want {
					t.Errorf("%q asks for %q, want %q", s, v.Name, want)
				}
				if m := fmt.Sprint(v.LabelMatchers); selectors == 1 {
					matchers = m
				} else if m != matchers {
					t.Errorf("%q asks for %s and for %s", s, matchers, m)
				}
			}
			return nil
		})
		if sum := (c.Func == store.Rate || c.Meets() || c.Newest()) && selectors > 1; selectors != 1 && !sum { // a sum of rates or newest values looks for its members too
			t.Errorf("%q has %d selectors, want 1", s, selectors)
		}
	})
}
