package heapster

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/metric"
)

// Units of one name, of the machine and of two users, and one whose path looks like a user's: each has a name of its own, which can be asked for in the
// picture, in the history and in the export.
func TestUnitsOfOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		of := func(space, pod, id string, cpu, memory float64) thing {
			return thing{metric.Entity{Level: metric.Container, Node: "n1", Namespace: space, WorkloadKind: "Unit", Workload: pod, Pod: pod, Container: "foo.service", Runtime: "systemd", ID: id},
				time.Hour, []ware{{metric.CPUUsage, "", cpu}, {metric.MemoryWorkingSet, "", memory * mib}}}
		}
		own := "/user.slice/user-%.slice/user@%.service/app.slice/foo.service"
		want := map[string]thing{
			"foo.service":                  of("system", "foo.service", "/system.slice/foo.service", .01, 1),
			"user-1000/foo.service":        of("user-1000", "foo.service", strings.ReplaceAll(own, "%", "1000"), .05, 2),
			"user-1001/foo.service":        of("user-1001", "foo.service", strings.ReplaceAll(own, "%", "1001"), .1, 4),
			"system/user-1000/foo.service": of("system", "user-1000/foo.service", "/user-1000/foo.service", .2, 8),
		}
		things := machine()[:1]
		var names []string
		for name, th := range want {
			things, names = append(things, th), append(names, name)
		}
		slices.Sort(names)
		now := time.Now().Add(time.Hour).Truncate(10 * time.Second)
		time.Sleep(time.Until(now))
		r := filledWith(t, things, now, 20*time.Minute, nil)
		defer r.close(t)
		since := "?start=" + now.Add(-5*time.Minute).UTC().Format(time.RFC3339)
		for _, base := range []string{modelBase, "/api/v1/historical/"} {
			if d := cmp.Diff(names, ask1[[]string](t, r, base+"nodes/n1/freecontainers")); d != "" {
				t.Errorf("%s: want -, got +:\n%s", base, d)
			}
			for name, th := range want {
				path := base + "nodes/n1/freecontainers/" + url.PathEscape(name) + "/metrics/"
				if got := ask1[[]string](t, r, path); !slices.Contains(got, "memory/working_set") {
					t.Errorf("%s has %q", path, got)
				}
				for _, x := range []struct {
					metric string
					v      float64
				}{{"memory/working_set", th.wares[1].v}, {"cpu/usage_rate", th.wares[0].v * 1000}} {
					got := ask1[Series](t, r, path+x.metric+since)
					if len(got.Metrics) < 25 {
						t.Errorf("%s%s: %d points", path, x.metric, len(got.Metrics))
					}
					for _, p := range got.Metrics {
						if float64(p.Value) != x.v && (p.FloatValue == nil || *p.FloatValue != x.v) {
							t.Errorf("%s%s: got %v, want %g", path, x.metric, p, x.v)
							break
						}
					}
				}
			}
		}
		var all []Exported
		if err := json.Unmarshal(get(r, "/api/v1/metric-export").Body.Bytes(), &all); err != nil {
			t.Fatal(err)
		}
		var exported []string
		for _, x := range all {
			if name := x.Labels["container_name"]; name != "machine" {
				exported = append(exported, name)
			}
		}
		slices.Sort(exported)
		if d := cmp.Diff(names, exported); d != "" {
			t.Errorf("exported: want -, got +:\n%s", d)
		}
	})
}
