package live

import (
	"fmt"
	"testing"

	"plimsoll.dev/plimsoll/internal/metric"
)

// A server is started while three collectors of two cores each go on. What they held back comes first of some of them, with old times, and of others not at all. No interval of
// a sum says less than all use, be it the first, without a word that parts are missing.
func TestSumsOfAStartAreWhole(t *testing.T) {
	machines := []string{"a", "b", "kk"}
	for _, comes := range []float64{0, 4, 9, 9.75, 12} { // how long after the start what was held back comes
		for _, held := range []float64{0, 4, 18, 45} {
			for _, who := range []int{1, 2} { // how many have held something back
				t.Run(fmt.Sprint(comes, held, who), func(t *testing.T) {
					first := comes < 9.5 || comes < 10 && held > 0 // all come before the first pass; who comes later is not known to be lacking
					c := newCurve(t)
					c.whole = true
					for s := 0.0; s < 100; s += 0.25 {
						for i, m := range machines {
							holds := i < who
							if holds && s < comes {
								continue
							}
							if holds && s == comes {
								for at := s - held; at < s; at += 10 { // by the slow lane
									b := busy(m, at+0.3, false)
									b.Time = sec(s)
									apply(t, c.p, b)
								}
							}
							if at := 0.1 + 0.3*float64(i); s-float64(int(s)) == 0.25*float64(i) {
								apply(t, c.p, busy(m, float64(int(s))+at, true))
							}
						}
						if int(s*4)%40 == 39 {
							c.pass(s + 0.2)
						}
					}
					for _, l := range []metric.Level{metric.Workload, metric.Namespace, metric.Cluster} {
						for k, x := range c.of[l] {
							if lack := c.lack[l][len(c.lack[l])-len(c.of[l])+k]; x.rate > 6.001 || x.rate < 5.999 && lack == 0 && (x.to > 25 || first) {
								t.Errorf("%v: %.3f cores from %.2f to %.2f, %v missing, want 6", l, x.rate, x.from, x.to, lack)
							}
						}
						if n := len(c.of[l]); n < 9 || c.of[l][n-1].to < 90 {
							t.Errorf("%v: %d intervals, %+v", l, n, c.of[l])
						}
					}
				})
			}
		}
	}
}

// What has ended before the first pass is no member: it neither shortens the first interval nor adds to it.
func TestSumsOfAStartAreWithoutWhatHasEnded(t *testing.T) {
	c := newCurve(t)
	c.whole = true
	for s := 0.25; s < 30; s++ {
		b := busy("a", s, true)
		if s < 2 {
			gone := *b.Groups[1].Entity
			gone.Pod, gone.ID = "gone", "/kubepods/gone"
			b.Groups = append(b.Groups, cpu(&gone, sec(s), 5*s, 100))
		}
		apply(t, c.p, b)
		if int(s)%10 == 9 {
			c.pass(s + 0.5)
		}
	}
	for _, l := range []metric.Level{metric.Workload, metric.Namespace, metric.Cluster} {
		if x := c.of[l]; len(x) != 3 || x[0].from > 0.3 || x[0].rate < 1.999 || x[0].rate > 2.001 {
			t.Errorf("%v: %+v, want 2 cores from the first sample on", l, x)
		}
	}
}
