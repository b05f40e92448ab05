package influx_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/store/influx"
	"plimsoll.dev/plimsoll/test/influx/influxtest"
)

// fault is something that an operator has to mend, with a writer that runs into it.
type fault struct {
	name, reason, word string
	conn               *influx.Conn
	lines              string
	stored             string // a query that has an answer when they are stored
	database           string

	src  *onceQueue
	dead dead
	log  bytes.Buffer
	w    *influx.Writer
}

// mended runs a writer for each fault until it is blocked, mends all, and wants everything stored by the same writers and nothing among the
// dead letters.
func mended(t *testing.T, s *influxtest.Server, faults []*fault, mend func()) {
	t.Helper()
	for _, f := range faults {
		f.src = newQueue(f.lines)
		w, err := influx.NewWriter(influx.WriterOptions{Conn: f.conn, Lanes: []influx.Lane{{Name: "fresh", Source: f.src}}, DeadLetters: &f.dead,
			Logger: slog.New(slog.NewTextHandler(&f.log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		f.w = w
		defer runs(t, w)()
	}
	for _, f := range faults {
		until(t, time.Minute, f.name+" is told", func() bool {
			c := f.w.Conditions()
			return len(c) > 0 && c[0].Reason == f.reason && strings.Contains(c[0].Message, f.word) && strings.Contains(c[0].Message, "stays queued")
		}, func() string {
			return fmt.Sprintf("%+v, dead %.200q, %s", f.w.Conditions(), f.dead.letters, f.log.String())
		})
	}
	mend()
	for _, f := range faults {
		f.src.wait(t, 2*time.Minute)
		if len(f.dead.letters) != 0 || len(f.w.Conditions()) != 0 {
			t.Errorf("%s: dead letters %q, conditions %+v", f.name, f.dead.letters, f.w.Conditions())
		}
		if f.stored == "" { // in an organization that our queries do not see
			continue
		}
		if got, want := stored(s, f.database, f.stored), strings.Count(f.lines, "\n"); got != want {
			t.Errorf("%s: %d lines are stored, want %d", f.name, got, want)
		}
	}
}

// runs runs a writer until the returned function is called.
func runs(t *testing.T, w *influx.Writer) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	end := make(chan struct{})
	go func() {
		defer close(end)
		_ = w.Run(ctx)
	}()
	return func() {
		cancel()
		<-end
	}
}

func until(t *testing.T, most time.Duration, what string, so func() bool, instead func() string) {
	t.Helper()
	for deadline := time.Now().Add(most); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s: %s", most, what, instead())
		}
	}
}

func connOf(t *testing.T, o influx.ConnOptions) *influx.Conn {
	t.Helper()
	c, err := influx.NewConn(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func stored(s *influxtest.Server, database, query string) int {
	n := 0
	for _, series := range s.Query(database, query) {
		n += len(series.Values)
	}
	return n
}

// fresh are lines of now, each of a series of its own.
func fresh(measurement string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s,container=c%d v=%d %d\n", measurement, i, i, time.Now().UnixMilli())
	}
	return b.String()
}

// TestMended18: each refusal of 1.8 that an operator can mend is kept and told with its setting, and goes on by itself when it is mended.
func TestMended18(t *testing.T) {
	t.Parallel() // it mostly waits
	s := influxtest.Start18(t, influxtest.Options{Auth: true, Env: []string{"INFLUXDB_DATA_MAX_SERIES_PER_DATABASE=20", "INFLUXDB_DATA_MAX_VALUES_PER_TAG=10"}})
	for _, q := range []string{"CREATE DATABASE db_series", "CREATE DATABASE db_tags", "CREATE DATABASE db_login", "CREATE DATABASE db_rights", "CREATE DATABASE db_policy",
		"CREATE USER changed WITH PASSWORD 'old'", "GRANT ALL ON db_login TO changed", "CREATE USER reads WITH PASSWORD 'x'", "GRANT READ ON db_rights TO reads"} {
		s.Query("", q)
	}
	var series strings.Builder
	for i := range 30 { // the values stay few
		fmt.Fprintf(&series, "m%d,container=c%d v=1 %d\n", i/6, i%6, time.Now().UnixMilli())
	}
	before := newQueue(fresh("m", 10)) // the limit of values is held against those of earlier requests
	stop := runWriter(t, s.Conn("db_tags"), before)
	before.wait(t, time.Minute)
	stop()
	file := s.TokenFile("changed:new")
	all := `SELECT v FROM /.*/`
	changed := connOf(t, influx.ConnOptions{URL: s.URL, Bucket: "db_login", TokenFile: file})
	mended(t, s, []*fault{
		{name: "the series limit", reason: influx.ReasonLimit, word: "max-series-per-database", conn: s.Conn("db_series"), lines: series.String(), database: "db_series", stored: all},
		{name: "the values limit", reason: influx.ReasonLimit, word: "max-values-per-tag", conn: s.Conn("db_tags"), lines: strings.ReplaceAll(fresh("m", 5), "=c", "=d"), database: "db_tags", stored: `SELECT v FROM m WHERE container =~ /d/`},
		{name: "a changed password", reason: influx.ReasonUnauthorized, word: file, conn: changed, lines: fresh("m", 3), database: "db_login", stored: all},
		{name: "a user who may only read", reason: influx.ReasonForbidden, word: `"db_rights"`, conn: s.ConnAs("db_rights", "reads:x"), lines: fresh("m", 3), database: "db_rights", stored: all},
		{name: "no such database", reason: influx.ReasonNoBucket, word: "plimsoll influx setup", conn: s.Conn("dropped"), lines: fresh("m", 3), database: "dropped", stored: all},
		{name: "no such policy", reason: influx.ReasonNoBucket, word: "db_policy/gone", conn: s.Conn("db_policy/gone"), lines: fresh("m", 3), database: "db_policy", stored: `SELECT v FROM gone./.*/`},
	}, func() {
		s.Query("", "GRANT ALL ON db_rights TO reads")
		s.Query("", "CREATE DATABASE dropped")
		s.Query("", "CREATE RETENTION POLICY gone ON db_policy DURATION INF REPLICATION 1")
		if err := os.WriteFile(file, []byte("changed:old"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Again("INFLUXDB_DATA_MAX_SERIES_PER_DATABASE=1000", "INFLUXDB_DATA_MAX_VALUES_PER_TAG=1000")
	})
}

// TestMended2: the same of 2.7, which has no limits of its own.
func TestMended2(t *testing.T) {
	t.Parallel() // it mostly waits
	s := influxtest.Start2(t)
	s.SetUp("rights", 0)
	s.SetUp("login", 0)
	file := s.TokenFile("deleted")
	var orgs struct{ Orgs []struct{ ID string } }
	s.JSON("GET", "/api/v2/orgs?org="+s.Org, nil, &orgs)
	var buckets struct{ Buckets []struct{ ID string } }
	s.JSON("GET", "/api/v2/buckets?name=rights", nil, &buckets)
	permission := func(action string) map[string]any {
		return map[string]any{"action": action, "resource": map[string]any{"type": "buckets", "id": buckets.Buckets[0].ID, "orgID": orgs.Orgs[0].ID}}
	}
	var reads, writes struct{ Token string }
	s.JSON("POST", "/api/v2/authorizations", map[string]any{"orgID": orgs.Orgs[0].ID, "permissions": []any{permission("read")}}, &reads)
	poor := s.TokenFile(reads.Token)
	all := `SELECT v FROM m`
	deleted := connOf(t, influx.ConnOptions{URL: s.URL, Org: s.Org, Bucket: "login", TokenFile: file})
	mended(t, s, []*fault{
		{name: "a deleted token", reason: influx.ReasonUnauthorized, word: file, conn: deleted, lines: fresh("m", 3), database: "login", stored: all},
		{name: "a token that may only read", reason: influx.ReasonForbidden, word: `"rights"`,
			conn: connOf(t, influx.ConnOptions{URL: s.URL, Org: s.Org, Bucket: "rights", TokenFile: poor}), lines: fresh("m", 3), database: "rights", stored: all},
		{name: "a deleted bucket", reason: influx.ReasonNoBucket, word: "plimsoll influx setup", conn: s.Conn("deleted"), lines: fresh("m", 3), database: "deleted", stored: all},
		{name: "no such organization", reason: influx.ReasonNoOrg, word: `"nobody"`,
			conn: connOf(t, influx.ConnOptions{URL: s.URL, Org: "nobody", Bucket: "b", TokenFile: s.TokenFile(s.Token)}), lines: fresh("m", 3)},
	}, func() {
		if err := os.WriteFile(file, []byte(s.Token), 0o600); err != nil {
			t.Fatal(err)
		}
		s.JSON("POST", "/api/v2/authorizations", map[string]any{"orgID": orgs.Orgs[0].ID, "permissions": []any{permission("write")}}, &writes)
		if err := os.WriteFile(poor, []byte(writes.Token), 0o600); err != nil {
			t.Fatal(err)
		}
		s.SetUp("deleted", 0)
		var org struct{ ID string }
		s.JSON("POST", "/api/v2/orgs", map[string]any{"name": "nobody"}, &org)
		s.JSON("POST", "/api/v2/buckets", map[string]any{"name": "b", "orgID": org.ID}, nil)
	})
}
