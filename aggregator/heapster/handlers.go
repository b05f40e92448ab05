package heapster

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/model"
	"plimsoll.dev/plimsoll/internal/serve"
	"plimsoll.dev/plimsoll/internal/store"
)

const (
	modelMemory = 15 * time.Minute // how far back the model reaches, as Heapster's did
	listMemory  = 24 * time.Hour   // how far back the history's lists look without a start
	// historicalAtOnce is how many requests of the past are worked on at once: a part of those that the history answers.
	historicalAtOnce = 4
)

const (
	modelBase   = "/api/v1/model/"
	historyBase = "/api/v1/historical/"
)

// Routes returns all routes of the API, for the server to mount. A handler that returns an error has not written anything. What is below the two subtrees is told apart by parse, so that names may
// hold slashes and every path may end with one.
func (a *API) Routes() []serve.Route {
	return []serve.Route{
		{Method: http.MethodGet, Pattern: modelBase + "{path...}", Handle: a.getModel, Rows: a.rows},
		{Method: http.MethodGet, Pattern: historyBase + "{path...}", Handle: a.getHistorical, InFlight: historicalAtOnce},
		{Method: http.MethodGet, Pattern: "/api/v1/metric-export", Handle: a.getExport, Rows: a.rows},
		{Method: http.MethodGet, Pattern: "/api/v1/metric-export/{$}", Handle: a.getExport, Rows: a.rows},
		{Method: http.MethodGet, Pattern: "/api/v1/metric-export-schema", Handle: a.getSchema},
		{Method: http.MethodGet, Pattern: "/api/v1/metric-export-schema/{$}", Handle: a.getSchema},
	}
}

// rows is as much as an answer from the live picture may have, by the last one.
func (a *API) rows(*http.Request) int { return int(a.size.Load()) }

// picture is that of now.
func (a *API) picture(now time.Time) picture {
	s := a.opts.Pictures.Snapshot(now)
	if s != nil {
		a.size.Store(int64(len(s.Containers)))
	}
	return newPicture(s)
}

// reader is what both APIs are answered from: the live picture with the last minutes, or the history.
type reader interface {
	names(ctx context.Context, w what, t target, p params) ([]string, error)
	series(ctx context.Context, s *model.Metric, t target, p params) ([]point, error)
}

func (a *API) getModel(w http.ResponseWriter, r *http.Request) error {
	now := time.Now()
	pic := a.picture(now)
	return a.answer(w, r, modelBase, now, pic, liveReader{a, pic, now})
}

func (a *API) getHistorical(w http.ResponseWriter, r *http.Request) error {
	if a.opts.History == nil {
		return serve.NotFound("there is no history: Plimsoll runs without a store")
	}
	now := time.Now()
	pic := a.picture(now)
	return a.answer(w, r, historyBase, now, pic, a.history())
}

// answer understands the request and writes the answer of a reader.
func (a *API) answer(w http.ResponseWriter, r *http.Request, base string, now time.Time, pic picture, from reader) error {
	ctx := r.Context()
	q, err := parse(strings.TrimPrefix(r.URL.EscapedPath(), base), base == historyBase)
	if err != nil {
		return err
	}
	p, err := readParams(r, now)
	if err != nil {
		return err
	}
	s := a.specs.Find(q.metric)
	switch q.what {
	case oneSeries:
		return each(w, q, pic, func(t target) (Series, error) {
			if !pic.fits(s, t, p.labels) {
				return seriesOf(nil), nil
			}
			points, err := from.series(ctx, s, t, p)
			return seriesOf(points), err
		})
	case aggregated:
		return a.history().answerAggregates(ctx, w, q, s, p, pic)
	}
	names, err := from.names(ctx, q.what, pic.named(q.target), p)
	if err != nil {
		return err
	}
	switch {
	case q.what == listNodes:
		names = slices.DeleteFunc(names, func(name string) bool { return pic.mentioned[name] })
	case q.what == listMetrics && q.target.level == model.Node && pic.mentioned[q.target.node]:
		names = []string{}
	}
	return serve.WriteJSON(w, names)
}

// each answers about every target of a request, with a list where it may name several.
func each[T any](w http.ResponseWriter, q ask, pic picture, of func(target) (T, error)) error {
	list := List[T]{make([]T, 0, len(q.targets))}
	for _, t := range q.targets {
		one, err := of(pic.named(t))
		if err != nil {
			return err
		}
		list.Items = append(list.Items, one)
	}
	if q.many {
		return serve.WriteJSON(w, list)
	}
	return serve.WriteJSON(w, list.Items[0])
}

// fits says whether a metric can be asked of a target with these labels: all of them, and no others. A pod that still has an id here is not known, and of a machine that is only
// named nothing is.
func (p picture) fits(s *model.Metric, t target, labels map[string]string) bool {
	if s == nil || !s.Has(t.level) || t.podID != "" || t.level == model.Node && p.mentioned[t.node] {
		return false
	}
	if s.Labelled {
		return len(labels) == 1 && labels["resource_id"] != ""
	}
	return len(labels) == 0
}

// named gives a pod that was asked for by its id its names, where it is known.
func (p picture) named(t target) target {
	if t.podID == "" {
		return t
	}
	whole := t
	whole.level = model.Pod
	if items := p.members(whole); len(items) > 0 {
		t.namespace, t.pod, t.podID = items[0].Entity.Namespace, items[0].Entity.Pod, ""
	}
	return t
}

// liveReader answers from the live picture; older points come from the history, if there is one.
type liveReader struct {
	api *API
	pic picture
	now time.Time
}

func (l liveReader) names(_ context.Context, w what, t target, _ params) ([]string, error) {
	switch w {
	case listKeys:
		return l.pic.keys(), nil
	case listMetrics:
		return l.pic.metrics(l.api.specs, t), nil
	}
	return l.pic.list(w, t), nil
}

func (l liveReader) series(ctx context.Context, s *model.Metric, t target, p params) ([]point, error) {
	start := p.start
	if oldest := l.now.Add(-modelMemory); start.Before(oldest) {
		start = oldest
	}
	device := p.labels["resource_id"]
	newest, ok := l.pic.values(s, l.pic.scope(t))[device]
	var out []point
	if h := l.api.history(); h.from != nil && !p.end.Before(start) {
		if g, some := h.grid(start, p.end); some {
			old, err := h.points(ctx, s, t, device, g, store.Last)
			if err != nil {
				// The newest value is worth more than an error, and the store's own state is told elsewhere.
				l.api.failed.Inc()
				l.api.log.Debug("the history does not answer", "err", err)
			}
			for _, x := range old {
				if !ok || x.t.Before(newest.t) {
					out = append(out, x)
				}
			}
		}
	}
	if ok && !newest.t.Before(start) && !newest.t.After(p.end) {
		out = append(out, newest)
	}
	return out, nil
}

func (a *API) history() history { return history{a.opts.History, a.opts.Resolution, a.specs} }

// names are those that were there between start and end, sorted.
func (h history) names(ctx context.Context, w what, t target, p params) ([]string, error) {
	start := p.start
	if start.IsZero() {
		start = p.end.Add(-listMemory)
	}
	switch {
	case w != listMetrics:
		return h.list(ctx, w, t, start, p.end)
	case t.podID != "": // of a pod that is not known
		return []string{}, nil
	}
	return h.metrics(ctx, t, start, p.end)
}

func (h history) series(ctx context.Context, s *model.Metric, t target, p params) ([]point, error) {
	if err := p.needStart(); err != nil {
		return nil, err
	}
	return h.cut(p.start, p.end, func(start time.Time) (span, []point, error) {
		g, some := h.grid(start, p.end)
		if !some {
			return g, nil, nil
		}
		how := store.Last
		if g.step > h.resolution && !s.Cumulative && !s.Since { // an average of a counter says nothing
			how = store.Avg
		}
		points, err := h.points(ctx, s, t, p.labels["resource_id"], g, how)
		return g, points, err
	})
}

func (p params) needStart() error {
	switch {
	case p.start.IsZero():
		return serve.BadRequest("start is missing: the history needs to know where to begin, such as start=2026-01-02T15:04:05Z")
	case p.end.Before(p.start):
		return serve.BadRequest("end %q is before start %q", p.end.Format(time.RFC3339), p.start.Format(time.RFC3339))
	}
	return nil
}
