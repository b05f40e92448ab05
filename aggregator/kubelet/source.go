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
	// silence is how long nothing may have been heard of a node's collector before its kubelet is asked: most collectors are restarted in less.
	silence = 10 * time.Second
	// again is how long after a question the next of a node is that has just fallen silent: two of its readings have to be in the picture before the
	// collector's last values end, which are kept for so long. Late is when what there is of them is taken at the latest.
	again, late, kept = 5 * time.Second, 25 * time.Second, 30 * time.Second
	// look is how often it is looked for nodes that have fallen silent.
	look = time.Second
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

// Run asks all nodes that have no collector, round after round, until ctx ends, and those that have just fallen silent beside the rounds. Rounds do not overlap.
func (s *Source) Run(ctx context.Context) error {
	var g errgroup.Group
	g.Go(func() error {
		s.rounds(ctx)
		return nil
	})
	g.Go(func() error {
		s.watch(ctx)
		return nil
	})
	return g.Wait()
}

// rounds asks those that have no collector.
func (s *Source) rounds(ctx context.Context) {
	next := time.NewTimer(patience)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
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

// watch asks those whose collectors have just fallen silent, however long others let the rounds wait.
func (s *Source) watch(ctx context.Context) {
	var g errgroup.Group
	g.SetLimit(atOnce)
	defer func() { _ = g.Wait() }() // none returns an error
	t := time.NewTicker(look)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			if s.opts.Synced() == nil {
				s.spread(ctx, &g, s.due(now, fallen))
			}
		}
	}
}

// spread asks, one shortly after the other.
func (s *Source) spread(ctx context.Context, g *errgroup.Group, due []question) {
	pace := min(between, spread/time.Duration(max(len(due), 1)))
	for i, q := range due {
		if !sleep(ctx, time.Duration(rand.Int64N(int64(2*pace)))) {
			s.leave(due[i:])
			return
		}
		g.Go(func() error {
			defer s.leave([]question{q})
			s.ask(ctx, q)
			return nil
		})
	}
}

// leave says that nobody asks these any more.
func (s *Source) leave(questions []question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range questions {
		q.about.busy = false
	}
}

// podName names a pod.
type podName struct{ namespace, name string }

// question is one to a node's kubelet.
type question struct {
	node  *cluster.Node
	about *node
	pods  map[podName]*cluster.Pod // that are on it
}

// fallen says whether a node, so long silent, is one that has just fallen silent, and is to be asked now.
func fallen(x *node, silent time.Duration, now time.Time) bool {
	return !x.settled && silent < kept && !now.Before(x.next)
}

// alone says whether it is one that the rounds ask.
func alone(x *node, silent time.Duration, _ time.Time) bool { return x.settled || silent >= kept }

// round asks every node that is due once.
func (s *Source) round(ctx context.Context, now time.Time) {
	s.began.Store(now.UnixNano())
	ctx, cancel := context.WithTimeout(ctx, s.opts.Resolution)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(atOnce)
	s.spread(ctx, &g, s.due(now, alone))
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

// due are the nodes to ask of those that have no collector, as wanted says, those last that did not answer before, so that they hold nobody up. Those that
// have one are forgotten.
func (s *Source) due(now time.Time, wanted func(x *node, silent time.Duration, now time.Time) bool) []question {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []question
	known, pods := make(map[string]*node, len(s.nodes)), map[string]map[podName]*cluster.Pod{}
	for _, n := range s.opts.Inventory.Nodes() {
		silent := now.Sub(s.opts.Picture.Collected(n.Name))
		if silent < silence || !s.opts.nodes.Matches(set(n.Labels)) {
			continue
		}
		x := cmp.Or(s.nodes[n.Name], &node{since: now})
		known[n.Name] = x
		if !x.busy && wanted(x, silent, now) {
			x.busy, x.next = true, now.Add(again)
			pods[n.Name] = map[podName]*cluster.Pod{}
			due = append(due, question{n, x, pods[n.Name]})
		}
	}
	s.nodes = known
	s.meters.nodes.Set(float64(len(known)))
	if len(due) == 0 {
		return nil
	}
	for _, p := range s.opts.Inventory.All() {
		if on := pods[p.Node]; on != nil && !p.Finished() {
			on[podName{p.Namespace, p.Name}] = p
		}
	}
	slices.SortStableFunc(due, func(a, b question) int { return cmp.Compare(failed(a.about), failed(b.about)) })
	return due
}

func failed(x *node) int {
	if x.failed != nil {
		return 1
	}
	return 0
}

// ask asks one node, and takes what it says. Of one that has just fallen silent nothing is told yet if it does not answer.
func (s *Source) ask(ctx context.Context, q question) {
	x, asked, taken := q.about, time.Now(), false
	got, err := s.get(ctx, q.node)
	s.meters.seconds.Observe(time.Since(asked).Seconds())
	if err == nil {
		p := parse(got.body)
		s.meters.refused.Add(float64(p.refused))
		s.mu.Lock()
		x.clock.hear(&got)
		s.mu.Unlock()
		p.behind(x.clock.off())
		if taken, err = s.take(q, &p, asked); err == nil && p.partial {
			s.meters.asked.WithLabelValues("partial").Inc()
		} else if err == nil {
			s.meters.asked.WithLabelValues("success").Inc()
		}
	}
	if err != nil {
		s.meters.asked.WithLabelValues("error").Inc()
		s.opts.Logger.Debug("cannot read a kubelet", "node", q.node.Name, "err", err)
		if asked.Sub(s.opts.Picture.Collected(q.node.Name)) < kept {
			return
		}
		if !x.read { // the node is shown with the reason
			_ = s.opts.Picture.Apply(&metric.Batch{Node: q.node.Name, Source: metric.FromKubelet, Time: asked,
				Gaps: []metric.Gap{{Entity: &metric.Entity{Level: metric.Node, Node: q.node.Name, ID: "/"}, Reason: metric.GapKubelet, Detail: clip("there is no collector, and its kubelet cannot be read: " + err.Error())}}})
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if (err == nil) != (x.failed == nil) {
		x.since = asked
	}
	x.failed, x.read, x.settled = err, x.read || err == nil, x.settled || taken
}

// take puts a page into the picture, unless a collector has been heard of meanwhile. Of a node that has just fallen silent the first page waits for the second: its
// collector may be back by then, and a counter that comes from elsewhere has no rate before.
func (s *Source) take(q question, p *page, asked time.Time) (taken bool, err error) {
	if !p.node.cpu.ok && !p.node.memory.ok && len(p.containers) == 0 {
		return false, errors.New("its page has none of the values that are looked for")
	}
	x := q.about
	b := x.batch(q.node, q.pods, p, asked, s.opts.Resolution)
	silent := asked.Sub(s.opts.Picture.Collected(q.node.Name))
	switch {
	case silent < silence:
		return false, nil
	case silent < late && !x.settled && !follows(x.held, b):
		x.held = cmp.Or(x.held, b)
		return false, nil
	}
	if x.held != nil {
		join(x.held, b)
		x.held = nil
	}
	x.told(b.Gaps)
	return true, s.opts.Picture.Apply(b)
}

// clip shortens a detail to what the picture takes.
func clip(text string) string { return text[:min(len(text), 1000)] }

// Conditions says which nodes that have no collector cannot be read, and whose clocks are off.
func (s *Source) Conditions(time.Time) []condition.Condition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(s.away(), s.clocks()...)
}

// away says which nodes cannot be read. The caller holds the lock.
func (s *Source) away() []condition.Condition {
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
	begun := func(most time.Duration) error {
		began := s.began.Load()
		if ago := time.Since(time.Unix(0, began)); began != 0 && ago > most {
			return fmt.Errorf("the last round of questions to kubelets began %v ago", ago.Round(time.Second))
		}
		return nil
	}
	soon := s.opts.Resolution * 3 / 2
	return serve.Check{Name: "metric-collection-timely", Test: func() error { return begun(soon) }, Stuck: func() error { return begun(max(soon, serve.StuckAfter)) }}
}
