package influx_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/dashboards/grafana"
	"plimsoll.dev/plimsoll/dashboards/grafana/boardtest"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store/influx"
	"plimsoll.dev/plimsoll/test/influx/influxtest"
)

// heap writes batches some thousands of lines at a time.
type heap struct {
	history *history
	enc     *influx.Encoder
	now     time.Time
	lines   []byte
}

func (h *heap) Append(ctx context.Context, b *metric.Batch) error {
	h.lines, _ = h.enc.Encode(h.lines, b, h.now)
	if len(h.lines) < 4<<20 {
		return nil
	}
	return h.flush(ctx)
}

func (h *heap) flush(ctx context.Context) error {
	err := h.history.write(ctx, h.lines)
	h.lines = h.lines[:0]
	return err
}

// madeDay puts boardtest's day, or some of it, into a bucket of its own.
func madeDay(t *testing.T, s *influxtest.Server, bucket, called string, length time.Duration) *boardtest.Day {
	t.Helper()
	day := boardtest.NewDay(time.Now().Truncate(time.Minute), length, 20*time.Second)
	enc, err := influx.NewEncoder(influx.EncoderOptions{Cluster: called})
	if err != nil {
		t.Fatal(err)
	}
	h := &heap{history: newHistory(t, s, bucket), enc: enc, now: day.End}
	if err := day.Fill(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	for i, action := range []string{"Up", "Hold"} {
		h.lines, err = influx.EncodeDecision(h.lines, called, cluster.Decision{Time: day.End.Add(time.Duration(i-10) * time.Minute), Target: cluster.Target{Namespace: "a", Kind: "Deployment", Name: "web"},
			Action: action, From: 1, To: 2, Reason: "CPUAboveTarget", Message: "Load stood at 148 %."})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := h.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return day
}

// TestBoards asks real servers every query of every panel of the InfluxDB boards, as Grafana does, and compares the newest values with
// what was put in: the same that the embedded store is asked of the Prometheus boards.
func TestBoards(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		for bucket, cluster := range map[string]string{"boards": boardtest.Cluster, "boards_alone": ""} {
			length := 24 * time.Hour
			if cluster == "" {
				length = 2 * time.Hour
			}
			day := madeDay(t, s, bucket, cluster, length)
			for name, v := range boardtest.Views() {
				if cluster == "" && v.Chosen != nil || v.Range > length {
					continue // there is no cluster to choose, or no day
				}
				t.Run(bucket+"/"+name, func(t *testing.T) {
					for _, b := range grafana.Boards() {
						asks, err := day.Asks(b, grafana.Influx, v)
						if err != nil {
							t.Fatal(err)
						}
						for _, a := range asks {
							for _, wrong := range a.Check(got(s.Query(bucket, a.Text), a.By)) {
								t.Error(wrong)
							}
						}
						checkBoard(t, s, bucket, cluster, day, b, v)
					}
				})
			}
		}
	})
}

// TestTurns asks real servers about what was there one after the other, as the embedded store is asked.
func TestTurns(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		end := time.Now().Truncate(time.Hour)
		turns := boardtest.NewTurns(end)
		enc, err := influx.NewEncoder(influx.EncoderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		h := &heap{history: newHistory(t, s, "turns"), enc: enc, now: end}
		if err := turns.Fill(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		if err := h.flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for name, v := range turns.Looks() {
			t.Run(name, func(t *testing.T) {
				for _, b := range grafana.Boards() {
					asks, err := turns.Asks(b, grafana.Influx, v)
					if err != nil {
						t.Fatal(err)
					}
					for _, a := range asks {
						for _, wrong := range a.CheckTurns(got(s.Query("turns", a.Text), a.By)) {
							t.Error(wrong)
						}
					}
				}
			})
		}
	})
}

// got turns an answer into values by series; a point that is null is none.
func got(series []influxtest.Series, by []string) boardtest.Got {
	out := boardtest.Got{}
	for _, s := range series {
		k := boardtest.Key(by, func(l string) string { return s.Tags[l] })
		for _, row := range s.Values {
			if x, ok := row[1].(float64); ok {
				out[k] = append(out[k], x)
			}
		}
	}
	return out
}

// checkBoard asks for a board's variables and annotations.
func checkBoard(t *testing.T, s *influxtest.Server, bucket, cluster string, day *boardtest.Day, b grafana.Board, v boardtest.View) {
	t.Helper()
	vars, err := day.Variables(b, grafana.Influx, v)
	if err != nil || len(vars) != len(b.Vars) {
		t.Fatalf("%s: variables %v, %v", b.Name, vars, err)
	}
	want := map[string]string{"cluster": cluster, "node": "n1 n2", "namespace": "a b", "workload": "job/x web", "pod": "job-1 web-1 web-2"}
	if v.Chosen != nil {
		want["namespace"], want["pod"] = "a b", "job-1 web-2" // on the node that is chosen
	}
	for name, q := range vars {
		var values []string
		for _, x := range s.Query(bucket, q) {
			for _, row := range x.Values {
				values = append(values, row[1].(string))
			}
		}
		if got := strings.Join(values, " "); got != want[name] {
			t.Errorf("%s: got %q, want %q\n%s", b.Name, got, want[name], q)
		}
	}
	notes, err := day.Annotations(b, grafana.Influx, v)
	if err != nil || (len(notes) == 1) != b.Decisions {
		t.Fatalf("%s: annotations %v, %v", b.Name, notes, err)
	}
	for _, q := range notes {
		series := s.Query(bucket, q)
		if len(series) != 1 || len(series[0].Values) != 1 {
			t.Errorf("got %v, want one decision\n%s", series, q)
			continue
		}
		row := map[string]any{}
		for i, c := range series[0].Columns {
			row[c] = series[0].Values[0][i]
		}
		if row["action"] != "Up" || row["message"] != "Load stood at 148 %." || row["namespace"] != "a" || row["workload"] != "web" || row["time"] != float64(day.End.Add(-10*time.Minute).UnixMilli()) {
			t.Errorf("got %v", row)
		}
	}
}
