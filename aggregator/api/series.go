package api

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api/params"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/serve"
	"plimsoll.dev/plimsoll/internal/store"
)

// History answers structured queries about the past, whatever store keeps it.
type History interface {
	Query(ctx context.Context, q store.Query) ([]store.Series, error)
}

// SeriesList is GET /plimsoll/v1/series?metric=&start=&end=&step=&points=&window=&func=&q=&by=&join=&sub= with labels as further
// parameters (node=n1, namespace=demo): the store's structured query.
type SeriesList struct {
	Schema string   `json:"schema"`          // plimsoll.dev/series/v1
	Start  float64  `json:"start,omitempty"` // Unix seconds of the first point that there may be, and the seconds between two, where the step was chosen
	Step   float64  `json:"step,omitempty"`
	Series []Series `json:"series"`
}

// Series is one line: its labels, and points of Unix seconds and value, in time order. Where there is no point there is a gap.
type Series struct {
	Labels map[string]string `json:"labels"`
	Points [][2]float64      `json:"points"`
}

// selectable are the labels that a query may select by.
var selectable = slices.Concat([]string{"cluster"}, identity.Names(metric.Container), identity.Names(metric.Pool))

const maxSeriesPoints = 1_000_000 // in one answer

func (a *API) getSeries(w http.ResponseWriter, r *http.Request) error {
	if a.opts.History == nil {
		return serve.NotFound("there is no history: this process keeps none")
	}
	q, points, err := seriesQuery(r)
	if err != nil {
		return err
	}
	sees := scope.From(r.Context())
	q, ok := q.Within(sees)
	if !ok {
		return needsNodes(sees)
	}
	if q = inTime(q, time.Now()); points > 0 {
		if q, err = a.withStep(r.Context(), q, points); err != nil {
			return serve.ReadError("the history", err)
		}
	}
	found, err := a.opts.History.Query(r.Context(), q)
	if err != nil {
		return serve.ReadError("the history", err)
	}
	out := SeriesList{Schema: "plimsoll.dev/series/v1", Series: make([]Series, 0, len(found))}
	if points > 0 {
		out.Start, out.Step = float64(q.Start.Unix()), q.Step.Seconds()
	}
	for i := range found {
		s := Series{Labels: make(map[string]string, len(found[i].Labels)), Points: make([][2]float64, 0, len(found[i].Samples))}
		for _, l := range found[i].Labels {
			s.Labels[l.Name] = l.Value
		}
		for _, p := range found[i].Samples {
			if !math.IsNaN(p.V) && !math.IsInf(p.V, 0) {
				s.Points = append(s.Points, [2]float64{float64(p.T) / 1000, p.V})
			}
		}
		out.Series = append(out.Series, s)
	}
	return serve.WriteJSON(w, out)
}

// maxPoints is the most points of one series for which a step is chosen.
const maxPoints = 10_000

// seriesQuery reads the structured query off a request. points is how many a series may have where the step is to be chosen, else 0.
func seriesQuery(r *http.Request) (q store.Query, points int, err error) {
	p := params.Read(r, append([]string{"metric", "start", "end", "step", "points", "window", "func", "q", "by", "join", "sub"}, slices.Concat(selectable, telling)...)...)
	q = store.Query{Limit: maxSeriesPoints}
	name := p.Text("metric")
	row, level, err := metric.Lookup(name, p.Text)
	if err != nil {
		p.Fail("%s", unknown(name, p.Text))
	}
	if p.Err != nil {
		return q, 0, p.Err
	}
	q.Row, q.Level = row.ID, level
	q.Start, q.End = p.Instant("start"), p.Instant("end")
	q.Step, q.Window = p.Seconds("step"), p.Seconds("window")
	first := string(store.Last)
	if row.Kind == metric.Counter {
		first = string(store.Rate)
	}
	all := []string{string(store.Last), string(store.Avg), string(store.Max), string(store.Min), string(store.Sum), string(store.Count), string(store.Rate), string(store.Increase), string(store.Quantile)}
	q.Func = store.Func(p.OneOf("func", slices.Concat([]string{first}, all)...))
	q.Join = store.Func(p.OneOfOr("join", string(store.JoinOf(row.ID)), string(store.Sum), string(store.Avg), string(store.Max), string(store.Min), string(store.Count)))
	if q.Q = p.Share("q"); q.Func == store.Quantile && p.Text("q") == "" {
		p.Fail("func %q needs q, from 0 to 1: the 95th percentile is q=0.95", q.Func)
	}
	if p.Values.Has("by") {
		q.By = []string{}
		if p.Text("by") != "" {
			q.By = p.SomeOf("by", labelsOf(row, level)...)
		}
	}
	q.Matchers = append(matchers(p.Values), part(p, row, level)...)
	if p.Values.Has("points") {
		if points = p.Whole("points", 0, maxPoints); q.Step > 0 {
			p.Fail("points choose the step, which is given too: %q", p.Text("step"))
		}
	}
	return q, points, p.Err
}

// telling are the labels that tell metrics of one name apart.
var telling = func() (out []string) {
	for i := range metric.Rows() {
		for _, l := range metric.Rows()[i].Fixed {
			if !slices.Contains(out, l.Name) {
				out = append(out, l.Name)
			}
		}
	}
	return out
}()

// unknown says what is wrong with a metric that is not found: its name, or the labels that tell it from others of that name.
func unknown(name string, label func(string) string) string {
	var need, say []string
	values := map[string][]string{}
	for _, l := range metric.Parts(name) {
		if values[l.Name] == nil {
			need = append(need, l.Name)
		}
		values[l.Name] = append(values[l.Name], l.Value)
	}
	for _, n := range need {
		if !slices.Contains(values[n], label(n)) {
			say = append(say, n+" ("+strings.Join(values[n], " or ")+")")
		}
	}
	switch {
	case name != "" && len(need) == 0 && fieldOf(name) != "":
		return fmt.Sprintf("metric %q is not in the catalogue: it is a field, of %s", name, fieldOf(name))
	case len(need) == 0:
		return fmt.Sprintf("metric %q is not in the catalogue (docs/metrics.md lists them)", name)
	case len(say) == 0:
		return fmt.Sprintf("metric %q has nothing with this %s (docs/metrics.md lists what there is)", name, strings.Join(need, " and "))
	}
	return fmt.Sprintf("metric %q is several: give %s", name, strings.Join(say, " and "))
}

// fieldOf are the metrics of whose field or rate this is the name, as InfluxDB and the custom metrics API have it; "" where there is none.
func fieldOf(name string) string {
	var out []string
	for _, r := range metric.Rows() {
		if name != r.Field && (r.Rate == "" || name != r.Rate) {
			continue
		}
		for _, l := range r.Levels {
			if at := r.At(l); !slices.Contains(out, at) {
				out = append(out, at)
			}
		}
	}
	return strings.Join(out, ", ")
}

// labelsOf are the labels that a row's series of a level can have.
func labelsOf(row *metric.Row, level metric.Level) []string {
	out := append([]string{"cluster"}, identity.Names(level)...)
	if row.Sub != "" {
		out = append(out, row.Sub)
	}
	for _, f := range row.Fixed {
		if level == row.Levels[0] {
			out = append(out, f.Name)
		}
	}
	return out
}

// part is the condition on the label that a row has of its own: an interface, a device, the metric that is scaled by.
// Of a machine's network only the interfaces that lead out of it count, as in the live picture, unless one is named. A
// store that keeps no such label has "" there, which is no inward interface: it answers with its sum over all of them.
func part(p *params.Params, row *metric.Row, level metric.Level) []store.Matcher {
	switch named := p.Values.Has("sub"); {
	case named && row.Sub == "":
		p.Fail("sub %q: metric %q has no label of its own", p.Text("sub"), p.Text("metric"))
	case named:
		return []store.Matcher{{Name: row.Sub, Op: store.Equal, Value: p.Text("sub")}}
	case row.Sub == "interface" && level == metric.Node:
		return []store.Matcher{{Name: row.Sub, Op: store.NotRegexp, Value: inwardPattern}}
	}
	return nil
}

// matchers are the labels that a query selects by.
func matchers(values url.Values) []store.Matcher {
	var out []store.Matcher
	for _, name := range selectable {
		if values.Has(name) {
			out = append(out, store.Matcher{Name: name, Op: store.Equal, Value: values.Get(name)})
		}
	}
	return out
}
