package tsdb

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql"

	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/store"
)

// apiQuery answers an instant query.
func (db *DB) apiQuery(r *http.Request) (*answer, error) {
	at, err := timeParam(r, "time", db.opts.Now())
	if err != nil {
		return nil, err
	}
	return db.apiEvaluate(r, evaluation{end: at, kind: "instant"})
}

// apiQueryRange answers a range query.
func (db *DB) apiQueryRange(r *http.Request) (*answer, error) {
	start, err := parseTime(r.FormValue("start"))
	if err != nil {
		return nil, badParam("start", err)
	}
	end, err := parseTime(r.FormValue("end"))
	if err != nil {
		return nil, badParam("end", err)
	}
	if end.Before(start) {
		return nil, badParam("end", errors.New("end timestamp must not be before start time"))
	}
	step, err := parseDuration(r.FormValue("step"))
	if err != nil {
		return nil, badParam("step", err)
	}
	if step <= 0 {
		return nil, badParam("step", errors.New("zero or negative query resolution step widths are not accepted. Try a positive integer"))
	}
	if step < time.Millisecond {
		return nil, badParam("step", errors.New("query resolution step widths under a millisecond are not accepted"))
	}
	if end.Sub(start)/step > store.MaxSteps {
		return nil, badData(errors.New("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"))
	}
	return db.apiEvaluate(r, evaluation{start: start, end: end, step: step, kind: "range"})
}

// apiEvaluate reads what both queries have in common, and answers.
func (db *DB) apiEvaluate(r *http.Request, e evaluation) (*answer, error) {
	limit, err := limitParam(r)
	if err != nil {
		return nil, err
	}
	if e.timeout, err = durationParam(r, "timeout"); err != nil {
		return nil, err
	}
	if e.timeout < 0 || r.FormValue("timeout") != "" && e.timeout == 0 {
		e.timeout = time.Nanosecond
	}
	if e.lookback, err = durationParam(r, "lookback_delta"); err != nil {
		return nil, err
	}
	e.expr, e.within = r.FormValue("query"), scope.From(r.Context())
	a := &answer{}
	err = db.evaluate(r.Context(), e, func(res *promql.Result) error {
		cut := truncate(res, limit)
		a.warnings, a.infos = res.Warnings.AsStrings(e.expr, 10, 10)
		slices.Sort(a.warnings)
		slices.Sort(a.infos)
		if cut {
			a.warnings = append(a.warnings, truncated)
		}
		a.data, err = resultOf(res.Value)
		return err
	})
	if wrong := (parseError{}); errors.As(err, &wrong) {
		return nil, badParam("query", wrong.error)
	}
	return a, err
}

// truncate cuts an answer to so many series, and says whether it had to.
func truncate(res *promql.Result, limit int) bool {
	if limit == 0 {
		return false
	}
	switch v := res.Value.(type) {
	case promql.Matrix:
		res.Value = v[:min(len(v), limit)]
		return len(v) > limit
	case promql.Vector:
		res.Value = v[:min(len(v), limit)]
		return len(v) > limit
	}
	return false
}

// apiFormat writes a query prettily.
func (db *DB) apiFormat(r *http.Request) (*answer, error) {
	expr, err := db.parse(r.FormValue("query"), maxPretty)
	if err != nil {
		return nil, badParam("query", err)
	}
	return &answer{data: pieces{appendString(nil, expr.Pretty(0))}}, nil
}
