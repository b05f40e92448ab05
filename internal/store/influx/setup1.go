package influx

import (
	"context"
	"fmt"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// setup1 plans for 1.x: everything is a statement of InfluxQL.
type setup1 struct {
	*Setup
	p *Plan
}

func (s *setup1) result() Result { return Result{} }

func (s *setup1) step(what string, done bool, change, statement string) {
	s.does(&Step{What: what, Done: done, Change: change}, statement)
}

// does plans a step that a statement makes.
func (s *setup1) does(step *Step, statement string) {
	step.Request, step.apply = statement, func(ctx context.Context) error {
		_, err := s.conn.influxQL(ctx, statement)
		return err
	}
	s.p.Steps = append(s.p.Steps, step)
}

func (s *setup1) plan(ctx context.Context) error {
	dbs, err := s.conn.influxQL(ctx, "SHOW DATABASES")
	if err != nil {
		return err
	}
	exists := false
	for _, t := range dbs {
		for _, row := range t.Values {
			exists = exists || t.col(row, "name") == s.p.Place.Database
		}
	}
	policies := map[string]time.Duration{}
	policy := s.p.Place.Policy
	if exists {
		if policies, policy, err = s.policies(ctx, policy); err != nil {
			return err
		}
	}
	if policy == "" {
		policy = "autogen"
	}
	s.database(exists, policy)
	for _, r := range []RollUp{Raw, Hour, Day} {
		name := s.p.Place.PolicyOf(r)
		if name == "" {
			name = policy
		}
		s.policy(ctx, name, r, policies, exists)
	}
	return s.queries(ctx, exists)
}

// policies returns the database's retention policies, and the name of the raw data's.
func (s *setup1) policies(ctx context.Context, policy string) (map[string]time.Duration, string, error) {
	ts, err := s.conn.influxQL(ctx, "SHOW RETENTION POLICIES ON "+ident(s.p.Place.Database))
	if err != nil {
		return nil, "", err
	}
	out := map[string]time.Duration{}
	for _, t := range ts {
		for _, row := range t.Values {
			d, err := time.ParseDuration(t.col(row, "duration"))
			if err != nil {
				return nil, "", fmt.Errorf("cannot read the duration of retention policy %q: %w", t.col(row, "name"), err)
			}
			out[t.col(row, "name")] = d
			if policy == "" && t.col(row, "default") == "true" {
				policy = t.col(row, "name")
			}
		}
	}
	return out, policy, nil
}

// database plans the database, together with the policy of the raw data, which then has the right retention from the start.
func (s *setup1) database(exists bool, policy string) {
	s.step(fmt.Sprintf("database %q", s.p.Place.Database), exists, "",
		fmt.Sprintf("CREATE DATABASE %s WITH DURATION %s REPLICATION 1 NAME %s", ident(s.p.Place.Database), qlDuration(s.opts.Retention), ident(policy)))
}

func (s *setup1) policy(ctx context.Context, name string, r RollUp, have map[string]time.Duration, exists bool) {
	want := s.retention(r)
	what := fmt.Sprintf("retention policy %q that keeps data %s", name, keeps(want))
	on := fmt.Sprintf("RETENTION POLICY %s ON %s DURATION %s", ident(name), ident(s.p.Place.Database), qlDuration(want))
	got, there := have[name]
	switch {
	case !exists && r == Raw: // it comes with the database
		s.step(what, false, "", fmt.Sprintf("SHOW RETENTION POLICIES ON %s", ident(s.p.Place.Database)))
	case !there:
		statement := "CREATE " + on + " REPLICATION 1"
		if r == Raw && s.p.Place.Policy == "" {
			statement += " DEFAULT"
		}
		s.step(what, false, "", statement)
	default:
		step := s.existing(ctx, fmt.Sprintf("retention policy %q", name), r, got, ident(s.p.Place.Database)+"."+ident(name))
		s.does(step, "ALTER "+on+" SHARD DURATION "+qlDuration(shard(want)))
	}
}

// queries plans the continuous queries and drops those of older versions.
func (s *setup1) queries(ctx context.Context, exists bool) error {
	have := map[string]bool{}
	if exists {
		ts, err := s.conn.influxQL(ctx, "SHOW CONTINUOUS QUERIES")
		if err != nil {
			return err
		}
		for _, t := range ts {
			for _, row := range t.Values {
				if t.Name == s.p.Place.Database {
					have[t.col(row, "name")] = true
				}
			}
		}
	}
	for _, r := range []RollUp{Hour, Day} {
		for _, l := range metric.Levels() {
			name, statement := continuousQuery(s.p.Place, l, r)
			s.step(fmt.Sprintf("continuous query that makes %q", s.p.Place.Measurement(l, r)), have[name], "", statement)
			for old := range have {
				if strings.HasPrefix(old, queryPrefix(l, r)) && old != name {
					s.step(fmt.Sprintf("no continuous query %q of an older version", old), false, "there",
						fmt.Sprintf("DROP CONTINUOUS QUERY %s ON %s", ident(old), ident(s.p.Place.Database)))
				}
			}
		}
	}
	return nil
}

// qlDuration writes a duration of InfluxQL, which has no fractions.
func qlDuration(d time.Duration) string {
	switch {
	case d == 0:
		return "INF"
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// shard is the length of shards that InfluxDB itself would choose for a retention.
func shard(d time.Duration) time.Duration {
	switch {
	case d == 0 || d > 180*24*time.Hour:
		return 7 * 24 * time.Hour
	case d < 48*time.Hour:
		return time.Hour
	}
	return 24 * time.Hour
}
