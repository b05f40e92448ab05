package autoscaler

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// fakeUsage is a fake second source: it makes up what metrics.k8s.io would say, 15 s old and over 30 s.
type fakeUsage struct {
	mu    sync.Mutex
	each  cluster.Milli
	fail  error
	asked map[string]bool // the pods
}

func (f *fakeUsage) PodUsage(_ context.Context, _ cluster.Target, pods []*cluster.Pod) (out []cluster.PodUsage, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = map[string]bool{}
	for _, p := range pods {
		f.asked[p.Name] = true
		out = append(out, cluster.PodUsage{Pod: p.Name, Timestamp: time.Now().Add(-15 * time.Second), Window: 30 * time.Second,
			Containers: []cluster.ContainerUsage{{Name: "web", Usage: cluster.Resources{{Name: "cpu", Milli: f.each}, {Name: "memory", Milli: 1000}}}}})
	}
	return out, f.fail
}

func (f *fakeUsage) set(each cluster.Milli) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked, f.each = nil, each
}

// half is an observer that knows only pods of odd numbers.
type half struct{ *world }

func (h half) Usage(now time.Time, pods []*cluster.Pod, name cluster.ResourceName, d time.Duration) (out []cluster.PodUsage) {
	for _, u := range h.world.Usage(now, pods, name, d) {
		if (u.Pod[len(u.Pod)-1]-'0')%2 == 1 {
			out = append(out, u)
		}
	}
	return out
}

// What the live picture does not know is taken from the second source, of whole targets and of single pods; never what it knows.
func TestSecondSource(t *testing.T) {
	for name, c := range map[string]struct {
		observer func(*world) Observer
		asked    int
	}{
		"no pod is known":   {func(w *world) Observer { w.blind = true; return w }, 4},
		"half of them are":  {func(w *world) Observer { return half{w} }, 2},
		"all of them are":   {func(w *world) Observer { return w }, 0},
		"nothing is needed": {func(w *world) Observer { w.desired, w.pods = 4, w.pods[:0]; return w }, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(4, steps(map[time.Duration]float64{0: 1.4})) // 350m of 500m for each
			f := &fakeUsage{each: 350}
			l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Observer: c.observer(w), Usage: f})
			time.Sleep(2 * time.Minute)
			f.set(350)
			time.Sleep(time.Second)
			f.mu.Lock()
			asked := f.asked
			f.mu.Unlock()
			s := l.Scaled(time.Now())[0]
			if len(asked) != c.asked || len(w.made()) != 0 {
				t.Errorf("%s: asked for %v, changes %v", name, asked, w.made())
			}
			if name != "nothing is needed" && (s.Gap != nil || s.Last.Reason == string(policy.FailedResourceMetric) || s.Metrics[0].Load == nil) {
				t.Errorf("%s: %+v, gap %v", name, s.Last.Message, s.Gap)
			}
			f.set(490)
			time.Sleep(2 * time.Second)
			if raised := w.count() > 4; raised != (c.asked > 0) {
				t.Errorf("%s: %d replicas after the second source tells of more load", name, w.count())
			}
			end()
		})
	}
}

// An error of the second source fails a decision only where nothing fresher is there.
func TestSecondSourceFails(t *testing.T) {
	for name, blind := range map[string]bool{"no pod is known": true, "half of them are": false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
			w.blind = blind
			l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Observer: half{w}, Usage: &fakeUsage{fail: errors.New("the server is away")}})
			time.Sleep(2 * time.Minute)
			s := l.Scaled(time.Now())[0]
			if failed := s.Last.Reason == string(policy.FailedResourceMetric); failed != blind || len(w.made()) != 0 {
				t.Errorf("%s: %s: %s, changes %v", name, s.Last.Reason, s.Last.Message, w.made())
			}
			if blind && !strings.Contains(s.Last.Message, "the server is away") {
				t.Errorf("%s: %s", name, s.Last.Message)
			}
			end()
		})
	}
}

// With the second source alone a count is lowered, too, but not before a whole stable window was seen.
func TestSecondSourceLowers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
		w.blind = true
		quick := strings.Replace(plain, "{", "{behavior: {scaleDown: {stabilizationWindowSeconds: 0}}, ", 1)
		_, end := begin(t, w, Options{Policies: []Policy{compiled(t, quick)}, Usage: &fakeUsage{each: 100}})
		time.Sleep(10 * time.Minute)
		end()
		if len(w.made()) == 0 || w.made()[0].at < 58*time.Second || w.count() > 2 {
			t.Errorf("changes %v", w.made())
		}
	})
}
