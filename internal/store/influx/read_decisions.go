package influx

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/influx/influxql"
)

// decisionPieces is how many pieces of time a search without a start goes back where a query may cover a limited time.
const decisionPieces = 120

// Decisions returns decisions, the newest first.
func (r *Reader) Decisions(ctx context.Context, q store.DecisionQuery) ([]cluster.Decision, error) {
	limit, err := q.Check()
	if err != nil {
		return nil, fmt.Errorf("cannot read decisions: %w", err)
	}
	var out []cluster.Decision
	err = r.use(ctx, "decisions", func(ctx context.Context, p Place) error {
		return r.decisionRanges(p, q, func(lo, hi time.Time) (more bool, err error) {
			got, err := r.decisionsBetween(ctx, p, q, lo, hi, limit-len(out))
			out = append(out, got...)
			return len(out) < limit, err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read decisions from InfluxDB: %w", err)
	}
	return out, nil
}

// decisionRanges gives the ranges to search, the newest first, until f wants no more.
func (r *Reader) decisionRanges(p Place, q store.DecisionQuery, f func(lo, hi time.Time) (bool, error)) error {
	if r.piece(p) == 0 {
		_, err := f(q.Start, q.End)
		return err
	}
	hi := q.End
	if hi.IsZero() {
		hi = time.Now().Add(time.Minute)
	}
	for range decisionPieces {
		lo := hi.Add(-r.piece(p))
		if lo.Before(q.Start) {
			lo = q.Start
		}
		if more, err := f(lo, hi); !more || err != nil {
			return err
		}
		if hi = lo.Add(-time.Millisecond); hi.Before(q.Start) {
			return nil
		}
	}
	return nil
}

// decisionsBetween reads what lies between two times, both included; a zero time is no bound.
func (r *Reader) decisionsBetween(ctx context.Context, p Place, q store.DecisionQuery, lo, hi time.Time, limit int) ([]cluster.Decision, error) {
	var out []cluster.Decision
	err := ask(ctx, r, p, decisionText(r.opts.Cluster, q, lo, hi, limit), func(_ int, s *rows[[]cells[json.RawMessage]]) error {
		for _, row := range s.Values {
			d, err := readDecision(s, row)
			if err != nil {
				return err
			}
			out = append(out, d)
		}
		return nil
	})
	slices.SortStableFunc(out, func(a, b cluster.Decision) int { return b.Time.Compare(a.Time) })
	return out, err
}

func decisionText(name string, q store.DecisionQuery, lo, hi time.Time, limit int) string {
	columns := []string{TagNamespace, TagWorkloadKind, TagWorkload, FieldAPIVersion, FieldAction, FieldFrom, FieldTo, FieldReason, FieldMessage, FieldDetail, FieldTime}
	for i, c := range columns {
		columns[i] = influxql.Ident(c)
	}
	var where []string
	for _, x := range [...]struct{ tag, v string }{{TagCluster, name}, {TagNamespace, q.Namespace}, {TagWorkloadKind, q.Kind}, {TagWorkload, q.Name}} {
		if x.v != "" {
			where = append(where, influxql.Equals(x.tag, TagValue(x.v)))
		}
	}
	if q.APIVersion != "" {
		group := "[^/]+" // the core's
		if g := q.Group(); g != "" {
			group = regexp.QuoteMeta(g) + "/.*"
		}
		where = append(where, influxql.Matches(store.Matcher{Name: FieldAPIVersion, Op: store.Regexp, Value: group}))
	}
	if q.Within != nil {
		if m, all := store.NamespacesOf(*q.Within); !all {
			where = append(where, influxql.Matches(m))
		}
	}
	var actions []string
	for _, a := range q.Actions {
		actions = append(actions, influxql.Ident(FieldAction)+" = "+influxql.String(TagValue(a)))
	}
	if len(actions) > 0 {
		where = append(where, "("+strings.Join(actions, " OR ")+")")
	}
	if !lo.IsZero() {
		where = append(where, "time >= "+strconv.FormatInt(lo.UnixMilli(), 10)+"000000")
	}
	if !hi.IsZero() {
		where = append(where, "time <= "+strconv.FormatInt(hi.UnixMilli(), 10)+"000000")
	}
	text := "SELECT " + strings.Join(columns, ", ") + " FROM " + influxql.Ident(Decision)
	if len(where) > 0 {
		text += " WHERE " + strings.Join(where, " AND ")
	}
	return text + " ORDER BY time DESC LIMIT " + strconv.Itoa(limit)
}

// readDecision reads a row.
func readDecision(s *rows[[]cells[json.RawMessage]], row cells[json.RawMessage]) (cluster.Decision, error) {
	raw := func(name string) string {
		var v string
		if json.Unmarshal(row.at(s.column(name)), &v) != nil {
			return ""
		}
		return v
	}
	text := func(name string) string { return LabelValue(raw(name)) }
	count := func(name string) int32 {
		v := parsed(row.at(s.column(name)))
		if math.IsNaN(v) {
			return 0
		}
		return int32(v)
	}
	ms, err := strconv.ParseInt(string(row.at(s.column("time"))), 10, 64)
	if err != nil {
		return cluster.Decision{}, fmt.Errorf("cannot read the time of a decision: %w", err)
	}
	d := cluster.Decision{Time: time.UnixMilli(ms), Target: cluster.Target{APIVersion: text(FieldAPIVersion), Namespace: text(TagNamespace), Kind: text(TagWorkloadKind), Name: text(TagWorkload)},
		Action: text(FieldAction), From: count(FieldFrom), To: count(FieldTo), Reason: text(FieldReason), Message: text(FieldMessage)}
	if ns, err := strconv.ParseInt(raw(FieldTime), 10, 64); err == nil {
		d.Time = time.Unix(0, ns)
	}
	d.Detail, err = DecodeDetail(raw(FieldDetail))
	return d, err
}
