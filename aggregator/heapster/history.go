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
	// rateSteps is over how many samples a rate is whose greatest or least in a long step is asked for.
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

// cut asks for the points between start and end, and if the data begins long after start, asks again from where it does: the steps of a
// long range are long, and would miss what little there is.
func (h history) cut(start, end time.Time, ask func(start time.Time) (span, []point, error)) ([]point, error) {
	for {
		g, points, err := ask(start)
		if err != nil || g.step <= h.resolution {
			return points, err
		}
		from := g.end.Add(-g.step)
		if len(points) > 0 {
			from = points[0].t.Add(-g.step)
		}
		if from.Before(start.Add(end.Sub(start) / 2)) {
			return points, nil
		}
		start = from
	}
}

// query begins a query of a row for a target: which series, and how they are joined. What is in pods is asked of the pods or of their containers.
func (h history) query(s *model.Metric, row metric.ID, t target, device string, level metric.Level) store.Query {
	q := store.Query{Row: row, Level: level, By: []string{}, Join: store.JoinOf(row)}
	add := func(name string, op store.MatchOp, value string) {
		q.Matchers = append(q.Matchers, store.Matcher{Name: name, Op: op, Value: value})
	}
	container, name := "container", t.container
	switch {
	case t.level == model.Node && !inPods(s, row, t):
		q.Level = metric.Node
	case t.level == model.SystemContainer:
		add("workload_kind", store.Regexp, model.SystemKinds)
		namespace, pod := model.SystemPod(t.container)
		if container, name = "pod", pod; namespace != "" {
			add("namespace", store.Equal, namespace)
		} else {
			add("namespace", store.NotRegexp, model.UserSpaces)
		}
	default:
		add("workload_kind", store.NotRegexp, model.SystemKinds)
	}
	for _, m := range [...]struct{ name, value string }{{"node", t.node}, {"namespace", t.namespace}, {"pod", t.pod}, {container, name}} {
		if m.value != "" {
			add(m.name, store.Equal, m.value)
		}
	}
	if t.level == model.Pod || t.level == model.PodContainer || t.level == model.SystemContainer {
		if q.By = []string{"pod"}; q.Level == metric.Container {
			q.By = []string{"pod", "container"}
		}
	}
	if q.Level == metric.Node && q.Join == store.Sum {
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

// inPods says whether a target's values of a row are those of pods: all but a node's own, a container's and a system container's.
func inPods(s *model.Metric, row metric.ID, t target) bool {
	switch t.level {
	case model.PodContainer, model.SystemContainer:
		return false
	case model.Node:
		return s.OfPods && row == s.Row
	}
	return true
}

// levels are where the history has a target's values of a row, the better one first. Of pods there are their own, or sums that were made of
// their containers; counters of such sums begin with the process that made them, so there the containers' own come first.
func levels(s *model.Metric, row metric.ID, t target) []metric.Level {
	switch {
	case !inPods(s, row, t) || !metric.Get(row).Has(metric.Pod):
		return []metric.Level{metric.Container}
	case s.Cumulative:
		return []metric.Level{metric.Container, metric.Pod}
	}
	return []metric.Level{metric.Pod, metric.Container}
}

// row returns a row's values on the grid from where the history has them: the second place is asked for what the first lacks, of counters only where that
// has nothing, since two counters are not one.
func (h history) row(ctx context.Context, s *model.Metric, row metric.ID, t target, device string, g span, rate bool, how store.Func) ([]point, error) {
	join := metric.Get(row).Join
	if how == store.Count {
		join = metric.Smallest
	}
	var out []point
	for i, level := range levels(s, row, t) {
		if i > 0 && len(out) > 0 && (s.Cumulative || len(out) > int(g.end.Sub(g.start)/g.step)) {
			break
		}
		q := h.query(s, row, t, device, level)
		h.setWindow(&q, rate, g, how)
		more, err := h.run(ctx, q, join)
		if err != nil {
			return nil, err
		}
		out = merged(out, more)
	}
	return out, nil
}

// merged adds to points those of times that have none. Both are in order of time.
func merged(points, more []point) []point {
	have := points
	for _, p := range more {
		if _, ok := slices.BinarySearchFunc(have, p.t, byTime); !ok {
			points = append(points, p)
		}
	}
	slices.SortFunc(points, func(a, b point) int { return a.t.Compare(b.t) })
	return points
}

func byTime(p point, t time.Time) int { return p.t.Compare(t) }

// points returns a metric's values on the grid, each being how over the step that ends there: Last, Avg, Max, Min
// or Count.
func (h history) points(ctx context.Context, s *model.Metric, t target, device string, g span, how store.Func) ([]point, error) {
	out, err := h.row(ctx, s, s.Row, t, device, g, s.Rate, how)
	if err != nil {
		return nil, err
	}
	if s.OfPods {
		if out, err = h.zeros(ctx, s, t, g, how, out); err != nil {
			return nil, err
		}
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

// zeros adds what is not set: 0 wherever full readings, which say when things began, are there of the target's pods.
func (h history) zeros(ctx context.Context, s *model.Metric, t target, g span, how store.Func, points []point) ([]point, error) {
	there := *s
	there.Row, there.Over = metric.StartTime, nil
	if how != store.Count {
		how = store.Last
	}
	alive, err := h.row(ctx, &there, there.Row, t, "", g, false, how)
	if err != nil {
		return nil, err
	}
	if how != store.Count {
		for i := range alive {
			alive[i].v = 0
		}
	}
	return merged(points, alive), nil
}

// setWindow sets what each point of the grid looks back at.
func (h history) setWindow(q *store.Query, rate bool, g span, how store.Func) {
	q.Start, q.End, q.Step, q.Window, q.Func = g.start, g.end, g.step, g.step, how
	if how == store.Count {
		q.Join = store.Max
	}
	if over := rateSteps * h.resolution; rate && how != store.Count {
		switch {
		case how != store.Avg && how != store.Last && g.step >= 2*over:
			q.RateOver = over
			if q.Join == store.Sum && slices.Contains(q.By, "pod") { // the store would add up a pod that moved with itself
				q.Join = store.Max
			}
		default: // of the samples that lie in the step, each with the one before it
			q.Func = store.Rate
		}
	}
}

// divide turns values into shares of the first row of s.Over that has values.
func (h history) divide(ctx context.Context, s *model.Metric, t target, g span, of []point) ([]point, error) {
	for _, id := range s.Over {
		q := h.query(s, id, t, "", metric.Node)
		h.setWindow(&q, false, g, store.Last)
		q.Window += (g.step / 2).Truncate(time.Millisecond) // its samples come a little late now and then
		whole, err := h.run(ctx, q, metric.Sum)
		if err != nil {
			return nil, err
		}
		if len(whole) == 0 {
			continue
		}
		out := of[:0]
		for _, p := range of {
			i, ok := slices.BinarySearchFunc(whole, p.t, byTime)
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
	q := h.query(&model.Metric{}, metric.CPUUsage, t, "", metric.Container)
	q.Start, q.End, q.Func, q.Join = start, end, store.Last, store.Max
	switch w {
	case listNodes:
		q.Level, q.Matchers, q.By = metric.Node, nil, []string{"node"}
	case listFree:
		q.Level, q.By = metric.Container, []string{"namespace", "pod"}
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
		name := series[i].Label(q.By[len(q.By)-1])
		if name == "" {
			continue
		}
		if w == listFree {
			name = model.SystemNameIn(series[i].Label("namespace"), name)
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// metrics returns the names of the metrics of which a target had values between start and end.
func (h history) metrics(ctx context.Context, t target, start, end time.Time) ([]string, error) {
	known := map[source]bool{}
	out := []string{}
	for i := range h.specs {
		s := &h.specs[i]
		if !s.Has(t.level) {
			continue
		}
		from := source{s.Row, s.OfPods}
		if s.OfPods { // what is not set is 0 wherever there are pods
			from.row = metric.StartTime
		}
		has, asked := known[from]
		if !asked {
			var err error
			if has, err = h.has(ctx, s, from.row, t, start, end); err != nil {
				return nil, err
			}
			known[from] = has
		}
		if has {
			out = append(out, s.Name)
		}
	}
	return out, nil
}

// source is where values come from: a row, of the thing itself or of its pods.
type source struct {
	row    metric.ID
	ofPods bool
}

// has says whether a target had values of a row.
func (h history) has(ctx context.Context, s *model.Metric, row metric.ID, t target, start, end time.Time) (bool, error) {
	of := *s
	of.Row = row
	for _, level := range levels(&of, row, t) {
		q := h.query(&of, row, t, "", level)
		if s.Labelled { // of any device
			q.Matchers = q.Matchers[:len(q.Matchers)-1]
		}
		q.Start, q.End, q.Func, q.Join = start, end, store.Last, store.Max
		series, err := h.ask(ctx, q)
		if err != nil || len(series) > 0 {
			return len(series) > 0, err
		}
	}
	return false, nil
}
