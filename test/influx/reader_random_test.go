package influx_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/influx"
	"plimsoll.dev/plimsoll/test/influx/influxtest"
)

// made is what was written: by container and time in milliseconds.
type made map[string]map[int64]float64

// over is the function over (lo, hi] of one container.
func (m made) over(q *store.Query, container string, lo, hi int64) (float64, bool) {
	var ts []int64
	for t := range m[container] {
		if t > lo && t <= hi {
			ts = append(ts, t)
		}
	}
	if len(ts) == 0 {
		return 0, false
	}
	slices.Sort(ts)
	var vs []float64
	sum := 0.0
	for _, t := range ts {
		vs = append(vs, m[container][t])
		sum += m[container][t]
	}
	last := vs[len(vs)-1]
	sort.Float64s(vs)
	switch q.Func {
	case store.Avg:
		return sum / float64(len(vs)), true
	case store.Sum:
		return sum, true
	case store.Count:
		return float64(len(vs)), true
	case store.Max:
		return vs[len(vs)-1], true
	case store.Min:
		return vs[0], true
	case store.Quantile: // nearest rank
		i := int(math.Floor(float64(len(vs))*q.Q+0.5)) - 1
		return vs[min(max(i, 0), len(vs)-1)], true
	}
	return last, true
}

// answer is what a query must give, by label value and time, were each window wider at both ends.
func (m made) answer(q *store.Query, window, wider time.Duration) map[string]map[int64]float64 {
	out := map[string]map[int64]float64{}
	last := q.End.UnixMilli()
	first, step := last, int64(1)
	if q.Step > 0 {
		first, step = q.Start.UnixMilli(), q.Step.Milliseconds()
	}
	for t := first; t <= last; t += step {
		groups := map[string][]float64{}
		for c := range m {
			if v, ok := m.over(q, c, t-(window+wider).Milliseconds(), t+wider.Milliseconds()); ok {
				key := c
				if q.By != nil {
					key = c[:1]
				}
				groups[key] = append(groups[key], v)
			}
		}
		for key, vs := range groups {
			if out[key] == nil {
				out[key] = map[int64]float64{}
			}
			out[key][t] = joined(q, vs)
		}
	}
	return out
}

func joined(q *store.Query, vs []float64) float64 {
	if q.By == nil {
		return vs[0]
	}
	sum := 0.0
	for _, v := range vs {
		sum += v
	}
	switch q.Join {
	case store.Avg:
		return sum / float64(len(vs))
	case store.Max:
		return slices.Max(vs)
	case store.Min:
		return slices.Min(vs)
	case store.Count:
		return float64(len(vs))
	}
	return sum
}

// TestRandomQueries compares answers of real servers with sums made by hand, for random queries, with and without a limit on the time
// that a query may cover.
func TestRandomQueries(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		rnd := rand.New(rand.NewPCG(seed, 1))
		h := newHistory(t, s, "random")
		base := time.Now().Add(-2 * time.Hour).Truncate(time.Second)
		data := made{}
		var lines []byte
		for _, c := range []string{"a1", "a2", "b1"} {
			data[c] = map[int64]float64{}
			for at := base; at.Before(base.Add(time.Hour)); at = at.Add(time.Duration(1+rnd.IntN(40)) * time.Second) {
				if rnd.IntN(20) == 0 {
					at = at.Add(5 * time.Minute)
				}
				v := float64(rnd.IntN(1000))
				data[c][at.UnixMilli()] = v
				lines = fmt.Appendf(lines, "container,container=%s,namespace=%s,pod=p memory_working_set_bytes=%g %d\n", c, c[:1], v, at.UnixMilli())
			}
		}
		if err := h.write(t.Context(), lines); err != nil {
			t.Fatal(err)
		}
		pieces, err := influx.NewReader(influx.ReaderOptions{Conn: h.conn, Piece: 7 * time.Minute, Timeout: 5 * time.Minute, MaxSamples: -1})
		if err != nil {
			t.Fatal(err)
		}
		of := func(d ...int) time.Duration { return time.Duration(d[rnd.IntN(len(d))]) * time.Second }
		for range 150 {
			q := store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: base.Add(of(0, 1, 60, 599)), Step: of(0, 0, 10, 15, 60, 300, 900), Window: of(0, 0, 10, 45, 60, 90, 600, 1000),
				Func: []store.Func{store.Last, store.Avg, store.Max, store.Min, store.Sum, store.Count, store.Quantile}[rnd.IntN(7)], Q: []float64{0, 0.05, 0.3, 0.5, 0.9, 1}[rnd.IntN(6)]}
			q.End = q.Start.Add(of(0, 60, 601, 1800, 3600))
			if rnd.IntN(2) == 0 {
				q.By, q.Join = []string{"namespace"}, []store.Func{"", store.Sum, store.Avg, store.Max, store.Min, store.Count}[rnd.IntN(6)]
			}
			c, err := q.Check()
			if err != nil {
				t.Fatal(err)
			}
			want := data.answer(&q, c.Back, 0)
			for name, r := range map[string]*influx.Reader{"whole": h.adds, "pieces": pieces} {
				got, err := r.Query(t.Context(), q)
				if err != nil {
					t.Fatalf("%s: %+v: %v", name, q, err)
				}
				if c.Newest() { // of those of them that were there at once
					least, most := q, q
					least.Join = store.Min
					if q.Join == store.Avg {
						most.Join = store.Max
					}
					low := data.answer(&least, c.Back, 0)
					if q.Join == store.Count {
						for _, at := range low {
							for t := range at {
								at[t] = 1
							}
						}
					}
					between(t, name, &q, got, want, low, data.answer(&most, c.Back, 0))
					continue
				}
				if c.Meets() { // the sum of a moment, of which a part of the window stands for one: ten seconds at its ends
					least, most, edge := q, q, 10*time.Second
					least.Func, least.Join, most.Func = store.Min, store.Min, store.Max
					low := data.answer(&least, c.Back, edge)
					if q.Func == store.Max {
						least.Func, least.Join = store.Max, store.Max
						low = data.answer(&least, c.Back, -edge)
					}
					between(t, name, &q, got, want, low, data.answer(&most, c.Back, edge))
					continue
				}
				compare(t, name, &q, got, want)
			}
		}
	})
}

// between holds an answer to the points that it must have, and to the least and the most that they can be.
func between(t *testing.T, name string, q *store.Query, got []store.Series, want, least, most map[string]map[int64]float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %+v: got %d series, want %d", name, *q, len(got), len(want))
		return
	}
	for i := range got {
		namespace := got[i].Label("namespace")
		low, high := least[namespace], most[namespace]
		if n := len(want[namespace]); len(got[i].Samples) != n {
			t.Errorf("%s: %+v: %v: got %d points, want %d", name, *q, got[i].Labels, len(got[i].Samples), n)
		}
		for _, x := range got[i].Samples {
			if h, ok := high[x.T]; !ok || x.V > h*(1+1e-9) || x.V < low[x.T]*(1-1e-9) {
				t.Errorf("%s: %+v: %v: got %g at %d, want %g to %g", name, *q, got[i].Labels, x.V, x.T, low[x.T], h)
				break
			}
		}
	}
}

func compare(t *testing.T, name string, q *store.Query, got []store.Series, want map[string]map[int64]float64) {
	t.Helper()
	label := "container"
	if q.By != nil {
		label = "namespace"
	}
	if len(got) != len(want) {
		t.Errorf("%s: %+v: got %d series, want %d", name, *q, len(got), len(want))
		return
	}
	for i := range got {
		w := want[got[i].Label(label)]
		if len(w) != len(got[i].Samples) {
			t.Errorf("%s: %+v: %v: got %d points, want %d", name, *q, got[i].Labels, len(got[i].Samples), len(w))
			continue
		}
		for j, x := range got[i].Samples {
			v, ok := w[x.T]
			if !ok || math.Abs(v-x.V) > 1e-9*math.Abs(v)+1e-9 {
				t.Errorf("%s: %+v: %v: got %g at %d, want %g (%v)", name, *q, got[i].Labels, x.V, x.T, v, ok)
				break
			}
			if j > 0 && got[i].Samples[j-1].T >= x.T {
				t.Errorf("%s: %+v: points are not in order", name, *q)
			}
		}
	}
}
