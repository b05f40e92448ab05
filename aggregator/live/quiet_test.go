package live

import (
	"fmt"
	"testing"

	"plimsoll.dev/plimsoll/internal/metric"
)

// One of three collectors stops some seconds before a pass. What the sums lack of it is told with the first of them that reads less, not with the next.
func TestSumsLackAMachineThatHasJustStopped(t *testing.T) {
	for _, stops := range []float64{45, 46, 47, 48} { // before the pass at 49.75
		for _, back := range []float64{59, 64, 1000, 1001} { // 1001: the last word is by the slow lane
			t.Run(fmt.Sprint(stops, back), func(t *testing.T) {
				c := newCurve(t)
				for s := 0.25; s < 100; s++ {
					for _, m := range []string{"a", "b", "kk"} {
						if m != "kk" || s < stops || s > back {
							apply(t, c.p, busy(m, s, back != 1001 || m != "kk" || s != stops-0.75))
						}
					}
					if int(s)%10 == 9 {
						c.pass(s + 0.5)
					}
				}
				for _, l := range []metric.Level{metric.Workload, metric.Namespace, metric.Cluster} {
					for k, x := range c.of[l] {
						lack := c.lack[l][k+len(c.lack[l])-len(c.of[l])]
						if (x.rate < 5.999) != (lack > 0) && (back > 100 || x.to < back) || x.to < stops && lack > 0 {
							t.Errorf("%v: %.3f cores from %.2f to %.2f, %v missing", l, x.rate, x.from, x.to, lack)
						}
					}
				}
			})
		}
	}
}
