package heapster

import (
	"context"
	"maps"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/model"
	"plimsoll.dev/plimsoll/internal/serve"
	"plimsoll.dev/plimsoll/internal/store"
)

const (
	maxSteps      = 10000 // points of one series
	queryDeadline = 10 * time.Second
	// rateSteps is how many samples a rate looks back over: two would miss a rate for each late sample.
	rateSteps = 4
)

// history reads the store.
type history struct {
	from       History
	resolution time.Duration
	specs      model.Metrics
}

// span is a stretch of time and the grid on it: points at end, end-step, ... down to start.
type span struct {
	start, end time.Time
	step       time.Duration
}

// stepFor is the resolution, or its smallest multiple that keeps a series within bounds.
func (h history) stepFor(start, end time.Time) time.Duration {
	n := end.Sub(start) / h.resolution / maxSteps
	return (n + 1) * h.resolution
}

// grid lies on whole multiples of the step, so that the same moment has the same point in every answer. ok is
// false where no point of it lies between start and end.
func (h history) grid(start, end time.Time) (span, bool) {
	step := h.stepFor(start, end)
	s := span{start.Truncate(step), end.Truncate(step), step}
	if s.start.Before(start) {
		s.start = s.start.Add(step)
	}
	return s, !s.end.Before(s.start)
}

// query begins a query of a row for a target: which series, and how they are joined.
func (h history) query(s *model.Metric, row metric.ID, t target, device string) store.Query {
	q := store.Query{Row: row, Level: metric.Container, By: []string{}, Join: store.JoinOf(row)}
	add := func(name string, op store.MatchOp, value string) {
		q.Matchers = append(q.Matchers, store.Matcher{Name: name, Op: op, Value: value})
	}
	own := !s.OfPods || row != s.Row // the machine's own value
	container := "container"
	switch {
	case t.level == model.Node && own:
		q.Level = metric.Node
	case t.level == model.SystemContainer:
		add("workload_kind", store.Regexp, model.SystemKinds)
		container = "pod" // which has its name, see freeName
	default:
		add("workload_kind", store.NotRegexp, model.SystemKinds)
	}
	for _, m := range [...]struct{ name, value string }{{"node", t.node}, {"namespace", t.namespace}, {"pod", t.pod}, {container, t.container}} {
		if m.value != "" {
			add(m.name, store.Equal, m.value)
		}
	}
	if t.level == model.Pod || t.level == model.PodContainer || t.level == model.SystemContainer {
		// A container that was made anew has two series for a moment; their sum would be a spike.
		q.By = []string{"pod", "container"}
	}
	if same := q.Level == metric.Node || len(q.By) > 0; same && q.Join == store.Sum {
		q.Join = store.Max
	}
	sub := metric.Get(row).Sub
	switch {
	case sub == "":
	case s.Labelled:
		add(sub, store.Equal, device)
	default:
		which := "lo"
		if q.Level == metric.Node {
			which = model.VirtualInterfaces
		}
		add(sub, store.NotRegexp, which)
		q.By = append(q.By, sub)
	}
	return q
}

// points returns a metric's values on the grid, each being how over the step that ends there: Last, Avg, Max, Min
// or Count.
func (h history) points(ctx context.Context, s *model.Metric, t target, device string, g span, how store.Func) ([]point, error) {
	q := h.query(s, s.Row, t, device)
	h.setWindow(&q, s.Rate, g, how)
	join := metric.Get(s.Row).Join
	if how == store.Count {
		join = metric.Smallest
	}
	out, err := h.run(ctx, q, join)
	if err != nil {
		return nil, err
	}
	if how == store.Count {
		return out, nil
	}
	if len(s.Over) > 0 {
		if out, err = h.divide(ctx, s, t, g, out); err != nil {
			return nil, err
		}
	}
	for i := range out {
		if s.Since {
			out[i].v = float64(out[i].t.UnixMilli())/1e3 - out[i].v
		}
		out[i].v = s.Value(out[i].v)
	}
	return out, nil
}

// setWindow sets what each point of the grid looks back at.
func (h history) setWindow(q *store.Query, rate bool, g span, how store.Func) {
	q.Start, q.End, q.Step, q.Window, q.Func = g.start, g.end, g.step, g.step, how
	switch {
	case how == store.Last:
		q.Window += g.step / 2 // samples come a little late now and then
	case how == store.Count:
		q.Join = store.Max
	}
	if over := rateSteps * h.resolution; rate && how != store.Count {
		switch {
		case how != store.Avg && how != store.Last && g.step >= 2*over:
			q.RateOver = over
		default:
			q.Func, q.Window = store.Rate, max(g.step, over)
		}
	}
}

// divide turns values into shares of the first row of s.Over that has values.
func (h history) divide(ctx context.Context, s *model.Metric, t target, g span, of []point) ([]point, error) {
	for _, id := range s.Over {
		q := h.query(s, id, t, "")
		h.setWindow(&q, false, g, store.Last)
		whole, err := h.run(ctx, q, metric.Sum)
		if err != nil {
			return nil, err
		}
		if len(whole) == 0 {
			continue
		}
		out := of[:0]
		for _, p := range of {
			i, ok := slices.BinarySearchFunc(whole, p.t, func(w point, t time.Time) int { return w.t.Compare(t) })
			if ok && whole[i].v > 0 {
				out = append(out, point{p.t, p.v / whole[i].v})
			}
		}
		return out, nil
	}
	return nil, nil
}

// run asks the store and joins the series of the answer by time.
func (h history) run(ctx context.Context, q store.Query, join metric.Join) ([]point, error) {
	series, err := h.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	sums := map[int64]float64{}
	for i := range series {
		for _, x := range series[i].Samples {
			v := x.V
			if old, ok := sums[x.T]; ok {
				v = join.Of(old, v)
			}
			sums[x.T] = v
		}
	}
	out := make([]point, 0, len(sums))
	for _, t := range slices.Sorted(maps.Keys(sums)) {
		out = append(out, point{time.UnixMilli(t).UTC(), sums[t]})
	}
	return out, nil
}

func (h history) ask(ctx context.Context, q store.Query) ([]store.Series, error) {
	ctx, cancel := context.WithTimeout(ctx, queryDeadline)
	defer cancel()
	series, err := h.from.Query(ctx, q)
	if err != nil {
		return nil, serve.ReadError("the history", err)
	}
	return series, nil
}

// list returns the names of things that were there between start and end, sorted.
func (h history) list(ctx context.Context, w what, t target, start, end time.Time) ([]string, error) {
	q := h.query(&model.Metric{}, metric.CPUUsage, t, "")
	q.Start, q.End, q.Func, q.Join = start, end, store.Last, store.Max
	switch w {
	case listNodes:
		q.Level, q.Matchers, q.By = metric.Node, nil, []string{"node"}
	case listFree:
		q.Level, q.By = metric.Container, []string{"pod"}
		q.Matchers = append(q.Matchers, store.Matcher{Name: "workload_kind", Op: store.Regexp, Value: model.SystemKinds})
	case listNamespaces:
		q.By = []string{"namespace"}
	case listPods:
		q.By = []string{"pod"}
	case listContainers:
		q.By = []string{"container"}
	}
	series, err := h.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	out := []string{}
	for i := range series {
		if name := series[i].Label(q.By[0]); name != "" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// metrics returns the names of the metrics of which a target had values between start and end.
func (h history) metrics(ctx context.Context, t target, start, end time.Time) ([]string, error) {
	type source struct {
		row    metric.ID
		ofPods bool
	}
	known := map[source]bool{}
	out := []string{}
	for i := range h.specs {
		s := &h.specs[i]
		if !s.Has(t.level) {
			continue
		}
		has, asked := known[source{s.Row, s.OfPods}]
		if !asked {
			q := h.query(s, s.Row, t, "")
			if s.Labelled { // of any device
				q.Matchers = q.Matchers[:len(q.Matchers)-1]
			}
			q.Start, q.End, q.Func, q.Join = start, end, store.Last, store.Max
			series, err := h.ask(ctx, q)
			if err != nil {
				return nil, err
			}
			has = len(series) > 0
			known[source{s.Row, s.OfPods}] = has
		}
		if has {
			out = append(out, s.Name)
		}
	}
	return out, nil
}
