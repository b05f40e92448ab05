package influx

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"plimsoll.dev/plimsoll/internal/metric"
)

// setup3 plans for InfluxDB 3: a database, and its tables with all their tags, since a table's tags are frozen at the first
// write. Tested against a small server that speaks the documented dialect; the real one cannot be had here.
type setup3 struct {
	*Setup
	p *Plan
}

func (s *setup3) result() Result { return Result{} }

func (s *setup3) plan(ctx context.Context) error {
	db := s.p.Place.Database
	var dbs []map[string]any
	if err := s.conn.do(ctx, http.MethodGet, "api/v3/configure/database", url.Values{"format": {"json"}}, nil, &dbs); err != nil {
		return fmt.Errorf("cannot list the databases: %w", err)
	}
	exists := false
	for _, d := range dbs {
		exists = exists || d["iox::database"] == db || d["name"] == db
	}
	body := map[string]any{"db": db}
	if s.opts.Retention > 0 {
		body["retention_period"] = fmt.Sprintf("%dh", int64(s.opts.Retention.Hours()))
	}
	what := fmt.Sprintf("database %q that keeps data %s", db, keeps(s.opts.Retention))
	if exists {
		what = fmt.Sprintf("database %q, whose retention is left as it is", db)
	}
	s.step(what, exists, "POST /api/v3/configure/database", "api/v3/configure/database", body)
	tables := map[string]bool{}
	if exists {
		ts, err := s.conn.influxQL3(ctx, db, "SHOW MEASUREMENTS")
		if err != nil {
			return fmt.Errorf("cannot list the tables of %q: %w", db, err)
		}
		for _, t := range ts {
			for _, row := range t.Values {
				tables[t.col(row, "name")] = true
			}
		}
	}
	for _, m := range append(Measurements(), Decision) {
		s.step(fmt.Sprintf("table %q with its tags", m), tables[m], "POST /api/v3/configure/table", "api/v3/configure/table",
			map[string]any{"db": db, "table": m, "tags": Tags(m), "fields": fields3(m)})
	}
	s.p.Notes = append(s.p.Notes,
		"InfluxDB 3 has no continuous queries and no tasks. Long ranges are read from raw data in pieces. For roll-ups install its processing engine's "+
			"downsampling plugin (\"influxdb3 install package\", \"influxdb3 create trigger --trigger-spec every:30m --path gh:influxdata/downsampler/downsampler.py\").",
		"The retention of an existing database of InfluxDB 3 is not changed: use \"influxdb3 update database --retention-period\".")
	return nil
}

// fields3 are a measurement's fields: SHOW MEASUREMENTS shows a table only when it has one.
func fields3(m string) []map[string]string {
	var out []map[string]string
	if m == Decision {
		for _, f := range []string{FieldAction, FieldReason, FieldMessage, FieldDetail, FieldTime} {
			out = append(out, map[string]string{"name": f, "type": "utf8"})
		}
		return append(out, map[string]string{"name": FieldFrom, "type": "float64"}, map[string]string{"name": FieldTo, "type": "float64"})
	}
	for _, l := range metric.Levels() {
		if l.String() != m {
			continue
		}
		values, counters := Fields(l)
		for _, f := range append(values, counters...) {
			out = append(out, map[string]string{"name": f, "type": "float64"})
		}
	}
	return out
}

func (s *setup3) step(what string, done bool, request, path string, body any) {
	s.p.Steps = append(s.p.Steps, &Step{What: what, Done: done, Request: request, apply: func(ctx context.Context) error {
		err := s.conn.do(ctx, http.MethodPost, path, nil, body, nil)
		return err
	}})
}

// influxQL3 runs a statement, which needs the database beside it on 3.
func (c *Conn) influxQL3(ctx context.Context, db, statement string) ([]table, error) {
	var a struct {
		Results []struct {
			Series []table
			Error  string
		}
	}
	if err := c.do(ctx, http.MethodGet, "query", url.Values{"db": {db}, "q": {statement}}, nil, &a); err != nil {
		return nil, err
	}
	if len(a.Results) == 0 {
		return nil, nil
	}
	if a.Results[0].Error != "" {
		return nil, qlError(a.Results[0].Error)
	}
	return a.Results[0].Series, nil
}
