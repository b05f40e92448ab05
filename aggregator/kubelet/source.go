package kubelet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/serve"
)

const (
	// patience is how long after the start collectors have time to be heard of before kubelets are asked instead.
	patience = 5 * time.Second
	// silence is how long nothing may have been heard of a node's collector before its kubelet is asked: a collector is restarted in less.
	silence = 30 * time.Second
	// atOnce is how many nodes are asked at a time.
	atOnce = 128
	// between is the time between the beginnings of two questions, all of which are at most spread.
	between, spread = 8 * time.Millisecond, 4 * time.Second
)

// Source asks kubelets.
type Source struct {
	opts   Options
	client *http.Client
	meters *meters

	began atomic.Int64 // when the last round did, Unix nanoseconds; 0: none yet

	mu    sync.Mutex
	nodes map[string]*node // those of the last round, by name
}

// New makes a Source; it asks nothing before Run.
func New(o Options) (*Source, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	// A redirection would take the login elsewhere.
	client := &http.Client{Transport: o.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Source{opts: o, client: client, meters: newMeters(o.Registerer), nodes: map[string]*node{}}, nil
}

// Run asks all nodes that have no collector, round after round, until ctx ends. Rounds do not overlap.
func (s *Source) Run(ctx context.Context) error {
	next := time.NewTimer(patience)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		if s.opts.Synced() != nil {
			next.Reset(time.Second)
			continue
		}
		now := time.Now()
		s.round(ctx, now)
		next.Reset(s.opts.Resolution - time.Since(now)) // a round that was cut off is followed by the next at once
	}
}

// podName names a pod.
type podName struct{ namespace, name string }

// round asks every node that is due once.
func (s *Source) round(ctx context.Context, now time.Time) {
	s.began.Store(now.UnixNano())
	ctx, cancel := context.WithTimeout(ctx, s.opts.Resolution)
	defer cancel()
	due, pods := s.due(now)
	pace := min(between, spread/time.Duration(max(len(due), 1)))
	var g errgroup.Group
	g.SetLimit(atOnce)
	for _, n := range due {
		if !sleep(ctx, time.Duration(rand.Int64N(int64(2*pace)))) {
			break
		}
		g.Go(func() error {
			s.ask(ctx, n, pods[n.Name])
			return nil
		})
	}
	_ = g.Wait() // none returns an error
	s.meters.round.Observe(time.Since(now).Seconds())
}

// sleep waits, and says whether it was not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// due are the nodes to ask, those last that did not answer before, so that they hold nobody up, and the pods on each. Others are forgotten.
func (s *Source) due(now time.Time) ([]*cluster.Node, map[string]map[podName]*cluster.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []*cluster.Node
	known, pods := map[string]*node{}, map[string]map[podName]*cluster.Pod{}
	for _, n := range s.opts.Inventory.Nodes() {
		if !s.opts.nodes.Matches(set(n.Labels)) || now.Sub(s.opts.Picture.Collected(n.Name)) < silence {
			continue
		}
		due = append(due, n)
		known[n.Name] = cmp.Or(s.nodes[n.Name], &node{since: now})
		pods[n.Name] = map[podName]*cluster.Pod{}
	}
	s.nodes = known
	s.meters.nodes.Set(float64(len(due)))
	for _, p := range s.opts.Inventory.All() {
		if on := pods[p.Node]; on != nil && !p.Finished() {
			on[podName{p.Namespace, p.Name}] = p
		}
	}
	slices.SortStableFunc(due, func(a, b *cluster.Node) int {
		return cmp.Compare(failed(known[a.Name]), failed(known[b.Name]))
	})
	return due, pods
}

func failed(x *node) int {
	if x.failed != nil {
		return 1
	}
	return 0
}

// ask asks one node, and takes what it says.
func (s *Source) ask(ctx context.Context, n *cluster.Node, pods map[podName]*cluster.Pod) {
	s.mu.Lock()
	x := s.nodes[n.Name]
	s.mu.Unlock()
	asked := time.Now()
	body, err := s.get(ctx, n)
	s.meters.seconds.Observe(time.Since(asked).Seconds())
	if err == nil {
		p := parse(body)
		s.meters.refused.Add(float64(p.refused))
		if err = s.take(n, x, pods, &p, asked); err == nil && p.partial {
			s.meters.asked.WithLabelValues("partial").Inc()
		} else if err == nil {
			s.meters.asked.WithLabelValues("success").Inc()
		}
	}
	if err != nil {
		s.meters.asked.WithLabelValues("error").Inc()
		s.opts.Logger.Debug("cannot read a kubelet", "node", n.Name, "err", err)
		if !x.read { // the node is shown with the reason
			_ = s.opts.Picture.Apply(&metric.Batch{Node: n.Name, Source: metric.FromKubelet, Time: asked,
				Gaps: []metric.Gap{{Entity: &metric.Entity{Level: metric.Node, Node: n.Name, ID: "/"}, Reason: metric.GapKubelet, Detail: clip("there is no collector, and its kubelet cannot be read: " + err.Error())}}})
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if (err == nil) != (x.failed == nil) {
		x.since = asked
	}
	x.failed, x.read = err, x.read || err == nil
}

// take puts a page into the picture, unless a collector has been heard of meanwhile.
func (s *Source) take(n *cluster.Node, x *node, pods map[podName]*cluster.Pod, p *page, asked time.Time) error {
	if !p.node.cpu.ok && !p.node.memory.ok && len(p.containers) == 0 {
		return errors.New("its page has none of the values that are looked for")
	}
	b := x.batch(n, pods, p, asked, s.opts.Resolution)
	if asked.Sub(s.opts.Picture.Collected(n.Name)) < silence {
		return nil
	}
	return s.opts.Picture.Apply(b)
}

// clip shortens a detail to what the picture takes.
func clip(text string) string { return text[:min(len(text), 1000)] }

// Conditions says which nodes that have no collector cannot be read.
func (s *Source) Conditions(time.Time) []condition.Condition {
	s.mu.Lock()
	defer s.mu.Unlock()
	first, bad := "", 0
	for name, x := range s.nodes {
		if x.failed == nil {
			continue
		}
		if bad++; first == "" || name < first {
			first = name
		}
	}
	if bad == 0 {
		return nil
	}
	x := s.nodes[first]
	return []condition.Condition{condition.Ill("KubeletsRead", "KubeletAway", fmt.Sprintf("%d of the %d nodes without a collector cannot be read: %q: %v", bad, len(s.nodes), first, x.failed), x.since)}
}

// Check fails when rounds do not begin any more, by the name that metrics-server's check has.
func (s *Source) Check() serve.Check {
	late := func(most time.Duration) error {
		began := s.began.Load()
		if late := time.Since(time.Unix(0, began)); began != 0 && late > most {
			return fmt.Errorf("the last round of questions to kubelets began %v ago", late.Round(time.Second))
		}
		return nil
	}
	soon := s.opts.Resolution * 3 / 2
	return serve.Check{Name: "metric-collection-timely", Test: func() error { return late(soon) }, Stuck: func() error { return late(max(soon, serve.StuckAfter)) }}
}
