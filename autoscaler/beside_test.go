package autoscaler

import (
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// A boosted HPA may add four pods a minute: what it adds itself counts, what it takes away too, and what Plimsoll adds counts once. Where nobody is helped, a person's change does not.
func TestSpeedLimitBesideAnother(t *testing.T) {
	const boost = `{minReplicas: 1, maxReplicas: 30, raiseOnly: true, behavior: {scaleUp: {policies: [{type: Pods, value: 4, periodSeconds: 60}]}}}`
	const step = 5 * time.Minute
	for _, f := range []struct {
		name, owner, text string
		others            []int // counts that somebody sets, five seconds apart, until a second before the step
		want, later       cluster.DesiredReplicas
	}{
		{"nobody adds any", "HPA web", boost, nil, 8, 12},
		{"the HPA adds all", "HPA web", boost, []int{8}, 8, 12},
		{"the HPA adds some", "HPA web", boost, []int{6}, 8, 12},
		{"the HPA adds some and takes them away", "HPA web", boost, []int{7, 4}, 8, 12},
		{"a person adds some", "", boost, []int{8}, 12, 16},
		{"no limits are given", "HPA web", `{minReplicas: 1, maxReplicas: 30, raiseOnly: true}`, []int{8}, 30, 30},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(4, steps(map[time.Duration]float64{0: 1.4, step: 14}))
			p := compiled(t, f.text)
			p.Owner = f.owner
			_, end := begin(t, w, Options{Policies: []Policy{p}})
			time.Sleep(step - time.Second - time.Duration(len(f.others))*5*time.Second)
			for _, n := range f.others {
				time.Sleep(5 * time.Second)
				w.set(func() { w.resize(n) })
			}
			time.Sleep(40 * time.Second)
			if n := w.count(); n != f.want {
				t.Errorf("%s: %d replicas within a minute, want %d: %v", f.name, n, f.want, w.made())
			}
			time.Sleep(time.Minute)
			if n := w.count(); n != f.later {
				t.Errorf("%s: %d replicas a minute later, want %d: %v", f.name, n, f.later, w.made())
			}
			end()
		})
	}
}
