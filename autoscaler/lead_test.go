package autoscaler

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
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

// A log that cannot be read for a moment at a takeover is asked again: until it can be read nothing is lowered, and then the speed limits count what the
// other one took away. What is raised meanwhile is raised.
func TestTakeoverFromALogThatIsAway(t *testing.T) {
	const slow = `{minReplicas: 1, maxReplicas: 30, behavior: {scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 1, periodSeconds: 1800}]}}}`
	f := func(load float64, while, after cluster.DesiredReplicas) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(8, steps(map[time.Duration]float64{0: 2.8, 5 * time.Minute: 0.4, 10 * time.Minute: load}))
			log := &memory{}
			first, second := &gate{}, &gate{closed: errNotLeader}
			_, endFirst := begin(t, w, Options{Policies: []Policy{compiled(t, slow)}, Log: log, Gate: first})
			l, endSecond := begin(t, w, Options{Policies: []Policy{compiled(t, slow)}, Log: log, Gate: second})
			time.Sleep(10*time.Minute - time.Second)
			if w.count() != 7 {
				t.Fatalf("%d replicas before the takeover, want 7: %v", w.count(), w.made())
			}
			first.set(errNotLeader)
			log.set(errBroken)
			time.Sleep(2 * time.Second)
			second.set(nil)
			time.Sleep(time.Minute)
			if d := l.Scaled(time.Now())[0].Last; w.count() != while || while == 7 && (d.Reason != string(policy.AwaitingLook) || !strings.HasPrefix(d.Message, "The load asks for fewer, but earlier decisions cannot be read yet: the hand is broken. ")) {
				t.Errorf("%d replicas while the log is away, want %d: %s %s", w.count(), while, d.Reason, d.Message)
			}
			log.set(nil)
			time.Sleep(5 * time.Minute)
			if d := l.Scaled(time.Now())[0].Last; w.count() != after || d.Reason == string(policy.AwaitingLook) {
				t.Errorf("%d replicas once it is back, want %d: %s %s", w.count(), after, d.Reason, d.Message)
			}
			endFirst()
			endSecond()
		})
	}
	f(0.4, 7, 7)
	f(4.5, 12, 12)
}

// Of two processes that share a history the one that may write keeps the targets' series there; in a history of its own each does.
func TestSeriesOfWhoLeads(t *testing.T) {
	for shared, want := range map[bool][2]int{true: {6, 6}, false: {12, 12}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
			gates, kept := [2]*gate{{}, {closed: errNotLeader}}, [2]*memory{{}, {}}
			var ends [2]func()
			for i := range gates {
				_, ends[i] = begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, History: kept[i], Shared: shared, Gate: gates[i]})
			}
			time.Sleep(time.Minute)
			gates[0].set(errNotLeader)
			gates[1].set(nil)
			time.Sleep(time.Minute)
			for i := range gates {
				ends[i]()
			}
			if got := [2]int{len(kept[0].batches), len(kept[1].batches)}; got != want {
				t.Errorf("shared %v: %d points are kept, want %d", shared, got, want)
			}
		})
	}
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
