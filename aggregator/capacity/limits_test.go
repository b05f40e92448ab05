package capacity

import (
	"math"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// TestLimitsRaisedOnce: a limit that was raised because a container was killed or throttled under it stays, until that happens under the new one.
func TestLimitsRaisedOnce(t *testing.T) {
	g := fixtureGrid()
	u := used(g, 336, 0.2, 120*mi)
	hour := func(n int) int64 { return g.end.Add(time.Duration(n-10) * time.Hour).UnixMilli() }
	under := func(n int, memory, cpu, kills, throttled float64) {
		u.limits.memory[hour(n)], u.limits.cpu[hour(n)] = memory, cpu
		u.limits.kills[hour(n)], u.cfs[hour(n)] = kills, cfs{all: 4, throttled: throttled}
		u.kills += kills
	}
	now := &running{replicas: 2, cpuRequest: at(0.1), cpuLimit: at(0.2), memoryRequest: at(100 * mi), memoryLimit: at(128 * mi)}
	f := func(what string, cpuLimit, memoryLimit float64, memory string) {
		t.Helper()
		a := adviseOn(g, id{}, now, u, goal{})
		if math.Abs(value(a.CPU.AdvisedLimit)-cpuLimit) > 1e-9 || value(a.Memory.AdvisedLimit) != memoryLimit || !strings.HasSuffix(a.Reason, memory) {
			t.Errorf("%s: limits %g and %g, %q\nwant %g and %g, %q", what, value(a.CPU.AdvisedLimit), value(a.Memory.AdvisedLimit), a.Reason, cpuLimit, memoryLimit, memory)
		}
		now.cpuRequest, now.cpuLimit = a.CPU.Advised, greater(now.cpuLimit, a.CPU.AdvisedLimit)
		now.memoryRequest, now.memoryLimit = a.Memory.Advised, greater(now.memoryLimit, a.Memory.AdvisedLimit)
	}
	under(0, 128*mi, 0.2, 1, 2)
	f("hit", 0.3, 160*mi, "Raise memory from 100Mi to 160Mi: killed for memory once, and a quarter above the limit it hit (128Mi); its limit of 128Mi should be 160Mi.")
	const kept = "Keep memory at 160Mi: killed for memory once, and a quarter above the limit it hit (128Mi)."
	f("taken", -1, -1, kept)
	under(1, 160*mi, 0.3, 0, 0)
	f("taken for an hour", -1, -1, kept)
	under(2, 160*mi, 0.3, 1, 2)
	f("hit again", 0.38, 200*mi, "Raise memory from 160Mi to 200Mi: killed for memory 2 times, and a quarter above the limit it hit (160Mi); its limit of 160Mi should be 200Mi.")
	f("taken again", -1, -1, "Keep memory at 200Mi: killed for memory 2 times, and a quarter above the limit it hit (160Mi).")
}

// TestRaisedLimitsOnTheRealStore: limits that were raised within the hour in which they were hit are not raised further.
func TestRaisedLimitsOnTheRealStore(t *testing.T) {
	w := newWorld(t, worldStart, time.Minute, 3*day)
	w.node("n1", 4, 8*gi, true, steady(1), steady(gi))
	const changed = 2*day + 10*time.Hour + 40*time.Minute
	for _, x := range []struct {
		pod  string
		size size
		hit  bool
	}{{"web-1", size{0.5, 0.5, 128 * mi, 128 * mi}, true}, {"web-2", size{0.68, 0.7, 160 * mi, 160 * mi}, false}} {
		c := w.container("n1", "shop", "Deployment", "web", x.pod, "app", x.size, steady(0.48), steady(120*mi))
		c.born = changed + time.Minute
		if x.hit {
			c.born, c.dies = 0, changed
		}
		rest, periods, throttled := c.more, 0.0, 0.0
		c.more = func(at time.Duration) []metric.Point {
			out := rest(at)
			periods += 600
			if x.hit {
				throttled += 240
				if at > changed-20*time.Minute {
					out[0].V = 1
				}
			}
			return append(out, metric.Point{ID: metric.CPUPeriods, V: periods}, metric.Point{ID: metric.CPUThrottledPeriods, V: throttled})
		}
	}
	w.run(3*day, never, right)
	r, err := Rightsize(t.Context(), w.db, w.picture.Snapshot(worldStart.Add(3*day)), nil, RightsizeOptions{Window: 3 * day})
	if err != nil {
		t.Fatal(err)
	}
	a := row(r, "web", "app")
	if a.OOMKills != 1 || or(a.Throttled, 0) < 0.3 || a.CPU.AdvisedLimit != nil || a.Memory.AdvisedLimit != nil || a.Memory.Action != Keep || !strings.Contains(a.Reason, "the limit it hit (128Mi)") {
		t.Errorf("%d kills, throttled %g, limits %g and %g: %s", a.OOMKills, or(a.Throttled, 0), value(a.CPU.AdvisedLimit), value(a.Memory.AdvisedLimit), a.Reason)
	}
}
