package autoscaler

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/autoscaler/policy"
)

// Of two processes that share a log, one writes it. Who takes over goes on from what the other left behind there: its changes count
// for the speed limits.
func TestTakeoverFromTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slow = `{minReplicas: 1, maxReplicas: 30, behavior: {scaleUp: {policies: [{type: Pods, value: 2, periodSeconds: 600}]}}}`
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4, 2 * time.Minute: 6}))
		log := &memory{}
		first, second := &gate{}, &gate{closed: errNotLeader}
		told := 0
		_, endFirst := begin(t, w, Options{Policies: []Policy{compiled(t, slow)}, Log: log, Gate: first})
		_, endSecond := begin(t, w, Options{Policies: []Policy{compiled(t, slow)}, Log: log, Gate: second, Told: func(Outcome) { told++ }})
		time.Sleep(3 * time.Minute)
		if w.count() != 6 || slices.ContainsFunc(log.reasons(), func(r string) bool { return strings.Contains(r, string(notLeader)) }) || told != 0 {
			t.Errorf("%d replicas, %d times told, log %v", w.count(), told, log.reasons())
		}
		first.set(errNotLeader)
		time.Sleep(2 * time.Second)
		second.set(nil)
		time.Sleep(time.Minute)
		if w.count() != 6 || told == 0 {
			t.Errorf("%d replicas after the takeover, want the 6 that the speed limit allows; %d times told", w.count(), told)
		}
		endFirst()
		endSecond()
	})
}

// A target that another scaler owns is observed and left alone; once it is nobody else's it is scaled at once.
func TestForeign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4, 2 * time.Minute: 6}))
		log := &memory{}
		p := compiled(t, plain)
		p.Foreign = `HorizontalPodAutoscaler "x" scales it too`
		var last Outcome
		l, end := begin(t, w, Options{Policies: []Policy{p}, Log: log, Told: func(o Outcome) { last = o }})
		time.Sleep(3 * time.Minute)
		d := last.Decision
		if len(w.made()) != 0 || d.Reason != scaledByAnother || !strings.HasPrefix(d.Message, `The count is left alone: HorizontalPodAutoscaler "x" scales it too. Load `) ||
			d.Conditions[0] != (policy.Condition{Type: "AbleToScale", Status: "False", Reason: scaledByAnother, Message: `The count is left alone: HorizontalPodAutoscaler "x" scales it too.`}) {
			t.Errorf("changes %v, decision %+v", w.made(), d)
		}
		p.Foreign = ""
		if err := l.Apply([]Policy{p}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if w.count() <= 4 {
			t.Errorf("%d replicas", w.count())
		}
		end()
	})
}
