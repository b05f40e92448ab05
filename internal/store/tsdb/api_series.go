package tsdb

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/scope"
)

// maxListed is the most series that one answer lists.
const maxListed = 200_000

// querier runs f on a querier of a time range, of what the caller sees.
func (db *DB) querier(r *http.Request, s selection, f func(context.Context, storage.Querier) error) error {
	return db.use(r.Context(), db.opts.queryTimeout, func(ctx context.Context, gen *generation) error {
		q, err := within(gen.tsdb, scope.From(r.Context())).Querier(s.start, s.end)
		if err != nil {
			return err
		}
		return errors.Join(f(ctx, q), q.Close())
	})
}

// union joins lists of strings that f gives for each set of matchers, or for none, sorted and cut to the limit.
func (s *selection) union(f func(ms ...*labels.Matcher) ([]string, error)) (*answer, error) {
	sets := s.sets
	if len(sets) == 0 {
		sets = [][]*labels.Matcher{nil}
	}
	found := map[string]struct{}{}
	for _, set := range sets {
		list, err := f(set...)
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			found[v] = struct{}{}
		}
	}
	list := slices.Sorted(maps.Keys(found))
	a := &answer{}
	if s.limit > 0 && len(list) > s.limit {
		list, a.warnings = list[:s.limit], []string{truncated}
	}
	a.data = pieces{appendStrings(nil, list)} // copied: the strings do not outlive the querier
	return a, nil
}

// apiLabels lists label names.
func (db *DB) apiLabels(r *http.Request) (*answer, error) {
	s, err := db.selectionParams(r)
	if err != nil {
		return nil, err
	}
	var a *answer
	err = db.querier(r, s, func(ctx context.Context, q storage.Querier) error {
		a, err = s.union(func(ms ...*labels.Matcher) ([]string, error) {
			list, _, err := q.LabelNames(ctx, &storage.LabelHints{Limit: hint(s.limit)}, ms...)
			return list, err
		})
		return err
	})
	return a, err
}

// apiLabelValues lists the values of a label.
func (db *DB) apiLabelValues(r *http.Request) (*answer, error) {
	name, err := labelParam(r)
	if err != nil {
		return nil, err
	}
	s, err := db.selectionParams(r)
	if err != nil {
		return nil, err
	}
	var a *answer
	err = db.querier(r, s, func(ctx context.Context, q storage.Querier) error {
		a, err = s.union(func(ms ...*labels.Matcher) ([]string, error) {
			list, _, err := q.LabelValues(ctx, name, &storage.LabelHints{Limit: hint(s.limit)}, ms...)
			return list, err
		})
		return err
	})
	return a, err
}

// apiSeries lists series.
func (db *DB) apiSeries(r *http.Request) (*answer, error) {
	if len(r.Form["match[]"]) == 0 {
		return nil, badData(errors.New("no match[] parameter provided"))
	}
	s, err := db.selectionParams(r)
	if err != nil {
		return nil, err
	}
	if s.limit == 0 || s.limit > maxListed {
		s.limit = maxListed
	}
	a, b := &answer{}, []byte{'['}
	err = db.querier(r, s, func(ctx context.Context, q storage.Querier) error {
		hints := &storage.SelectHints{Start: s.start, End: s.end, Func: "series", Limit: hint(s.limit)}
		var sets []storage.SeriesSet
		for _, ms := range s.sets {
			sets = append(sets, q.Select(ctx, true, hints, ms...))
		}
		set := storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
		n := 0
		for ; set.Next(); n++ {
			if n == s.limit {
				a.warnings = append(a.warnings, truncated)
				break
			}
			if n%1000 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			b = a.data.cut(appendLabels(comma(b, n), set.At().Labels()))
		}
		return set.Err()
	})
	a.data = append(a.data, append(b, ']'))
	return a, err
}

// apiMetadata describes the metrics of the catalogue.
func apiMetadata(r *http.Request) (*answer, error) {
	limit, per, err := metadataLimits(r)
	if err != nil {
		return nil, err
	}
	want := r.FormValue("metric")
	found := map[string][]string{} // the entries in JSON
	for i := range metric.Rows() {
		row := &metric.Rows()[i]
		for _, l := range row.Levels {
			name := row.At(l)
			if want != "" && want != name || per > 0 && len(found[name]) >= per {
				continue
			}
			if entry := metadataEntry(row); !slices.Contains(found[name], entry) {
				found[name] = append(found[name], entry)
			}
		}
	}
	data := []byte{'{'}
	for i, name := range slices.Sorted(maps.Keys(found)) {
		if limit >= 0 && i >= limit {
			break
		}
		data = append(appendString(comma(data, i), name), ":["...)
		for j, entry := range found[name] {
			data = append(comma(data, j), entry...)
		}
		data = append(data, ']')
	}
	return &answer{data: pieces{append(data, '}')}}, nil
}

func metadataEntry(row *metric.Row) string {
	unit := string(row.Unit)
	if row.Unit == metric.Count {
		unit = ""
	}
	b := appendString([]byte(`{"type":`), row.Kind.String())
	b = appendString(append(b, `,"unit":`...), unit)
	b = appendString(append(b, `,"help":`...), row.Help)
	return string(append(b, '}'))
}

// metadataLimits reads the most metrics, and the most entries of one; negative is no limit.
func metadataLimits(r *http.Request) (limit, per int, err error) {
	limit, per = -1, -1
	for _, p := range []struct {
		name string
		to   *int
	}{{"limit", &limit}, {"limit_per_metric", &per}} {
		s := r.FormValue(p.name)
		if s == "" {
			continue
		}
		if *p.to, err = strconv.Atoi(s); err != nil {
			return 0, 0, badData(errors.New(p.name + " must be a number"))
		}
	}
	return limit, per, nil
}
