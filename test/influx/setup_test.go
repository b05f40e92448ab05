package influx_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store/influx"
	"plimsoll.dev/plimsoll/test/influx/influxtest"
)

// both runs a test on each server.
func both(t *testing.T, f func(t *testing.T, s *influxtest.Server)) {
	t.Run("1.8", func(t *testing.T) { f(t, influxtest.Start18(t)) })
	t.Run("2.7", func(t *testing.T) { f(t, influxtest.Start2(t)) })
}

func newSetup(t testing.TB, o influx.SetupOptions) *influx.Setup {
	t.Helper()
	s, err := influx.NewSetup(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tell(p *influx.Plan) string {
	var b strings.Builder
	fmt.Fprintln(&b, p.Version)
	for _, s := range p.Steps {
		fmt.Fprintln(&b, s)
	}
	return b.String()
}

func TestVersion(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		v, err := s.Conn("x").Detect(t.Context())
		if err != nil || v.Major != s.Major {
			t.Errorf("got %v, %v", v, err)
		}
		t.Log(v)
	})
}

// TestSetup: a plan changes nothing, applying it takes, and a second time there is nothing to do.
func TestSetup(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		ctx := t.Context()
		set := newSetup(t, influx.SetupOptions{Conn: s.Conn("plimsoll"), Retention: 30 * 24 * time.Hour, Tokens: true})
		before, err := set.Plan(ctx)
		if err != nil {
			t.Fatal(err)
		}
		again, err := set.Plan(ctx)
		if err != nil || tell(again) != tell(before) || len(before.Pending()) < 10 {
			t.Errorf("a plan changed something: %v\n%s\n%s", err, tell(before), tell(again))
		}
		p, _, err := set.Apply(ctx)
		if err != nil || len(p.Pending()) != 0 {
			t.Fatalf("%v\n%s", err, tell(p))
		}
		t.Logf("%s", tell(p))
		p, result, err := set.Apply(ctx)
		if err != nil || len(p.Pending()) != 0 {
			t.Errorf("second time: %v\n%s", err, tell(p))
		}
		if s.Major == 2 && (len(result.Tokens) != 2 || result.Tokens[0].Value == "") {
			t.Errorf("got tokens %v", result.Tokens)
		}
	})
}

// state is all that set-up may make or change on a server, as text.
func state(s *influxtest.Server) string {
	var b strings.Builder
	if s.Major == 1 {
		for _, q := range []string{"SHOW DATABASES", `SHOW RETENTION POLICIES ON hand`, "SHOW CONTINUOUS QUERIES"} {
			fmt.Fprintln(&b, s.Query("", q))
		}
		return b.String()
	}
	for _, path := range []string{"buckets?limit=100", "dbrps?org=" + s.Org, "tasks?limit=100", "authorizations"} {
		var a map[string]any
		s.JSON("GET", "/api/v2/"+path, nil, &a)
		for _, list := range a {
			items, _ := list.([]any)
			for _, x := range items {
				m := x.(map[string]any)
				if m["name"] == "_monitoring" || m["name"] == "_tasks" {
					continue
				}
				for _, k := range []string{"updatedAt", "latestCompleted", "latestScheduled", "lastRunStatus", "links", "createdAt"} {
					delete(m, k)
				}
				fmt.Fprintln(&b, m)
			}
		}
	}
	return b.String()
}

// byHand makes what somebody could have set up by hand: a database that keeps data for 90 days and has some of 75 days ago.
func byHand(t *testing.T, s *influxtest.Server) (old time.Time) {
	t.Helper()
	old = time.Now().Add(-75 * 24 * time.Hour)
	if s.Major == 1 {
		s.Query("", `CREATE DATABASE hand WITH DURATION 90d REPLICATION 1 NAME "mine"`)
		s.Query("", `CREATE RETENTION POLICY "plimsoll_1h" ON hand DURATION 2000h REPLICATION 1`)
	} else {
		var orgs struct{ Orgs []struct{ ID string } }
		s.JSON("GET", "/api/v2/orgs?org="+s.Org, nil, &orgs)
		for name, seconds := range map[string]int{"hand": 90 * 86400, "hand_1h": 2000 * 3600} {
			s.JSON("POST", "/api/v2/buckets", map[string]any{"name": name, "orgID": orgs.Orgs[0].ID, "retentionRules": []any{map[string]any{"type": "expire", "everySeconds": seconds}}}, nil)
		}
	}
	q := newQueue(fmt.Sprintf("sea level=1 %d\nsea level=2 %d\n", old.UnixMilli(), time.Now().UnixMilli()))
	stop := runWriter(t, s.Conn("hand"), q)
	defer stop()
	q.wait(t, time.Minute)
	return old
}

// TestSetupByHand: of what somebody has set up nothing is changed that is not asked for, and nothing is deleted that is not forced. Each
// command runs twice.
func TestSetupByHand(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		old := byHand(t, s)
		args := []string{"--influx-url", s.URL, "--influx-bucket", "hand"}
		if s.Major == 2 {
			args = append(args, "--influx-org", s.Org, "--influx-token-file", s.TokenFile(s.Token))
		}
		run := func(changes bool, code int, flags []string, words ...string) {
			t.Helper()
			before := state(s)
			setupSays(t, append(slices.Clone(args), flags...), code, words...)
			once := state(s)
			if once != before && !changes {
				t.Errorf("%q changed\n%s\nto\n%s", flags, before, once)
			}
			setupSays(t, append(slices.Clone(args), flags...), code)
			if twice := state(s); twice != once {
				t.Errorf("%q changed the second time\n%s\nto\n%s", flags, once, twice)
			}
		}
		lost := "days of data, from " + old.UTC().Format(time.DateOnly) + " on"
		run(false, 0, []string{"--dry-run"}, "left as it is: it keeps data for 90 days", "pending")
		run(false, 1, []string{"--dry-run", "--retention", "30d"}, "it keeps data for 90 days", "45.0 "+lost, "refused", "--force") // as the run would end
		run(false, 0, []string{"--dry-run", "--retention", "30d", "--force"}, "it keeps data for 90 days", "45.0 "+lost, "pending")
		run(false, 0, []string{"--dry-run", "--retention", "0"}, "keeps data for ever", "it keeps data for 90 days", "pending")
		run(false, 0, []string{"--dry-run", "--force", "--tokens"}, "left as it is: it keeps data for 90 days")
		run(true, 0, nil, "left as it is: it keeps data for 90 days") // makes the roll-ups
		for _, flags := range [][]string{nil, {"--force"}, {"--dry-run"}, {"--retention", "90d"}, {"--retention", "90d", "--force"}} {
			run(false, 0, flags)
		}
		run(false, 1, []string{"--retention", "30d"}, "45.0 "+lost, "--force")
		if got := stored(s, "hand", "SELECT level FROM sea"); got != 2 {
			t.Errorf("%d points are there, want 2", got)
		}
		run(true, 0, []string{"--retention", "100d"}, "keeps data for 100 days")
		if st := state(s); !strings.Contains(st, map[int]string{1: "2000h0m0s", 2: "everySeconds:7.2e+06"}[s.Major]) {
			t.Errorf("the retention of roll-ups was changed:\n%s", st)
		}
		run(true, 0, []string{"--retention", "30d", "--force"}, "keeps data for 30 days")
		run(false, 0, []string{"--dry-run", "--retention", "30d"}, "keeps data for 30 days")
	})
}

// TestMappingByHand: an InfluxQL name that somebody has given to another bucket is theirs.
func TestMappingByHand(t *testing.T) {
	s := influxtest.Start2(t)
	var bucket, other struct{ ID, OrgID string }
	var orgs struct{ Orgs []struct{ ID string } }
	s.JSON("GET", "/api/v2/orgs?org="+s.Org, nil, &orgs)
	s.JSON("POST", "/api/v2/buckets", map[string]any{"name": "hand/autogen", "orgID": orgs.Orgs[0].ID}, &other)
	s.JSON("POST", "/api/v2/dbrps", map[string]any{"database": "hand", "retention_policy": "autogen", "bucketID": other.ID, "orgID": orgs.Orgs[0].ID, "default": true}, nil)
	s.JSON("POST", "/api/v2/buckets", map[string]any{"name": "hand", "orgID": orgs.Orgs[0].ID}, &bucket)
	args := []string{"--influx-url", s.URL, "--influx-bucket", "hand", "--influx-org", s.Org, "--influx-token-file", s.TokenFile(s.Token)}
	mapped := func() string {
		var a struct {
			Content []struct{ BucketID, Retention_policy string }
		}
		s.JSON("GET", "/api/v2/dbrps?db=hand&org="+s.Org, nil, &a)
		for _, m := range a.Content {
			if m.Retention_policy == "autogen" {
				return m.BucketID
			}
		}
		return ""
	}
	setupSays(t, args, 1, "refused", other.ID, "--force")
	setupSays(t, args, 1, "refused", other.ID, "--force")
	if got := mapped(); got != other.ID {
		t.Errorf("the name is of bucket %q, want %q", got, other.ID)
	}
	setupSays(t, append(args, "--force"), 0)
	if got := mapped(); got != bucket.ID {
		t.Errorf("forced: the name is of bucket %q, want %q", got, bucket.ID)
	}
	setupSays(t, args, 0)
}

// TestSetupWithoutRights: what the token may not do is said, what it may is done or told.
func TestSetupWithoutRights(t *testing.T) {
	t.Run("1.8", func(t *testing.T) {
		s := influxtest.Start18(t, influxtest.Options{Auth: true})
		s.Query("", `CREATE USER app WITH PASSWORD 'pa ss'`)
		f := func(token string, want error) {
			t.Helper()
			_, _, err := newSetup(t, influx.SetupOptions{Conn: s.ConnAs("plimsoll", token)}).Apply(t.Context())
			if !errors.Is(err, want) {
				t.Errorf("token %q: got error %v, want %v", token, err, want)
			}
			t.Log(err)
		}
		f("", influx.ErrUnauthorized)
		f("app:wrong", influx.ErrUnauthorized)
		f("app:pa ss", influx.ErrForbidden)
		f("root:secret", nil)
	})
	t.Run("2.7", func(t *testing.T) {
		s := influxtest.Start2(t)
		_, result, err := newSetup(t, influx.SetupOptions{Conn: s.Conn("plimsoll"), Tokens: true}).Apply(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f := func(conn *influx.Conn, want error) {
			t.Helper()
			_, _, err := newSetup(t, influx.SetupOptions{Conn: conn}).Apply(t.Context())
			if !errors.Is(err, want) {
				t.Errorf("got error %v, want %v", err, want)
			}
			t.Log(err)
		}
		f(s.ConnAs("plimsoll", "nonsense"), influx.ErrUnauthorized)
		f(s.ConnAs("other", result.Tokens[0].Value), influx.ErrNoOrg)
		other, err := influx.NewConn(influx.ConnOptions{URL: s.URL, Org: "nobody", Bucket: "x", TokenFile: s.TokenFile(s.Token)})
		if err != nil {
			t.Fatal(err)
		}
		f(other, influx.ErrNoOrg)
	})
}

// TestLeastPrivilege: the tokens of the roles can do their part and no more.
func TestLeastPrivilege(t *testing.T) {
	s := influxtest.Start2(t)
	_, result, err := newSetup(t, influx.SetupOptions{Conn: s.Conn("plimsoll"), Tokens: true}).Apply(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-30 * time.Hour)
	for _, token := range result.Tokens {
		w := write(t, s.ConnAs("plimsoll", token.Value), nil, fmt.Sprintf("cluster memory_usage_bytes=1 %d\n", at.UnixMilli()))
		if !w.done {
			t.Errorf("%s cannot write: %v", token.Role, w.conditions)
		}
		reader := *s
		reader.Token = token.Value
		if token.Role == "server" {
			if got := reader.Query("plimsoll", `SELECT * FROM "plimsoll"."autogen"."cluster"`); len(got) != 1 {
				t.Errorf("server reads %v", got)
			}
		}
		s.SetUp("other", 0)
		w = write(t, s.ConnAs("other", token.Value), nil, "cluster memory_usage_bytes=1 1700000000000\n")
		if w.done || len(w.conditions) != 1 {
			t.Errorf("%s writes to a bucket that is not its own: %+v", token.Role, w)
		}
		t.Logf("%s: %v", token.Role, w.conditions)
		err := newSetup(t, influx.SetupOptions{Conn: s.ConnAs("plimsoll", token.Value)}).Backfill(t.Context(), at, at)
		if may := token.Role == "server"; may && err != nil || !may && !errors.Is(err, influx.ErrForbidden) {
			t.Errorf("%s rolls up: %v", token.Role, err)
		}
		if token.Role != "server" {
			continue
		}
		if got := reader.Query("plimsoll", `SELECT mean_memory_usage_bytes FROM "plimsoll"."plimsoll_1h"."cluster_1h"`); len(got) != 1 || got[0].Values[0][1] != 1.0 {
			t.Errorf("%s rolled up %v", token.Role, got)
		}
	}
}

// TestRollUps: the roll-ups of the past have the values that a calculation by hand gives, on both servers alike, and the
// continuous queries and tasks make those of now.
func TestRollUps(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		s.SetUp("plimsoll", 0)
		now := time.Now().Truncate(time.Hour)
		start := now.Add(-50 * time.Hour).Truncate(24 * time.Hour)
		var b strings.Builder
		e, err := influx.NewEncoder(influx.EncoderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		entity := &metric.Entity{Level: metric.Container, Node: "n", Namespace: "d", Pod: "p", Container: "c"}
		for i := range 60 { // one hour, a point a minute
			at := start.Add(time.Duration(i) * time.Minute)
			dst, _ := e.Encode(nil, &metric.Batch{Time: at, Groups: []metric.Group{{Entity: entity, Points: []metric.Point{
				{ID: metric.CPUUsage, T: at.UnixMilli(), V: float64(30 * i)}, {ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: float64(i)}}}}}, at)
			b.Write(dst)
		}
		if w := write(t, s.Conn("plimsoll"), nil, b.String()); !w.done {
			t.Fatal(w.conditions)
		}
		set := newSetup(t, influx.SetupOptions{Conn: s.Conn("plimsoll")})
		if err := set.Backfill(t.Context(), start, start.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		place := influx.PlaceOf("plimsoll", s.Major)
		for _, r := range []influx.RollUp{influx.Hour, influx.Day} {
			got := s.Query("plimsoll", "SELECT * FROM "+place.From(metric.Container, r)+" GROUP BY *")
			if len(got) != 1 || len(got[0].Values) != 1 {
				t.Errorf("%v: got %v", r, got)
				continue
			}
			if got[0].Tags["pod"] != "p" || len(got[0].Tags) < 4 {
				t.Errorf("%v: tags %v", r, got[0].Tags)
			}
			row := map[string]any{}
			for i, c := range got[0].Columns {
				row[c] = got[0].Values[0][i]
			}
			for f, want := range map[string]float64{"time": float64(start.UnixMilli()), "mean_memory_working_set_bytes": 29.5, "max_memory_working_set_bytes": 59, "min_memory_working_set_bytes": 0,
				"p95_memory_working_set_bytes": 56, "count_memory_working_set_bytes": 60, "last_cpu_usage_seconds_total": 1770, "mean_cpu_usage_cores": 0.5, "count_cpu_usage_cores": 59} {
				if got, ok := row[f].(float64); !ok || got != want {
					t.Errorf("%v: %s is %v, want %v", r, f, row[f], want)
				}
			}
			for f := range row {
				if strings.HasPrefix(f, "mean_") && strings.HasSuffix(f, "_total") || strings.HasPrefix(f, "last_") && !strings.HasSuffix(f, "_total") {
					t.Errorf("%v has the field %s", r, f)
				}
			}
		}
	})
}

// TestRollUpsRun: the continuous queries and tasks themselves make roll-ups, not only the statements in them.
func TestRollUpsRun(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		at := time.Now().Truncate(time.Hour).Add(-30 * time.Minute) // every first run looks at the last hour
		line := fmt.Sprintf("cluster memory_usage_bytes=7 %d\n", at.UnixMilli())
		set := newSetup(t, influx.SetupOptions{Conn: s.Conn("plimsoll")})
		if s.Major == 1 { // a continuous query runs when it is made, and then at the half hours
			s.Query("", `CREATE DATABASE "plimsoll"`)
			if w := write(t, s.Conn("plimsoll"), nil, line); !w.done {
				t.Fatal(w.conditions)
			}
		}
		if _, _, err := set.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.Major == 2 { // a task can be told to run
			line = fmt.Sprintf("cluster memory_usage_bytes=7 %d\n", time.Now().Add(-time.Second).UnixMilli())
			if w := write(t, s.Conn("plimsoll"), nil, line); !w.done {
				t.Fatal(w.conditions)
			}
			var a struct{ Tasks []struct{ ID, Name string } }
			s.JSON("GET", "/api/v2/tasks?org=harbour", nil, &a)
			for _, task := range a.Tasks {
				if strings.Contains(task.Name, "cluster_1h") {
					s.JSON("POST", "/api/v2/tasks/"+task.ID+"/runs", map[string]any{}, nil)
				}
			}
		}
		q := "SELECT mean_memory_usage_bytes FROM " + influx.PlaceOf("plimsoll", s.Major).From(metric.Cluster, influx.Hour)
		for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
			if got := s.Query("plimsoll", q); len(got) == 1 && got[0].Values[0][1] == 7.0 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("no roll-up within three minutes\n%s", s.Log())
			}
		}
	})
}
