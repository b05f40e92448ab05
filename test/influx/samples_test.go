package influx_test

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/influx"
	"plimsoll.dev/plimsoll/internal/store/samples"
	"plimsoll.dev/plimsoll/test/influx/influxtest"
)

// remembered is a member whose samples are in memory, too.
type remembered struct {
	entity *metric.Entity
	of     map[metric.ID][]store.Sample
}

// sampledRow is what a member has of a query's row, and what of that the query reaches.
type sampledRow struct {
	*remembered
	q *store.Checked
}

func (m sampledRow) Label(name string) string {
	return map[string]string{"container": m.entity.Container, "namespace": m.entity.Namespace, "pod": m.entity.Pod, "node": m.entity.Node, "workload": m.entity.Workload, "workload_kind": m.entity.WorkloadKind}[name]
}

func (m sampledRow) All() (out []metric.Label) {
	for _, name := range []string{"container", "namespace", "node", "pod", "workload", "workload_kind"} {
		out = append(out, metric.Label{Name: name, Value: m.Label(name)})
	}
	return out
}

func (m sampledRow) Read(each func(t int64, v float64) bool) error {
	from, to := samples.Reach(m.q)
	for _, x := range m.of[m.q.Row] {
		if x.T >= from && x.T <= to && !each(x.T, x.V) {
			break
		}
	}
	return nil
}

// TestRandomSamples holds answers that depend on who was there when to those that the same samples give in memory, for members of random lives and paces, whose counters
// fall and have holes, whole and read in pieces.
func TestRandomSamples(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		rnd := rand.New(rand.NewPCG(seed, 2))
		base := time.Now().Add(-4 * time.Hour).Truncate(time.Second)
		enc, err := influx.NewEncoder(influx.EncoderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		h := &heap{history: newHistory(t, s, "sampled"), enc: enc, now: base.Add(3 * time.Hour)}
		var members []*remembered
		for i := range 40 {
			members = append(members, member(t, rnd, h, i, base))
		}
		if err := h.flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		pieces, err := influx.NewReader(influx.ReaderOptions{Conn: h.history.conn, Piece: 17 * time.Minute, Timeout: 5 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		for asked < 150 {
			q := randomQuery(rnd, base)
			c, err := q.Check()
			if err != nil {
				t.Fatal(err)
			}
			if !samples.Needs(&c) {
				continue
			}
			asked++
			want, err := samples.Answer(t.Context(), &c, samples.Options{Now: time.Now().UnixMilli(), Limit: 1e6, Most: 1e6}, func(yield func(samples.Member, error) bool) {
				for _, m := range members {
					if !yield(sampledRow{m, &c}, nil) {
						return
					}
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			for name, r := range map[string]*influx.Reader{"whole": h.history.Reader, "pieces": pieces} {
				got, err := r.Query(t.Context(), q)
				if err != nil {
					t.Fatalf("%s: %+v: %v", name, q, err)
				}
				same(t, name, &q, got, want)
			}
		}
	})
}

// member writes the samples of a member, and remembers them.
func member(t *testing.T, rnd *rand.Rand, h *heap, i int, base time.Time) *remembered {
	t.Helper()
	w := "w" + strconv.Itoa(i%7)
	m := &remembered{&metric.Entity{Level: metric.Container, Node: "n", Namespace: "d" + strconv.Itoa(i%3), WorkloadKind: "Deployment", Workload: w, Pod: w + "-" + strconv.Itoa(i), Container: "c"}, map[metric.ID][]store.Sample{}}
	used, pace := 0.0, time.Duration(1+rnd.IntN(30))*time.Second
	at, end := base.Add(time.Duration(rnd.IntN(9000))*time.Second), base.Add(3*time.Hour)
	if life := at.Add(time.Duration(20+rnd.IntN(5000)) * time.Second); life.Before(end) {
		end = life
	}
	for ; at.Before(end); at = at.Add(pace + time.Duration(rnd.IntN(300))*time.Millisecond) {
		switch used += rnd.Float64() * pace.Seconds(); rnd.IntN(100) {
		case 0:
			at = at.Add(time.Duration(rnd.IntN(600)) * time.Second)
		case 1:
			used = 0
		}
		g := metric.Group{Entity: m.entity}
		for id, v := range map[metric.ID]float64{metric.MemoryWorkingSet: float64(rnd.IntN(1000)), metric.CPUUsage: used, metric.Restarts: math.Floor(used / 100)} {
			g.Points = append(g.Points, metric.Point{ID: id, T: at.UnixMilli(), V: v})
			m.of[id] = append(m.of[id], store.Sample{T: at.UnixMilli(), V: v})
		}
		if err := h.Append(t.Context(), &metric.Batch{Time: at, Groups: []metric.Group{g}}); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func randomQuery(rnd *rand.Rand, base time.Time) store.Query {
	of := func(d ...int) time.Duration { return time.Duration(d[rnd.IntN(len(d))]) * time.Second }
	q := store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: base.Add(time.Duration(rnd.IntN(9000)) * time.Second), Step: of(0, 0, 10, 15, 60, 300, 900), Window: of(0, 0, 11, 45, 60, 90, 600, 1000),
		Func: []store.Func{store.Last, store.Avg, store.Max, store.Min, store.Quantile}[rnd.IntN(5)], Q: []float64{0, 0.05, 0.3, 0.5, 0.9, 1}[rnd.IntN(6)]}
	q.End = q.Start.Add(of(0, 60, 601, 1800, 3600))
	q.By = [][]string{{}, {"namespace"}, {"workload"}, {"namespace", "pod"}}[rnd.IntN(4)]
	if rnd.IntN(2) == 0 {
		if q.Row = []metric.ID{metric.CPUUsage, metric.Restarts}[rnd.IntN(2)]; rnd.IntN(2) == 0 {
			q.RateOver = of(30, 60, 300)
		} else {
			q.Func = []store.Func{store.Rate, store.Increase}[rnd.IntN(2)]
		}
		if rnd.IntN(3) == 0 {
			q.By = nil
		}
	}
	if q.By != nil && rnd.IntN(3) == 0 {
		q.Join = []store.Func{store.Sum, store.Avg, store.Max, store.Min, store.Count}[rnd.IntN(5)]
	}
	return q
}

// same holds an answer to another, but for what is lost to rounding.
func same(t *testing.T, name string, q *store.Query, got, want []store.Series) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %+v: got %d series, want %d", name, *q, len(got), len(want))
		return
	}
	for i := range got {
		if store.CompareLabels(got[i].Labels, want[i].Labels) != 0 || len(got[i].Samples) != len(want[i].Samples) {
			t.Errorf("%s: %+v: got %v with %d points, want %v with %d", name, *q, got[i].Labels, len(got[i].Samples), want[i].Labels, len(want[i].Samples))
			continue
		}
		for j, x := range got[i].Samples {
			if w := want[i].Samples[j]; x.T != w.T || math.Abs(x.V-w.V) > 1e-7*max(math.Abs(w.V), 1) {
				t.Errorf("%s: %+v: %v: got %v at %d, want %v at %d", name, *q, got[i].Labels, x.V, x.T, w.V, w.T)
				break
			}
		}
	}
}
