package autoscaler

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// gauge is a fake Meter: one value for each question, read every five seconds.
type gauge struct {
	mu      sync.Mutex
	value   cluster.Milli
	problem string
	read    time.Time
}

func (g *gauge) set(value cluster.Milli, problem string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.value, g.problem = value, problem
}

func (g *gauge) Read(_ context.Context, _ cluster.Target, questions []policy.Question, _ []*cluster.Pod, changed time.Time) (out []policy.Reading) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); now.Sub(g.read) >= 5*time.Second {
		g.read = now
	}
	for range questions {
		if g.problem != "" {
			out = append(out, policy.Reading{Problem: g.problem})
			continue
		}
		out = append(out, policy.Reading{Values: []cluster.Milli{g.value}, Read: g.read})
	}
	return out
}

const byQueue = `{minReplicas: 1, maxReplicas: 100, behavior: {scaleDown: {stabilizationWindowSeconds: 0}, scaleUp: {policies: [{type: Percent, value: 900, periodSeconds: 1}]}},
 metrics: [{type: External, external: {metric: {name: queue}, target: {type: KIND}}}]}`

// An External metric scales; while it cannot be read nothing is changed; after that nothing is lowered until it has been seen for a whole stable window.
func TestMeter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, g := newWorld(2, steps(nil)), &gauge{value: 20000}
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, strings.Replace(byQueue, "KIND", `AverageValue, averageValue: "10"`, 1))}, Meter: g})
		defer end()
		is := func(what string, after time.Duration, want cluster.DesiredReplicas) {
			t.Helper()
			time.Sleep(after)
			if n := w.count(); n != want {
				t.Errorf("%s: %d replicas, want %d: %+v", what, n, want, l.Scaled(time.Now())[0].Last)
			}
		}
		is("enough", 10*time.Second, 2)
		g.set(60000, "")
		is("a longer queue", 2*time.Second, 6)
		g.set(10000, "nobody answers")
		is("nothing is known", time.Minute, 6)
		if last := l.Scaled(time.Now())[0].Last; last.Reason != string(policy.FailedExternalMetric) || !strings.Contains(last.Message, "nobody answers") {
			t.Errorf("got %s: %s", last.Reason, last.Message)
		}
		g.set(10000, "")
		is("it is known again", 50*time.Second, 6)
		is("for long enough", 12*time.Second, 1)
	})
}

// A metric that takes the place of another is seen for a whole stable window before it lowers, whatever was seen of the other one.
func TestAnotherMetricIsSeenAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, g := newWorld(6, steps(nil)), &gauge{value: 60000}
		text := strings.Replace(byQueue, "KIND", `AverageValue, averageValue: "10"`, 1)
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, text)}, Meter: g})
		defer end()
		time.Sleep(5 * time.Minute)
		g.set(10000, "")
		if err := l.Apply([]Policy{compiled(t, strings.Replace(text, "name: queue", "name: mails", 1))}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		if n := w.count(); n != 6 {
			t.Errorf("lowered to %d at once", n)
		}
		time.Sleep(12 * time.Second)
		if n := w.count(); n != 1 {
			t.Errorf("%d replicas after a whole window", n)
		}
	})
}

// A ratio counts once: after a change it is waited for one that was read since.
func TestMeterIsNotHeldTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, g := newWorld(2, steps(nil)), &gauge{value: 20000}
		_, end := begin(t, w, Options{Policies: []Policy{compiled(t, strings.Replace(byQueue, "KIND", `Value, value: "10"`, 1))}, Meter: g})
		defer end()
		var counts []cluster.DesiredReplicas
		for range 12 {
			time.Sleep(time.Second)
			counts = append(counts, w.count())
		}
		if n := w.count(); n > 16 || n < 8 { // 4, 8, 16: one doubling for each reading
			t.Errorf("got %v", counts)
		}
	})
}

// polled is an observer of which the pods of even numbers are told of by kubelets, every fifteen seconds.
type polled struct{ *world }

func (h polled) Usage(now time.Time, pods []*cluster.Pod, name cluster.ResourceName, d time.Duration) (out []cluster.PodUsage) {
	for _, u := range h.world.Usage(now, pods, name, d) {
		if (u.Pod[len(u.Pod)-1]-'0')%2 == 0 {
			u.Source, u.Timestamp, u.Window = "kubelet", now.Truncate(15*time.Second).Add(-5*time.Second), 15*time.Second
		}
		out = append(out, u)
	}
	return out
}

// Pods on nodes without a collector count with what their kubelets say, however old that is for a look, and the story says so.
func TestKubeletsPods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4, 3 * time.Minute: 2.4}))
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Observer: polled{w}})
		defer end()
		for range 120 {
			time.Sleep(time.Second)
			if s := l.Scaled(time.Now())[0]; s.Last != nil && time.Since(w.began) > time.Minute && (s.Gap != nil || !strings.Contains(s.Last.Message, "Of 4 pods 2 are measured by kubelet.")) {
				t.Fatalf("got %s, gap %+v", s.Last.Message, s.Gap)
			}
		}
		if len(w.made()) != 0 {
			t.Errorf("changes %v", w.made())
		}
		time.Sleep(3 * time.Minute)
		if n := w.count(); n < 7 {
			t.Errorf("%d replicas", n)
		}
	})
}

// Of a metric that the policy asks for no more nothing is kept, and what was seen of one that it still asks for is.
func TestMetricsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := func(i int) Policy {
			return compiled(t, fmt.Sprintf(`{minReplicas: 1, maxReplicas: 9, metrics: [{type: External, external: {metric: {name: queue}, target: {type: Value, value: "10"}}}, {type: External, external: {metric: {name: m%d}, target: {type: Value, value: "10"}}}]}`, i))
		}
		l, end := begin(t, newWorld(2, steps(nil)), Options{Policies: []Policy{p(0)}, Meter: &gauge{value: 10000}})
		for i := range 20 {
			if err := l.Apply([]Policy{p(i)}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
		}
		end()
		x := l.order[0]
		if v := x.others[viewOf(&p(0).Compiled.Questions()[0])]; len(x.others) != 2 || v == nil || v.span(x.second) < 35*time.Second {
			t.Errorf("of two metrics %d views are kept, the first one %+v", len(x.others), v)
		}
	})
}
