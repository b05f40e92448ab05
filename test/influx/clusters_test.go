package influx_test

import (
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/influx"
	"plimsoll.dev/plimsoll/test/influx/influxtest"
)

// TestClustersShareABucket: three write the same names to one bucket, one of them without a cluster's name. Who has a name reads what is its own, who has none reads all.
func TestClustersShareABucket(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		h := newHistory(t, s, "shared")
		end := time.Now().UTC().Truncate(time.Hour).Add(-time.Hour)
		start := end.Add(-72 * time.Hour)
		target := cluster.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "cart"}
		names := map[string]float64{"east": 1, "west": 10, "": 100}
		for name, v := range names {
			enc, err := influx.NewEncoder(influx.EncoderOptions{Cluster: name})
			if err != nil {
				t.Fatal(err)
			}
			x := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", WorkloadKind: "Deployment", Workload: "cart", Pod: "cart-1", Container: "app"}
			var lines []byte
			for at := start; !at.After(end); at = at.Add(2 * time.Minute) {
				b := &metric.Batch{Node: "n1", Time: at, Groups: []metric.Group{{Entity: x, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: v}}}}}
				lines, _ = enc.Encode(lines, b, at)
			}
			if lines, err = influx.EncodeDecision(lines, name, cluster.Decision{Time: end, Target: target, Action: "Up", From: 1, To: int32(v)}); err != nil {
				t.Fatal(err)
			}
			if err := h.write(t.Context(), lines); err != nil {
				t.Fatal(err)
			}
		}
		if err := newSetup(t, influx.SetupOptions{Conn: h.conn}).Backfill(t.Context(), start, end); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]float64{"east": 1, "west": 10, "north": 0, "": 111} {
			for way, most := range map[string]int{"samples": 0, "server": -1} {
				r, err := influx.NewReader(influx.ReaderOptions{Conn: h.conn, Cluster: name, Interval: 2 * time.Minute, Timeout: 5 * time.Minute, MaxSamples: most})
				if err != nil {
					t.Fatal(err)
				}
				for what, since := range map[string]time.Time{"two hours": end.Add(-2 * time.Hour), "three days": start} {
					q := store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, By: []string{"workload"}, Join: store.Sum, Func: store.Max, Start: since, End: end}
					got, err := r.Query(t.Context(), q)
					if v := lastOf(got); err != nil || v != want {
						t.Errorf("%s of cluster %q by %s: got %v, %v, want %v", what, name, way, got, err, want)
					}
				}
				all, err := r.Decisions(t.Context(), store.DecisionQuery{Target: target})
				sum := 0.0
				for _, d := range all {
					sum += float64(d.To)
				}
				if err != nil || sum != want {
					t.Errorf("decisions of cluster %q: got %v, %v, want %v replicas in all", name, all, err, want)
				}
			}
		}
	})
}

// lastOf is the newest value of the one series that there is, zero if there is none.
func lastOf(all []store.Series) float64 {
	if len(all) != 1 || len(all[0].Samples) == 0 {
		return 0
	}
	return all[0].Samples[len(all[0].Samples)-1].V
}
