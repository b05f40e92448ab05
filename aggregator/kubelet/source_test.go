package kubelet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// fleet is some nodes with their kubelets and pods.
type fleet struct {
	t       *testing.T
	pods    []*cluster.Pod
	nodes   []*cluster.Node
	unknown atomic.Bool // which pods there are
	picture *live.Picture
	source  *Source

	mu    sync.Mutex
	asked map[string][]time.Time // by address
	// answer is what a kubelet answers; nil hangs.
	answer map[string]func() (int, string)
	ahead  atomic.Int64 // how far the kubelets' clocks are ahead, nanoseconds
	mute   atomic.Bool  // answers have no Date
}

func (f *fleet) Nodes() []*cluster.Node { return f.nodes }

func (f *fleet) All() []*cluster.Pod {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.pods)
}

// keep leaves the first pods.
func (f *fleet) keep(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pods = f.pods[:n]
}

func (f *fleet) has(namespace, pod string) (since time.Time, known bool) {
	return time.Time{}, slices.ContainsFunc(f.All(), func(p *cluster.Pod) bool { return p.Namespace == namespace && p.Name == pod })
}

func (f *fleet) synced() error {
	if f.unknown.Load() {
		return errors.New("not yet")
	}
	return nil
}

// clock is what a kubelet's says.
func (f *fleet) clock() time.Time { return time.Now().Add(time.Duration(f.ahead.Load())) }

// RoundTrip implements http.RoundTripper.
func (f *fleet) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.asked[r.URL.Host] = append(f.asked[r.URL.Host], time.Now())
	answer := f.answer[r.URL.Host]
	f.mu.Unlock()
	if answer == nil {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	status, body := answer()
	h := http.Header{}
	if !f.mute.Load() {
		h.Set("Date", f.clock().UTC().Format(http.TimeFormat))
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: h}, nil
}

func (f *fleet) times(host string) []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[host]
}

func newFleet(t *testing.T, nodes int) *fleet {
	t.Helper()
	f := &fleet{t: t, asked: map[string][]time.Time{}, answer: map[string]func() (int, string){}}
	var err error
	if f.picture, err = live.New(live.Options{Nodes: f.Nodes, Pods: f.has}); err != nil {
		t.Fatal(err)
	}
	for i := range nodes {
		f.nodes = append(f.nodes, &cluster.Node{Name: fmt.Sprint("n", i), Addresses: []cluster.Address{{Type: "Hostname", Address: "name"}, {Type: "InternalIP", Address: fmt.Sprint("10.0.0.", i)}},
			Capacity: cluster.Resources{{Name: "cpu", Milli: 4000}, {Name: "memory", Milli: 8e12}}})
	}
	if f.source, err = New(Options{Inventory: f, Picture: f.picture, Synced: f.synced, Transport: f, Resolution: 15 * time.Second, Timeout: 10 * time.Second,
		Addresses: []string{"InternalIP", "Hostname"}, Registerer: prometheus.NewRegistry()}); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fleet) pod(node, name string, start time.Time) *cluster.Pod {
	p := &cluster.Pod{UID: name + start.String(), Namespace: "shop", Name: name, Node: node, Phase: "Running", StartTime: start, Owner: cluster.Target{Kind: "Deployment", Name: "web"},
		Containers: []cluster.Container{{Name: "app", Started: start, Requests: cluster.Resources{{Name: "cpu", Milli: 250}}, Restarts: 3}}}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pods = append(f.pods, p)
	return p
}

// uses makes a kubelet whose containers use so many cores since they began, as read every ten seconds.
func (f *fleet) uses(host string, cores float64, starts map[string]time.Time) {
	f.answer[host] = func() (int, string) {
		at := f.clock().Truncate(10 * time.Second)
		var b strings.Builder
		fmt.Fprintf(&b, "node_cpu_usage_seconds_total %f %d\nnode_memory_working_set_bytes 1e9 %d\n", 2*float64(at.UnixMilli()%1e9)/1000, at.UnixMilli(), at.UnixMilli())
		for pod, start := range starts {
			if at.Before(start) {
				continue
			}
			l := fmt.Sprintf(`{container="app",namespace="shop",pod=%q}`, pod)
			fmt.Fprintf(&b, "container_cpu_usage_seconds_total%s %f %d\ncontainer_memory_working_set_bytes%s 5e7 %d\ncontainer_start_time_seconds%s %f\n",
				l, cores*at.Sub(start).Seconds(), at.UnixMilli(), l, at.UnixMilli(), l, float64(start.UnixMilli())/1000)
		}
		return http.StatusOK, b.String()
	}
}

// run runs the source until the test ends.
func (f *fleet) run() (stop func()) {
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan error)
	go func() { done <- f.source.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	}
}

// used is what the picture has of a pod.
func (f *fleet) used(p *cluster.Pod) (out []live.Used) {
	f.picture.PodsUsed(time.Now(), []*cluster.Pod{p}, 15*time.Second, func(_ int, c []live.Used) { out = append(out, c...) })
	return out
}

// TestRatesOfSlowReadings: a node that is asked every 15 s has rates, marked with where they come from, for as long as it answers.
func TestRatesOfSlowReadings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1)
		began := time.Now().Add(-time.Hour)
		p := f.pod("n0", "web", began)
		f.uses("10.0.0.0:10250", 0.5, map[string]time.Time{"web": began, "stranger": began})
		defer f.run()()
		time.Sleep(patience + 16*time.Second)
		for range 20 {
			got := f.used(p)
			if len(got) != 1 || got[0].CPU < 0.4999 || got[0].CPU > 0.5001 || got[0].Memory != 5e7 || got[0].Window < 10*time.Second || got[0].Window > 20*time.Second {
				t.Fatalf("got %+v", got)
			}
			n, ok := f.picture.NodeUsed(time.Now(), "n0", 15*time.Second)
			if !ok || n.CPU < 1.999 || n.CPU > 2.001 {
				t.Fatalf("node: %+v %v", n, ok)
			}
			time.Sleep(7 * time.Second)
		}
		s := f.picture.Snapshot(time.Now())
		if len(s.Containers) != 1 || s.Containers[0].Source != metric.FromKubelet || s.Pods[0].Source != metric.FromKubelet || s.Nodes[0].Source != metric.FromKubelet {
			t.Errorf("%d containers: a value has lost where it came from", len(s.Containers))
		}
		if u := f.picture.Usage(time.Now(), f.All(), "cpu", time.Second); len(u) != 1 || u[0].Source != metric.FromKubelet || u[0].Window < 10*time.Second {
			t.Errorf("the autoscaler is told %+v", u)
		}
		for id, want := range map[metric.ID]float64{metric.CPURequest: 0.25, metric.Restarts: 3} {
			if v, ok := s.Containers[0].Gauge(id); !ok || v != want {
				t.Errorf("%s: got %v %v, want %v", metric.Get(id).Name, v, ok, want)
			}
		}
		if v, _ := s.Nodes[0].Gauge(metric.CPUCapacity); v != 4 || s.Containers[0].Entity.Workload != "web" {
			t.Errorf("node of %v cores, container %+v", v, s.Containers[0].Entity)
		}
		// It stops answering: the last values stay with their time, and go.
		f.mu.Lock()
		f.answer["10.0.0.0:10250"] = func() (int, string) { return http.StatusInternalServerError, "" }
		f.mu.Unlock()
		time.Sleep(25 * time.Second)
		if got := f.used(p); len(got) != 1 || time.Since(got[0].Time) < 20*time.Second {
			t.Errorf("after a missed reading: %+v", got)
		}
		if c := f.source.Conditions(time.Now()); len(c) != 1 || !strings.Contains(c[0].Message, `1 of the 1 nodes without a collector cannot be read: "n0": it answered 500`) {
			t.Errorf("conditions: %+v", c)
		}
		time.Sleep(60 * time.Second)
		if got := f.used(p); len(got) != 0 {
			t.Errorf("long after: %+v", got)
		}
	})
}

// TestFirstValue: a container that is at least ten seconds old when it is first read has its mean since it began.
func TestFirstValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1)
		start := time.Now().Add(-12 * time.Second)
		p := f.pod("n0", "web", start)
		f.uses("10.0.0.0:10250", 0.5, map[string]time.Time{"web": start})
		f.source.round(t.Context(), time.Now())
		if got := f.used(p); len(got) != 1 || got[0].CPU < 0.499 || got[0].CPU > 0.501 || got[0].Window != 12*time.Second {
			t.Errorf("got %+v, want half a core over its 12 s", got)
		}
		old := f.pod("n0", "old", start.Add(-time.Hour))
		f.uses("10.0.0.0:10250", 0.5, map[string]time.Time{"old": start.Add(-time.Hour)})
		f.source.round(t.Context(), time.Now())
		if got := f.used(old); len(got) != 0 {
			t.Errorf("the mean of an hour is taken for the present: %+v", got)
		}
	})
}

// TestPodMadeAnew: nothing of the old pod of a name is the new one's.
func TestPodMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1)
		began := time.Now().Add(-time.Hour)
		old := f.pod("n0", "db-0", began)
		f.uses("10.0.0.0:10250", 2, map[string]time.Time{"db-0": began})
		for range 3 {
			f.source.round(t.Context(), time.Now())
			time.Sleep(15 * time.Second)
		}
		if got := f.used(old); len(got) != 1 || got[0].CPU < 1.99 {
			t.Fatalf("old: %+v", got)
		}
		f.keep(0)
		start := time.Now()
		made := f.pod("n0", "db-0", start)
		if got := f.used(made); len(got) != 0 {
			t.Errorf("the new pod has the old one's values: %+v", got)
		}
		f.source.round(t.Context(), time.Now()) // the kubelet still tells of the old one
		if got := f.used(made); len(got) != 0 {
			t.Errorf("the new pod has the old one's values: %+v", got)
		}
		f.uses("10.0.0.0:10250", 0.1, map[string]time.Time{"db-0": start})
		for range 3 {
			time.Sleep(15 * time.Second)
			f.source.round(t.Context(), time.Now())
			if got := f.used(made); len(got) == 1 && (got[0].CPU < 0.099 || got[0].CPU > 0.101) || len(got) > 1 {
				t.Errorf("got %+v, want a tenth of a core", got)
			}
		}
		if got := f.used(made); len(got) != 1 {
			t.Errorf("the new pod has no values: %+v", got)
		}
	})
}

// TestPodEnds: a pod that is no more has ended with the next reading, and takes nothing from one of its name that is made meanwhile, here or on another node.
func TestPodEnds(t *testing.T) {
	for _, x := range [][2]string{{"n0", ""}, {"n0", "n0"}, {"n0", "n1"}, {"n1", "n0"}} {
		was, on := x[0], x[1]
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(t, 2)
			began := time.Now().Add(-time.Hour)
			f.pod(was, "web", began)
			f.uses("10.0.0.0:10250", 0.5, nil)
			f.uses("10.0.0.1:10250", 0.5, nil)
			f.uses("10.0.0."+was[1:]+":10250", 0.5, map[string]time.Time{"web": began})
			defer f.run()()
			time.Sleep(patience + 31*time.Second)
			f.keep(0)
			anew := time.Now()
			if on != "" {
				f.mu.Lock()
				f.uses("10.0.0."+on[1:]+":10250", 0.5, map[string]time.Time{"web": anew})
				f.mu.Unlock()
				f.pod(on, "web", anew)
			}
			time.Sleep(16 * time.Second)
			snap := f.picture.Snapshot(time.Now())
			if on == "" {
				if c := snap.Containers[0]; !c.Ended {
					t.Errorf("a reading after its end it has %+v, gap %v", c.List(), c.Gap)
				}
				return
			}
			for range 45 {
				if c := f.picture.Snapshot(time.Now()).Containers; len(c) != 1 || c[0].Ended || c[0].Entity.Node != on {
					t.Fatalf("of %s, made anew on %s: %d, %+v, gap %v", was, on, len(c), c[0].Entity, c[0].Gap)
				}
				time.Sleep(time.Second)
			}
		})
	}
}

// TestPodEndsInTwoSteps: a pod whose containers leave the page before it leaves the API server, as each does that ends, has ended a reading after that.
func TestPodEndsInTwoSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1)
		began := time.Now().Add(-time.Hour)
		f.pod("n0", "web", began)
		f.uses("10.0.0.0:10250", 0.5, map[string]time.Time{"web": began})
		defer f.run()()
		time.Sleep(patience + 31*time.Second)
		f.mu.Lock()
		f.uses("10.0.0.0:10250", 0.5, nil)
		f.mu.Unlock()
		time.Sleep(15 * time.Second)
		f.keep(0)
		time.Sleep(16 * time.Second)
		if c := f.picture.Snapshot(time.Now()).Containers[0]; !c.Ended {
			t.Errorf("a reading after its end it has %+v, gap %v", c.List(), c.Gap)
		}
		f.source.mu.Lock()
		defer f.source.mu.Unlock()
		if n := len(f.source.nodes["n0"].containers); n != 0 {
			t.Errorf("%d containers stay known", n)
		}
	})
}

// TestHeld: what the scheduler sets aside for a pod is asked for on its node for as long as the pod is there, whatever its containers ask for after its start.
func TestHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1)
		began := time.Now().Add(-time.Hour)
		f.pod("n0", "plain", began)
		p := f.pod("n0", "web", began)
		p.InitContainers = []cluster.Container{{Name: "migrate", Done: true, Requests: cluster.Resources{{Name: "cpu", Milli: 450}}}}
		f.uses("10.0.0.0:10250", 0.5, map[string]time.Time{"plain": began, "web": began})
		defer f.run()()
		for i, want := range []float64{.25 + .45, .25 + .45, .25} {
			if i == 0 {
				time.Sleep(patience)
			}
			if i == 2 {
				f.keep(1)
			}
			time.Sleep(32 * time.Second)
			s := f.picture.Snapshot(time.Now())
			for _, it := range []*live.Item{s.Nodes[0], s.Namespaces[0], s.Cluster} {
				if got, _ := it.Gauge(metric.CPURequest); got != want {
					t.Errorf("%d: of %s %v CPU is asked for, want %v", i, it.Entity, got, want)
				}
			}
			if got, _ := s.Containers[1].Gauge(metric.CPURequest); i < 2 && got != .25 {
				t.Errorf("its container asks for %v", got)
			}
		}
	})
}

// TestOnlyWithoutCollector: a kubelet is asked when no collector is heard, and not any more when one is.
func TestOnlyWithoutCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		began := time.Now().Add(-time.Hour)
		p := f.pod("n0", "web", began)
		f.uses("10.0.0.0:10250", 0.5, map[string]time.Time{"web": began})
		f.uses("10.0.0.1:10250", 0.5, nil)
		f.unknown.Store(true)
		e := &metric.Entity{Level: metric.Container, Node: "n0", Namespace: "shop", Pod: "web", Container: "app", ID: "/kubepods/pod" + p.UID + "/x"}
		collect := func(seconds int) {
			for range seconds {
				now := time.Now()
				err := f.picture.Apply(&metric.Batch{Node: "n0", Fast: true, Time: now, Groups: []metric.Group{{Entity: e, Start: began.Add(-2 * time.Second), Points: []metric.Point{
					{ID: metric.CPUUsage, T: now.UnixMilli(), V: 0.5 * now.Sub(began).Seconds()}, {ID: metric.MemoryWorkingSet, T: now.UnixMilli(), V: 1}}}}})
				if err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second)
			}
		}
		defer f.run()()
		collect(10)
		if len(f.times("10.0.0.1:10250")) != 0 {
			t.Error("a kubelet is asked before it is known which pods there are")
		}
		f.unknown.Store(false)
		collect(20)
		if len(f.times("10.0.0.0:10250")) != 0 || len(f.times("10.0.0.1:10250")) == 0 {
			t.Errorf("asked n0 %d times and n1 %d times, want n1 alone", len(f.times("10.0.0.0:10250")), len(f.times("10.0.0.1:10250")))
		}
		time.Sleep(80 * time.Second) // its collector is gone
		if got := f.used(p); len(got) != 1 || got[0].CPU < 0.49 || got[0].CPU > 0.51 || got[0].Memory != 5e7 {
			t.Errorf("from the kubelet: %+v", got)
		}
		if it := f.picture.Snapshot(time.Now()).Containers[0]; it.Restarts != 0 || it.Source != metric.FromKubelet {
			t.Errorf("restarts %d, from %q", it.Restarts, it.Source)
		}
		collect(20) // and back
		n := len(f.times("10.0.0.0:10250"))
		collect(40)
		if again := len(f.times("10.0.0.0:10250")); again != n {
			t.Errorf("asked %d times more though its collector is back", again-n)
		}
		if it := f.picture.Snapshot(time.Now()).Containers[0]; it.Restarts != 0 || it.Source != "" {
			t.Errorf("restarts %d, from %q", it.Restarts, it.Source)
		}
	})
}

// collector sends of node n0 and of one pod on it, each second while it runs. Its counter of the node's CPU has begun by so much later than the kubelet's.
type collector struct {
	f     *fleet
	pod   *cluster.Pod
	began time.Time
	cores float64
	later float64
}

func (c *collector) send() {
	c.f.t.Helper()
	now := time.Now()
	machine, pod := &metric.Entity{Level: metric.Node, Node: "n0", ID: "/"}, &metric.Entity{Level: metric.Container, Node: "n0", Namespace: "shop", Pod: c.pod.Name, Container: "app", ID: "/kubepods/pod" + c.pod.UID + "/x"}
	err := c.f.picture.Apply(&metric.Batch{Node: "n0", Fast: true, Time: now, Groups: []metric.Group{
		{Entity: machine, Start: c.began.Add(-time.Minute), Points: []metric.Point{{ID: metric.CPUUsage, T: now.UnixMilli(), V: 2*float64(now.UnixMilli()%1e9)/1000 - c.later}, {ID: metric.MemoryWorkingSet, T: now.UnixMilli(), V: 1e9}, {ID: metric.CPUCapacity, T: now.UnixMilli(), V: 4}}},
		{Entity: pod, Start: c.began.Add(-2 * time.Second), Points: []metric.Point{{ID: metric.CPUUsage, T: now.UnixMilli(), V: c.cores * now.Sub(c.began).Seconds()}, {ID: metric.MemoryWorkingSet, T: now.UnixMilli(), V: 4e7}}}}})
	if err != nil {
		c.f.t.Error(err)
	}
}

// TestCollectorGoesAway: a node whose collector goes away has values at each moment, of the kubelet before the collector's last have ended, and the collector's as soon as
// that is back. Nothing of that is a restart, a jump, or told twice. One that is back after fourteen seconds has taken no page at all.
func TestCollectorGoesAway(t *testing.T) {
	for _, later := range []float64{0, 5000, -5000} {
		for _, away := range []int{6, 14, 23, 45, 120} {
			t.Run(fmt.Sprint(later, away), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFleet(t, 3) // n1 hangs, n2 has never had one
					began := time.Now().Add(-time.Hour)
					c := &collector{f: f, pod: f.pod("n0", "web", began), began: began, cores: 0.5, later: later}
					f.uses("10.0.0.0:10250", 0.5, map[string]time.Time{"web": began})
					f.uses("10.0.0.2:10250", 0.5, nil)
					defer f.run()()
					rolled, sums := time.Now(), map[metric.Level][]metric.Point{}
					for i := range 200 {
						back := 40 + away
						if i < 40 || i >= back {
							c.send()
						}
						time.Sleep(time.Second / 2)
						if i > 1 {
							got := f.used(c.pod)
							if len(got) != 1 || got[0].CPU < 0.499 || got[0].CPU > 0.501 {
								t.Errorf("second %d: the pod used %+v", i, got)
							}
							n, ok := f.picture.NodeUsed(time.Now(), "n0", 15*time.Second)
							if hole := i == back && away > 14 && later != 0; !hole && (!ok || n.CPU < 1.99 || n.CPU > 2.01) {
								t.Errorf("second %d: the node used %+v, %v", i, n, ok)
							}
						}
						for _, it := range f.picture.Snapshot(time.Now()).Containers {
							want := ""
							if away > 30 && i >= 40+30 && i < back {
								want = metric.FromKubelet
							}
							if it.Restarts != 0 || (i < 52 || i >= back || want != "" || away <= 14) && it.Source != want {
								t.Errorf("second %d: %d restarts, from %q, want %q", i, it.Restarts, it.Source, want)
							}
							if r, ok := it.Rate(metric.CPUUsage); ok && (r < 0.499 || r > 0.501) {
								t.Errorf("second %d: the container's rate is %g", i, r)
							}
						}
						if time.Since(rolled) >= 10*time.Second {
							rolled = time.Now()
							for _, g := range f.picture.RollUp(rolled).Groups {
								for _, pt := range g.Points {
									if pt.ID == metric.CPUUsage {
										sums[g.Entity.Level] = append(sums[g.Entity.Level], pt)
									}
								}
							}
						}
						time.Sleep(time.Second / 2)
					}
					for level, most := range map[metric.Level]float64{metric.Pod: 0.5, metric.Cluster: 2 + 2} {
						cpu := sums[level]
						if len(cpu) < 5 {
							t.Errorf("%v: %d points", level, len(cpu))
						}
						for i := 1; i < len(cpu); i++ {
							over, grown := float64(cpu[i].T-cpu[i-1].T)/1000, cpu[i].V-cpu[i-1].V
							if over <= 0 || grown > most*over*1.05+0.01 {
								t.Errorf("%v: the sum grew by %g in %g s", level, grown, over)
							}
						}
					}
					if n := len(f.times("10.0.0.0:10250")); away <= 6 && n != 0 || away >= 23 && n < 2 {
						t.Errorf("the kubelet was asked %d times", n)
					}
				})
			})
		}
	}
}

// TestClockOfANodeIsSlow: a collector whose machine's clock is wrong is heard all the same.
func TestClockOfANodeIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1)
		began := time.Now().Add(-time.Hour)
		f.uses("10.0.0.0:10250", 0.5, nil)
		defer f.run()()
		for range 60 {
			at := time.Now().Add(-20 * time.Second)
			if err := f.picture.Apply(&metric.Batch{Node: "n0", Fast: true, Time: at, Groups: []metric.Group{{Entity: &metric.Entity{Level: metric.Node, Node: "n0", ID: "/"}, Start: began, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 1}}}}}); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
		}
		if n := len(f.times("10.0.0.0:10250")); n != 0 {
			t.Errorf("its kubelet was asked %d times", n)
		}
	})
}

// TestOneHangs: kubelets that hang delay no other.
func TestOneHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 200)
		for i := 150; i < 200; i++ {
			f.uses(fmt.Sprintf("10.0.0.%d:10250", i), 1, nil)
		}
		defer f.run()()
		time.Sleep(5 * time.Minute)
		for i := 150; i < 200; i++ {
			at := f.times(fmt.Sprintf("10.0.0.%d:10250", i))
			for k := 2; k < len(at); k++ {
				if d := at[k].Sub(at[k-1]); d > 22*time.Second {
					t.Fatalf("node %d was asked after %v", i, d)
				}
			}
			if len(at) < 18 {
				t.Fatalf("node %d was asked %d times in five minutes", i, len(at))
			}
		}
		gaps := 0
		for _, it := range f.picture.Snapshot(time.Now()).Nodes {
			if it.Gap != nil && it.Gap.Reason == metric.GapKubelet && strings.Contains(it.Gap.Detail, "deadline") {
				gaps++
			}
		}
		if gaps != 150 {
			t.Errorf("%d nodes say that their kubelet does not answer, want 150", gaps)
		}
		if err := f.source.Check().Test(); err != nil {
			t.Error(err)
		}
	})
}

// TestHostileKubelets: over real TLS.
func TestHostileKubelets(t *testing.T) {
	var handler http.HandlerFunc
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler(w, r) }))
	defer s.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "https://"), ":")
	f := newFleet(t, 0)
	n := &cluster.Node{Name: "n", Addresses: []cluster.Address{{Type: "InternalIP", Address: "127.0.0.1"}}}
	fmt.Sscan(port, &n.KubeletPort)
	ask := func(rt http.RoundTripper) error {
		o := f.source.opts
		o.Transport, o.Registerer, o.Timeout = rt, prometheus.NewRegistry(), 2*time.Second
		src, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = src.get(t.Context(), n)
		return err
	}
	want := func(rt http.RoundTripper, h http.HandlerFunc, text string) {
		t.Helper()
		handler = h
		if err := ask(rt); err == nil && text != "" || err != nil && (text == "" || !strings.Contains(err.Error(), text)) {
			t.Errorf("got %v, want %q", err, text)
		}
	}
	trusting := s.Client().Transport
	want(trusting, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics/resource" {
			t.Errorf("asked for %s", r.URL)
		}
	}, "")
	want(http.DefaultTransport, func(http.ResponseWriter, *http.Request) {}, "--kubelet-certificate-authority")
	want(trusting, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "does not take the login")
	want(trusting, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, `"get" on "nodes/metrics"`)
	want(trusting, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
	}, "it answered 302")
	want(trusting, func(w http.ResponseWriter, _ *http.Request) { w.Write(bytes.Repeat([]byte("x"), maxPage+1)) }, "more than")
	n.MetricsPath = "/nodes/n/metrics"
	want(trusting, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != n.MetricsPath {
			w.WriteHeader(404)
		}
	}, "")
	n.Addresses[0].Type = "ExternalDNS"
	want(trusting, nil, "no address of the types InternalIP, Hostname")
}

func TestOptions(t *testing.T) {
	good := newFleet(t, 0).source.opts
	f := func(want string, change func(*Options)) {
		t.Helper()
		o := good
		o.Registerer = prometheus.NewRegistry()
		change(&o)
		if _, err := New(o); err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f("", func(*Options) {})
	f("", func(o *Options) { o.Resolution, o.Timeout = 10*time.Second, 9*time.Second })
	f("nine tenths", func(o *Options) { o.Resolution, o.Timeout = 10*time.Second, 10*time.Second })
	f("every 5s", func(o *Options) { o.Resolution = 5 * time.Second })
	f("every 2m0s", func(o *Options) { o.Resolution = 2 * time.Minute })
	f("port 70000", func(o *Options) { o.Port = 70000 })
	f("no type of address", func(o *Options) { o.Addresses = []string{"Ip"} })
	f("without a type", func(o *Options) { o.Addresses = nil })
	f("choose nodes", func(o *Options) { o.NodeSelector = "a===b" })
	f("way to them", func(o *Options) { o.Transport = nil })
}
