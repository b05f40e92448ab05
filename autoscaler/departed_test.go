package autoscaler

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What pods used that are gone is with those that stay: the count comes down to what the load needs and no further, and stays while pods are replaced.
func TestLoadOfPodsThatLeave(t *testing.T) {
	quick := strings.Replace(plain, "minReplicas: 1", "minReplicas: 1, behavior: {scaleDown: {stabilizationWindowSeconds: 0}}", 1)
	for name, c := range map[string]struct {
		demand func(time.Duration) float64
		during func(w *world) // from the third minute on
		want   string
	}{
		"a fall of the load":           {steps(map[time.Duration]float64{0: 1.2, 3 * time.Minute: 0.5}), nil, "4->3 3->2"},
		"a fall while pods come alive": {steps(map[time.Duration]float64{0: 1.2, 3 * time.Minute: 0.5}), replaced, "4->2"},
		"a rolling update":             {steps(map[time.Duration]float64{0: 1.2}), replaced, ""},
		"a step of the load after it":  {steps(map[time.Duration]float64{0: 1.2, 3 * time.Minute: 0.5, 6 * time.Minute: 2}), nil, "4->3 3->2 2->6"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(4, c.demand)
				_, end := begin(t, w, Options{Policies: []Policy{compiled(t, quick)}})
				time.Sleep(3 * time.Minute)
				if c.during != nil {
					c.during(w)
				}
				time.Sleep(7 * time.Minute)
				end()
				var got []string
				for _, x := range w.made() {
					got = append(got, fmt.Sprintf("%d->%d", x.from, x.to))
				}
				if strings.Join(got, " ") != c.want {
					t.Errorf("made %v, want %s", w.made(), c.want)
				}
			})
		})
	}
}

// replaced makes one pod after another anew, as a rolling update does.
func replaced(w *world) {
	for range 4 {
		time.Sleep(5 * time.Second)
		w.set(func() {
			w.next++
			w.pods = append(w.pods[1:], &fakePod{name: fmt.Sprintf("web-%d", w.next), start: time.Now()})
		})
	}
}

// A load that is each pod's own is not shared by pods that somebody adds: what they have used since they are ready is all of it, and nothing has fallen.
func TestLoadOfTheirOwn(t *testing.T) {
	quick := strings.Replace(plain, "minReplicas: 1", "minReplicas: 1, behavior: {scaleDown: {stabilizationWindowSeconds: 0}}", 1)
	for from, to := range map[int]int{1: 3, 2: 3, 3: 8} {
		synctest.Test(t, func(t *testing.T) {
			var w *world
			w = newWorld(from, func(time.Duration) (all float64) {
				for _, p := range w.pods {
					if time.Since(p.start) > w.delay {
						all += 0.33 // 66 % of what it asks for
					}
				}
				return all
			})
			_, end := begin(t, w, Options{Policies: []Policy{compiled(t, quick)}})
			time.Sleep(2 * time.Minute)
			w.set(func() { w.resize(to) })
			time.Sleep(4 * time.Minute)
			end()
			if made := w.made(); len(made) > 0 {
				t.Errorf("from %d to %d by hand: made %v", from, to, made)
			}
		})
	}
}

// What comes in bursts has not fallen in a lull after somebody has added pods: half the stable window has been seen with all of them before it is lowered.
func TestLullAfterPodsWereAdded(t *testing.T) {
	quick := strings.Replace(plain, "minReplicas: 1", "minReplicas: 1, behavior: {scaleDown: {stabilizationWindowSeconds: 0}}", 1)
	synctest.Test(t, func(t *testing.T) {
		var w *world
		w = newWorld(3, func(at time.Duration) (all float64) {
			each := 0.05 // of each pod, 39 % of what it asks for in the mean
			if int(at.Seconds())%20 < 10 {
				each = 0.34
			}
			for _, p := range w.pods {
				if time.Since(p.start) > w.delay {
					all += each
				}
			}
			return all
		})
		w.delay = 10 * time.Second
		began := time.Now()
		_, end := begin(t, w, Options{Policies: []Policy{compiled(t, quick)}})
		time.Sleep(3 * time.Minute)
		before := len(w.made())
		w.set(func() { w.resize(8) })
		time.Sleep(90 * time.Second)
		end()
		made := w.made()[before:]
		if len(made) == 0 || made[0].at < 3*time.Minute+38*time.Second || made[0].to < 4 {
			t.Errorf("made %v since %v", made, began)
		}
	})
}
