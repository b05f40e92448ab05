package influx

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// TestClustersShareABucket: what a cluster with a name asks for is its own, whatever the question; one without a name asks as if nobody else were there.
func TestClustersShareABucket(t *testing.T) {
	now := time.Now().Truncate(time.Hour)
	lately, month := now.Add(-time.Hour), now.Add(-30*24*time.Hour)
	by := []string{"namespace", "workload"}
	questions := map[string]store.Query{
		"the greatest sum":   {Row: metric.MemoryWorkingSet, Level: metric.Container, By: by, Join: store.Sum, Func: store.Max, Start: lately, End: now},
		"samples":            {Row: metric.CPUUsage, Level: metric.Container, By: by, Join: store.Sum, Func: store.Rate, Start: lately, End: now},
		"the newest":         {Row: metric.MemoryWorkingSet, Level: metric.Container, By: by, Join: store.Sum, Func: store.Last, Start: lately, End: now, Step: time.Minute, Window: 5 * time.Minute},
		"increases":          {Row: metric.NetworkReceive, Level: metric.Node, Func: store.Increase, Start: lately, End: now, Step: time.Minute},
		"a month":            {Row: metric.MemoryWorkingSet, Level: metric.Container, By: by, Join: store.Sum, Func: store.Max, Start: month, End: now},
		"a month's quantile": {Row: metric.CPUUsage, Level: metric.Container, Func: store.Quantile, Q: 0.95, RateOver: time.Minute, Start: month, End: now},
	}
	for _, name := range []string{"", "it's a"} {
		var asked []string
		r := reader(t, ReaderOptions{Cluster: name}, func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("X-Influxdb-Version", "1.8.10")
			q := req.Form.Get("q")
			if q == "" || strings.Contains(q, " AS n FROM \"d\"") { // gaps
				_, _ = io.WriteString(w, `{"results":[{"statement_id":0}]}`)
			} else {
				_, _ = io.WriteString(w, `{"results":[{"statement_id":0,"series":[{"tags":{"pod":"a"},"columns":["time","v","w"],"values":[[1600000000000,1,1]]}]}]}`)
			}
			asked = append(asked, q)
		})
		all := func(what string, err error) {
			if err != nil || len(asked) == 0 {
				t.Errorf("%s of cluster %q: got error %v after %d questions", what, name, err, len(asked))
			}
			for _, q := range asked {
				got, want := strings.Count(q, `"cluster" = 'it\'s a'`), strings.Count(q, `FROM "`)
				if name == "" {
					got, want = strings.Count(q, `"cluster" =`), 0
				}
				if got != want {
					t.Errorf("%s of cluster %q: a cluster is named %d times in %s, want %d", what, name, got, q, want)
				}
			}
			asked = nil
		}
		for what, q := range questions {
			_, err := r.Query(t.Context(), q)
			if strings.Contains(what, "month") && !slices.ContainsFunc(asked, func(q string) bool { return strings.Contains(q, "container_1h") && !strings.Contains(q, "FIRST") }) {
				t.Errorf("%s: asks for no roll-up: %q", what, asked)
			}
			all(what, err)
		}
		_, err := r.Decisions(t.Context(), store.DecisionQuery{Start: lately, End: now, Limit: 1})
		all("decisions", err)
		b := &backfiller{Setup: &Setup{conn: r.opts.Conn}, opts: BackfillOptions{Cluster: name}}
		_, err = b.openGaps(t.Context(), Hour, now)
		asked = slices.DeleteFunc(asked, func(q string) bool { return q == "" })
		all("gaps", err)
	}
}

// TestClusterIsCut: a name that is too long for a tag is asked for as it was written.
func TestClusterIsCut(t *testing.T) {
	long := strings.Repeat("x", 2*MaxTag)
	var asked string
	r := reader(t, ReaderOptions{Cluster: long}, func(w http.ResponseWriter, req *http.Request) {
		asked = req.Form.Get("q")
		_, _ = io.WriteString(w, `{"results":[{"statement_id":0}]}`)
	})
	for what, f := range map[string]func() error{
		"a query":   func() error { _, err := r.Query(t.Context(), readQuery()); return err },
		"decisions": func() error { _, err := r.Decisions(t.Context(), store.DecisionQuery{}); return err },
	} {
		if want := fmt.Sprintf(`"cluster" = '%s'`, TagValue(long)); f() != nil || !strings.Contains(asked, want) {
			t.Errorf("%s: got %.300s, want %s", what, asked, want)
		}
	}
}
