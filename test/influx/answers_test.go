package influx_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store/influx"
	"plimsoll.dev/plimsoll/test/influx/influxtest"
)

// ready makes the database of 1.x; 2.x has its bucket.
func ready(s *influxtest.Server) {
	if s.Major == 1 {
		s.Query("", `CREATE DATABASE "plimsoll"`)
	}
}

// rows returns a measurement's rows as maps, tags included, in order of time.
func rows(s *influxtest.Server, measurement string) []map[string]any {
	var out []map[string]any
	for _, series := range s.Query("plimsoll", fmt.Sprintf(`SELECT * FROM %q`, measurement)) {
		for _, v := range series.Values {
			row := map[string]any{}
			for i, c := range series.Columns {
				if v[i] != nil {
					row[c] = v[i]
				}
			}
			out = append(out, row)
		}
	}
	return out
}

// TestSchemaIsAccepted: every field of every level comes back equal, in each schema.
func TestSchemaIsAccepted(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		ready(s)
		at := time.Now().Truncate(time.Second)
		for _, schema := range []influx.Schema{influx.SchemaV1, influx.SchemaHeapster, influx.SchemaHeapsterFields} {
			e, err := influx.NewEncoder(influx.EncoderOptions{Cluster: "prod", Schema: schema})
			if err != nil {
				t.Fatal(err)
			}
			var dst []byte
			r := rand.New(rand.NewPCG(1, 2))
			want := map[string]float64{}
			entities := map[metric.Level]*metric.Entity{}
			for _, l := range metric.Levels() {
				entities[l] = entity(l)
			}
			for tick := range 2 {
				b := metric.Batch{Time: at.Add(time.Duration(tick) * 10 * time.Second)}
				for _, l := range metric.Levels() {
					g := metric.Group{Entity: entities[l]}
					for i := range metric.Rows() {
						if row := metric.Get(metric.ID(i)); row.Has(l) {
							v := r.Float64() * float64(int64(1)<<r.IntN(40)) * float64(1+tick*1000)
							g.Points = append(g.Points, metric.Point{ID: row.ID, T: b.Time.UnixMilli(), V: v})
							want[fmt.Sprint(l, tick, row.Field)] = v
						}
					}
					b.Groups = append(b.Groups, g)
				}
				dst, _ = e.Encode(dst, &b, b.Time)
			}
			w := write(t, s.Conn("plimsoll"), nil, string(dst))
			if !w.done || len(w.conditions) != 0 || len(w.dead.letters) != 0 {
				t.Fatalf("%s: %+v, dead %v", schema, w.conditions, w.dead.reasons)
			}
			if schema != influx.SchemaV1 {
				continue
			}
			for _, l := range metric.Levels() {
				got := rows(s, l.String())
				if len(got) != 2 {
					t.Fatalf("%v: got %d rows", l, len(got))
				}
				values, counters := influx.Fields(l)
				for tick, row := range got {
					if row["cluster"] != "prod" {
						t.Errorf("%v has cluster %v", l, row["cluster"])
					}
					for _, f := range append(values, counters...) {
						v, ok := want[fmt.Sprint(l, tick, f)]
						if !ok { // a rate
							continue
						}
						if row[f] != v {
							t.Errorf("%v tick %d: %s is %v, want %v", l, tick, f, row[f], v)
						}
					}
				}
				rate := (want[fmt.Sprint(l, 1, "cpu_usage_seconds_total")] - want[fmt.Sprint(l, 0, "cpu_usage_seconds_total")]) / 10
				if got, _ := got[1]["cpu_usage_cores"].(float64); rate > 0 && math.Abs(got/rate-1) > 1e-12 {
					t.Errorf("%v: rate %v, want %v", l, got, rate)
				}
			}
		}
	})
}

func entity(l metric.Level) *metric.Entity {
	e := &metric.Entity{Level: l}
	switch l {
	case metric.Container:
		*e = metric.Entity{Level: l, Node: "n1", Namespace: "shop", WorkloadKind: "Deployment", Workload: "web", Pod: "web-1", Container: "app", Image: "shop/web:1"}
	case metric.Pod:
		*e = metric.Entity{Level: l, Node: "n1", Namespace: "shop", WorkloadKind: "Deployment", Workload: "web", Pod: "web-1"}
	case metric.Workload:
		*e = metric.Entity{Level: l, Namespace: "shop", WorkloadKind: "Deployment", Workload: "web"}
	case metric.Namespace:
		e.Namespace = "shop"
	case metric.Node:
		e.Node = "n1"
	}
	return e
}

// nasty are tag values that need care.
func nasty() []string {
	vs := []string{"a b", "a,b", "a=b", `a\b`, `a\ b`, `a\,b`, `a\=b`, `a\`, `a\\`, `\`, `\\ \\,`, "a\nb", "a\r\nb\t", "\n", " ", ",", "=", `"`, `a"b`, `a\"b`, `"a, b=c"`, "'", "#x", "größe 漢字 🚢",
		`dev-disk-by\x2duuid`, "a\x00b", "a\x7fb", "-", "a.b/c:d@e", "{}[]()*+?^$|", "${x}", strings.Repeat("long/", 800), "true", "1", "1i", "NaN", "ends in space ", " begins with space"}
	const alphabet = "ab\\ ,=\"\n'é#\t"
	r := rand.New(rand.NewPCG(3, 4))
	runes := []rune(alphabet)
	for range 300 {
		var b strings.Builder
		for range 1 + r.IntN(6) {
			b.WriteRune(runes[r.IntN(len(runes))])
		}
		vs = append(vs, b.String())
	}
	return vs
}

// TestTagValues: whatever a label's value is, it comes back as it was, and beside it nothing is broken.
func TestTagValues(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		ready(s)
		e, err := influx.NewEncoder(influx.EncoderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now().Truncate(time.Second)
		b := metric.Batch{Time: now}
		want := map[string]float64{}
		for i, v := range nasty() {
			if _, twice := want[v]; twice {
				continue
			}
			want[v] = float64(i + 1)
			b.Groups = append(b.Groups, metric.Group{Entity: &metric.Entity{Level: metric.Pod, Node: v, Namespace: "d", Pod: v, Workload: "w"},
				Points: []metric.Point{{ID: metric.MemoryUsage, T: now.UnixMilli(), V: float64(i + 1)}}})
		}
		long := strings.Repeat("x", 64<<10)
		b.Groups = append(b.Groups, metric.Group{Entity: &metric.Entity{Level: metric.Pod, Pod: long}, Points: []metric.Point{{ID: metric.MemoryUsage, T: now.UnixMilli(), V: 1}}},
			metric.Group{Entity: &metric.Entity{Level: metric.Pod, Pod: "broken\xff\xfe"}, Points: []metric.Point{{ID: metric.MemoryUsage, T: now.UnixMilli(), V: 1}}})
		lines, n := e.Encode(nil, &b, now)
		if n.Cut != 1 || n.Lines != len(want)+2 {
			t.Errorf("got %+v", n)
		}
		if w := write(t, s.Conn("plimsoll"), nil, string(lines)); !w.done || len(w.dead.letters) != 0 {
			t.Fatalf("%v, dead %v", w.conditions, w.dead.reasons)
		}
		got := map[string]float64{}
		cut := 0
		for _, row := range rows(s, "pod") {
			pod, _ := row["pod"].(string)
			pod = influx.LabelValue(pod)
			if strings.HasPrefix(pod, "xxxx") || strings.HasPrefix(pod, "broken") {
				cut++
				continue
			}
			node, _ := row["node"].(string)
			if influx.LabelValue(node) != pod || row["namespace"] != "d" || row["workload"] != "w" {
				t.Errorf("pod %q has node %q, namespace %q, workload %q", pod, node, row["namespace"], row["workload"])
			}
			got[pod], _ = row["memory_usage_bytes"].(float64)
		}
		if d := cmp.Diff(want, got); d != "" || cut != 2 {
			t.Errorf("%d cut; want -, got +:\n%s", cut, d)
		}
	})
}

func TestDecisions(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		ready(s)
		want := cluster.Decision{Time: time.Now().Truncate(time.Second).Add(123456789), Target: cluster.Target{Namespace: "demo", Kind: "ProcessService", Name: "web ü \"x\"\n"}, Action: "Up", From: 2, To: 3,
			Reason: "CPUAboveTarget", Message: "line\nbreak, \"<b>\" \\ and \u2028\\"}
		for i, detail := range []string{"", `{"a": 1,  "b":"<&>\n\\\""}`, "{\n\"pretty\": true\n}", "not JSON \x00\xff", `ends in \`, "base64:x"} {
			d := want
			d.Time, d.Detail = want.Time.Add(time.Duration(i)*time.Second), []byte(detail)
			line, err := influx.EncodeDecision(nil, "c", d)
			if err != nil {
				t.Fatal(err)
			}
			if w := write(t, s.Conn("plimsoll"), nil, string(line)); !w.done || len(w.dead.letters) > 0 {
				t.Fatalf("%s: %v %v", line, w.conditions, w.dead.reasons)
			}
			all := rows(s, influx.Decision)
			row := all[len(all)-1]
			text := func(f string) string { v, _ := row[f].(string); return v }
			got, err := influx.DecodeDetail(text(influx.FieldDetail))
			if err != nil || string(got) != detail {
				t.Errorf("detail %q came back as %q, %v", detail, got, err)
			}
			for f, want := range map[string]string{influx.FieldAction: d.Action, influx.FieldReason: d.Reason, influx.FieldMessage: d.Message, influx.TagWorkload: d.Name, influx.TagWorkloadKind: d.Kind} {
				if got := influx.LabelValue(text(f)); got != want {
					t.Errorf("%s: got %q, want %q", f, got, want)
				}
			}
			if text(influx.FieldTime) != fmt.Sprint(d.Time.UnixNano()) || row[influx.FieldFrom] != 2.0 || row[influx.FieldTo] != 3.0 {
				t.Errorf("got %v", row)
			}
		}
	})
}

// TestBlocked: each fault of the configuration is told apart, and what was queued is not acknowledged.
func TestBlocked(t *testing.T) {
	f := func(t *testing.T, c *influx.Conn, want, word string) {
		t.Helper()
		w := write(t, c, nil, lines(3))
		if w.done || w.reason() != want || !strings.Contains(w.conditions[0].Message, word) || len(w.dead.letters) != 0 {
			t.Errorf("got %+v, dead %v; want %s with %q", w.conditions, w.dead.letters, want, word)
		}
	}
	t.Run("1.8", func(t *testing.T) {
		s := influxtest.Start18(t, influxtest.Options{Auth: true})
		s.Query("", `CREATE DATABASE "plimsoll"`)
		s.Query("", `CREATE USER app WITH PASSWORD 'x'`)
		s.Query("", `CREATE USER writer WITH PASSWORD 'two words'`)
		s.Query("", `GRANT WRITE ON "plimsoll" TO writer`)
		f(t, s.ConnAs("plimsoll", ""), influx.ReasonUnauthorized, "no token file is given")
		f(t, s.ConnAs("plimsoll", "root:wrong"), influx.ReasonUnauthorized, "does not accept the token")
		f(t, s.ConnAs("plimsoll", "nonsense"), influx.ReasonUnauthorized, "user:password")
		f(t, s.ConnAs("plimsoll", "app:x"), influx.ReasonForbidden, `"plimsoll"`)
		f(t, s.ConnAs("nowhere", "root:secret"), influx.ReasonNoBucket, `database not found: "nowhere"`)
		f(t, s.ConnAs("plimsoll/nowhere", "root:secret"), influx.ReasonNoBucket, "retention policy not found")
		if w := write(t, s.ConnAs("plimsoll", "writer:two words"), nil, lines(3)); !w.done {
			t.Errorf("writer: %v", w.conditions)
		}
	})
	t.Run("2.7", func(t *testing.T) {
		s := influxtest.Start2(t)
		f(t, s.ConnAs("", ""), influx.ReasonUnauthorized, "no token file is given")
		f(t, s.ConnAs("", "nonsense"), influx.ReasonUnauthorized, "does not accept the token")
		f(t, s.ConnAs("nowhere", s.Token), influx.ReasonNoBucket, `"nowhere"`)
		s.Org = "nobody"
		f(t, s.ConnAs("", s.Token), influx.ReasonNoOrg, `"nobody"`)
	})
	t.Run("no server", func(t *testing.T) {
		s := influxtest.Start18(t)
		ready(s)
		c := s.Conn("plimsoll")
		s.Kill()
		f(t, c, influx.ReasonUnreachable, "nothing listens there")
		s.Start()
		s.Pause()
		w := write(t, c, func(o *influx.WriterOptions) { o.Timeout = 300 * time.Millisecond }, lines(3))
		s.Resume()
		if w.reason() != influx.ReasonTimeout {
			t.Errorf("a server that does not answer: got %+v", w.conditions)
		}
	})
}

// TestTokenIsReadAgain: a new token in the file is taken without a restart.
func TestTokenIsReadAgain(t *testing.T) {
	s := influxtest.Start2(t)
	file := s.TokenFile("nonsense")
	c, err := influx.NewConn(influx.ConnOptions{URL: s.URL, Org: s.Org, Bucket: s.Bucket, TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(s.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	// The first answer is 401; the file is read again, so that the next request has the new one.
	if w := write(t, c, nil, lines(1)); w.reason() != influx.ReasonUnauthorized {
		t.Fatalf("got %+v", w.conditions)
	}
	if w := write(t, c, nil, lines(1)); !w.done {
		t.Errorf("got %+v", w.conditions)
	}
}

// TestBadLines: one line that conflicts or cannot be read is found among thousands and set aside with the server's words; the others are stored.
func TestBadLines(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		ready(s)
		if w := write(t, s.Conn("plimsoll"), nil, "container,container=x memory_rss_bytes=1i 1700000000000\n"); !w.done {
			t.Fatal(w.conditions)
		}
		const n = 5000
		bad := map[string]string{
			"container,container=bad memory_rss_bytes=1.5 1700000000000\n": "field type conflict",
			"container,container= memory_usage_bytes=1 1700000000000\n":    "missing tag value",
			"container memory_usage_bytes=NaN 1700000000000\n":             "invalid number",
			"no fields at all\n": "invalid",
		}
		i := 0
		for line, word := range bad {
			i++
			all := strings.SplitAfter(strings.ReplaceAll(lines(n), "namespace=d", fmt.Sprint("namespace=d", i)), "\n")
			at := rand.IntN(n)
			all[at] = line + all[at]
			w := write(t, s.Conn("plimsoll"), nil, strings.Join(all, ""))
			if !w.done || len(w.dead.letters) != 1 || w.dead.letters[0] != line || !strings.Contains(w.dead.reasons[0], word) || w.reason() != influx.ReasonSetAside {
				t.Errorf("%q: done %v, dead %.300q with %q, conditions %+v", line, w.done, w.dead.letters, w.dead.reasons, w.conditions)
			}
			got := s.Query("plimsoll", fmt.Sprintf(`SELECT count(memory_usage_bytes) FROM container WHERE "namespace"='d%d'`, i))
			if len(got) != 1 || fmt.Sprint(got[0].Values[0][1]) != fmt.Sprint(n) {
				t.Errorf("%q: got %v stored, want %d", line, got, n)
			}
			t.Logf("%q: %s; %s", strings.TrimSpace(line), w.dead.reasons[0], requests(t, w))
		}
	})
}

// TestAnotherSchema: a database whose fields have other types refuses everything; nothing is lost, and it is said.
func TestAnotherSchema(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		ready(s)
		if w := write(t, s.Conn("plimsoll"), nil, "container,container=x memory_usage_bytes=\"much\" 1700000000000\n"); !w.done {
			t.Fatal(w.conditions)
		}
		w := write(t, s.Conn("plimsoll"), nil, lines(5000))
		if !w.done || strings.Join(w.dead.letters, "") != lines(5000) || w.reason() != influx.ReasonSetAside {
			t.Errorf("done %v, %d dead letters, %+v", w.done, len(w.dead.letters), w.conditions)
		}
		if m := w.conditions[0].Message; !strings.Contains(m, `bucket "plimsoll"`) || !strings.Contains(m, "one of its own") || !strings.Contains(w.log.String(), "class=partial_write") {
			t.Errorf("the message %q does not say what helps, or the log does not name the class: %s", m, w.log.String())
		}
		t.Logf("%s; %s", w.conditions[0].Message, requests(t, w))
	})
}

// TestBeyondRetention: points older than the retention are counted and do not hold up what follows.
func TestBeyondRetention(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		s.SetUp("plimsoll", 24*time.Hour)
		now := time.Now().UnixMilli()
		w := write(t, s.Conn("plimsoll"), nil, lines(10)+fmt.Sprintf("cluster memory_usage_bytes=1 %d\n", now))
		got := s.Query("plimsoll", `SELECT count(memory_usage_bytes) FROM cluster`)
		if !w.done || w.reason() != influx.ReasonBeyond || len(got) != 1 {
			t.Errorf("done %v, %+v, got %v", w.done, w.conditions, got)
		}
		t.Log(w.conditions)
	})
}

// TestOutage: lines written while the server is killed and comes back arrive without help.
func TestOutage(t *testing.T) {
	s := influxtest.Start18(t)
	ready(s)
	c := s.Conn("plimsoll")
	s.Kill()
	go func() {
		time.Sleep(300 * time.Millisecond)
		s.Start()
	}()
	src := newQueue(lines(100))
	stop := runWriter(t, c, src)
	defer stop()
	src.wait(t, 2*time.Minute)
	if got := s.Query("plimsoll", `SELECT count(memory_usage_bytes) FROM container`); fmt.Sprint(got[0].Values[0][1]) != "100" {
		t.Errorf("got %v", got)
	}
}

// requests tells how many requests were sent, by class.
func requests(t *testing.T, w *written) string {
	t.Helper()
	fs, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range fs {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				if l.GetName() == "class" {
					name += " " + l.GetValue()
				}
			}
			if m.Counter != nil && m.Counter.GetValue() > 0 {
				out[strings.TrimPrefix(name, "plimsoll_influx_")] = m.Counter.GetValue()
			}
		}
	}
	b, _ := json.Marshal(out)
	return string(b)
}
