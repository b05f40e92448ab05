package api

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/serve"
	"plimsoll.dev/plimsoll/internal/store"
)

// History answers structured queries about the past, whatever store keeps it.
type History interface {
	Query(ctx context.Context, q store.Query) ([]store.Series, error)
}

// SeriesList is GET /plimsoll/v1/series?metric=&start=&end=&step=&window=&func=&q=&by=&join=&sub= with labels as further
// parameters (node=n1, namespace=demo): the store's structured query.
type SeriesList struct {
	Schema string   `json:"schema"` // plimsoll.dev/series/v1
	Series []Series `json:"series"`
}

// Series is one line: its labels, and points of Unix seconds and value, in time order. Where there is no point there is a gap.
type Series struct {
	Labels map[string]string `json:"labels"`
	Points [][2]float64      `json:"points"`
}

// selectable are the labels that a query may select by.
var selectable = append([]string{"cluster"}, identity.Names(metric.Container)...)

const maxSeriesPoints = 1_000_000 // in one answer

func (a *API) getSeries(w http.ResponseWriter, r *http.Request) error {
	if a.opts.History == nil {
		return serve.NotFound("there is no history: this process keeps none")
	}
	q, err := seriesQuery(r)
	if err != nil {
		return err
	}
	found, err := a.opts.History.Query(r.Context(), q)
	if err != nil {
		return serve.ReadError("the history", err)
	}
	out := SeriesList{Schema: "plimsoll.dev/series/v1", Series: make([]Series, 0, len(found))}
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

// seriesQuery reads the structured query off a request.
func seriesQuery(r *http.Request) (store.Query, error) {
	p := readParams(r, append([]string{"metric", "start", "end", "step", "window", "func", "q", "by", "join", "sub", "failure_type", "scope", "resource", "unit"}, selectable...)...)
	q := store.Query{Limit: maxSeriesPoints}
	name := p.text("metric")
	row, level, err := metric.Lookup(name, p.text)
	if err != nil && p.err == nil {
		p.fail("metric %q is not in the catalogue (docs/metrics.md lists them)", name)
	}
	if p.err != nil {
		return q, p.err
	}
	q.Row, q.Level = row.ID, level
	q.Start, q.End = p.instant("start"), p.instant("end")
	q.Step, q.Window = p.seconds("step"), p.seconds("window")
	first := string(store.Last)
	if row.Kind == metric.Counter {
		first = string(store.Rate)
	}
	all := []string{string(store.Last), string(store.Avg), string(store.Max), string(store.Min), string(store.Sum), string(store.Count), string(store.Rate), string(store.Quantile)}
	q.Func = store.Func(p.oneOf("func", slices.Concat([]string{first}, all)...))
	q.Join = store.Func(p.oneOfOr("join", string(store.JoinOf(row.ID)), string(store.Sum), string(store.Avg), string(store.Max), string(store.Min), string(store.Count)))
	q.Q = p.share("q")
	if p.values.Has("by") {
		q.By = []string{}
		if by := p.text("by"); by != "" {
			q.By = strings.Split(by, ",")
		}
	}
	q.Matchers = append(matchers(p.values), part(p, row, level)...)
	return q, p.err
}

// part is the condition on the label that a row has of its own: an interface, a device, the metric that is scaled by.
// Of a machine's network only the interfaces that lead out of it count, as in the live picture, unless one is named. A
// store that keeps no such label has "" there, which is no inward interface: it answers with its sum over all of them.
func part(p *params, row *metric.Row, level metric.Level) []store.Matcher {
	switch named := p.values.Has("sub"); {
	case named && row.Sub == "":
		p.fail("sub %q: metric %q has no label of its own", p.text("sub"), p.text("metric"))
	case named:
		return []store.Matcher{{Name: row.Sub, Op: store.Equal, Value: p.text("sub")}}
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

// instant returns a time in RFC 3339 or in Unix seconds; it must be there.
func (p *params) instant(name string) time.Time {
	s := p.values.Get(name)
	if v, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(v) < 1e11 {
		return time.UnixMilli(int64(math.Round(v * 1000))).UTC()
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		p.fail("%s %q is not a time: give Unix seconds or RFC 3339, such as 2026-01-02T15:04:05Z", name, s)
	}
	return t
}

// seconds returns a duration given in seconds or as Go writes it; zero where the parameter is absent.
func (p *params) seconds(name string) time.Duration {
	s := p.values.Get(name)
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if v, ferr := strconv.ParseFloat(s, 64); ferr == nil && math.Abs(v) < 1e9 {
		d, err = time.Duration(v*float64(time.Second)), nil
	}
	if err != nil || d <= 0 {
		p.fail("%s %q is not a positive duration: give seconds, or such as 1m", name, s)
	}
	return d
}

// share returns a number from 0 to 1, zero where the parameter is absent.
func (p *params) share(name string) float64 {
	s := p.values.Get(name)
	if s == "" {
		return 0
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= 0 && v <= 1) {
		p.fail("%s %q is not a number from 0 to 1", name, s)
		return 0
	}
	return v
}
