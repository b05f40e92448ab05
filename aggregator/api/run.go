package api

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/serve"
	"plimsoll.dev/plimsoll/internal/store"
)

const (
	tickEvery      = time.Second
	tickWork       = 300 * time.Millisecond // how long frames are made in a tick: views that come later miss one
	startUp        = 2 * time.Second        // in which events come faster
	decisionWindow = 10 * time.Second       // how late an entry may appear in the log and still be told
	refetchEvery   = 10 * time.Second       // a workload's decisions, when no new one was seen
)

// Run makes the events of every second until ctx ends, then ends all streams. It is called once.
func (a *API) Run(ctx context.Context) error {
	defer a.hub.stop()
	ctx = scope.With(ctx, scope.Whole()) // each frame is limited to what its view sees
	news := make(chan workloadKey, 256)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { a.follow(ctx, news) })

	p := newPublisher(a)
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	soon := time.NewTicker(tickEvery / 4)
	defer soon.Stop()
	if a.moving(time.Now()) {
		soon.Stop()
	}
	lively := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case k := <-news:
			delete(p.recent, k)
		case <-soon.C: // whoever opens the page at once need not wait for the next full second to see the first rates
			now := time.Now()
			p.publish(ctx, now)
			if a.moving(now) {
				lively++
			}
			if lively == 2 { // two points are a line
				soon.Stop()
				t.Reset(tickEvery)
			}
		case <-t.C:
			p.publish(ctx, time.Now())
		}
	}
}

// moving says whether the picture has rates yet, which takes two readings.
func (a *API) moving(now time.Time) bool {
	s := a.opts.Pictures.Snapshot(now)
	if s == nil || len(s.Nodes) == 0 {
		return false
	}
	_, ok := s.Nodes[0].Rate(metric.CPUUsage)
	return ok
}

// publisher makes one frame for each view. Run owns it.
type publisher struct {
	api    *API
	recent map[workloadKey]recent
}

func newPublisher(a *API) publisher {
	return publisher{api: a, recent: map[workloadKey]recent{}}
}

// recent is what the log said of a workload not long ago.
type recent struct {
	at   time.Time
	list []cluster.Decision
}

// publish serves every view. Small ones come first, so that who asks for much keeps nobody waiting who does not; those for which there is no time
// are the first of the next tick, and one large one is served in each.
func (p *publisher) publish(ctx context.Context, now time.Time) {
	a := p.api
	small, large := a.hub.inOrder()
	if len(small)+len(large) == 0 {
		clear(p.recent)
		a.watch(now)
		return
	}
	began, pics := time.Now(), map[scope.Scope]*picture{} // each scope's rows once: other readers may have newer ones made meanwhile
	for _, views := range [][]view{small, large} {
		done := 0
		for i, v := range views {
			if done > 0 && time.Since(began) > tickWork {
				a.metrics.dropped.Add(float64(len(views) - i))
				break
			}
			if !a.hub.hasRoom(v, now) {
				a.metrics.dropped.Inc()
				continue
			}
			if pics[v.sees] == nil {
				pics[v.sees] = a.picture(now, v.sees)
			}
			p.serve(ctx, now, v, pics[v.sees])
			done++
		}
	}
	a.metrics.tick.Observe(time.Since(began).Seconds())
}

// serve makes a view's frame and leaves it with its streams.
func (p *publisher) serve(ctx context.Context, now time.Time, v view, pic *picture) {
	a := p.api
	f, err := a.frame(pic, now, v, func() ([]cluster.Decision, error) { return p.decisions(ctx, now, v.workload) })
	if err != nil {
		a.log.Error("cannot make an event", "workload", v.workload.String(), "err", err)
		return
	}
	f, ok := a.hub.countOf(v, f, now)
	if !ok {
		a.metrics.dropped.Inc()
		return
	}
	a.hub.send(f, func(x view) bool { return x == v })
	f.letGo()
}

// decisions reads a workload's decisions, not each second anew. What cannot be read now is as it was.
func (p *publisher) decisions(ctx context.Context, now time.Time, k workloadKey) ([]cluster.Decision, error) {
	r, ok := p.recent[k]
	if ok && now.Sub(r.at) < refetchEvery {
		return r.list, nil
	}
	list, err := p.api.workloadDecisions(ctx, now, k, decisionsMax)
	if err != nil {
		p.api.log.Warn("cannot read decisions for a stream", "workload", k.String(), "err", err)
		list = r.list
	}
	p.recent[k] = recent{now, list}
	return list, nil
}

// frame makes the event of a view. A workload that is no more is told as "gone".
func (a *API) frame(pic *picture, now time.Time, v view, decisions func() ([]cluster.Decision, error)) (frame, error) {
	id := pic.time.UnixMilli()
	if !v.isWorkload() {
		return newFrame("overview", id, a.overview(pic, now, v.sel))
	}
	w, err := a.workload(pic, now, v.workload)
	var status *serve.StatusError
	if errors.As(err, &status) {
		return newFrame("gone", id, Problem{Schema: "plimsoll.dev/error/v1", Status: status.Status, Error: err.Error()})
	}
	if err != nil {
		return frame{}, err
	}
	if w.Decisions, err = decisions(); err != nil {
		return frame{}, err
	}
	return newFrame("workload", id, w)
}

// follow looks into the decision log each second and tells the streams what is new there.
func (a *API) follow(ctx context.Context, news chan<- workloadKey) {
	if a.opts.Decisions == nil {
		return
	}
	f := follower{api: a, floor: time.Now(), seen: map[seenKey]time.Time{}}
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		for _, d := range f.poll(ctx, time.Now()) {
			a.tell(d)
			select {
			case news <- workloadKey{d.Namespace, d.Kind, d.Name}:
			case <-ctx.Done():
				return
			}
		}
	}
}

// follower remembers what it has seen of the decision log.
type follower struct {
	api     *API
	floor   time.Time // decisions before it are history
	seen    map[seenKey]time.Time
	failing bool
}

type seenKey struct {
	workload workloadKey
	at       int64
}

// poll returns what is new, oldest first. While nobody listens it does not read.
func (f *follower) poll(ctx context.Context, now time.Time) []cluster.Decision {
	if len(f.api.hub.views()) == 0 {
		f.floor = now
		clear(f.seen)
		return nil
	}
	start := now.Add(-decisionWindow)
	if start.Before(f.floor) {
		start = f.floor
	}
	list, err := f.api.decisions(ctx, store.DecisionQuery{Start: start, End: now, Limit: store.MaxDecisions})
	if (err != nil) != f.failing && ctx.Err() == nil {
		f.failing = err != nil
		f.api.log.Warn("following the decision log", "failing", f.failing, "err", err)
	}
	var out []cluster.Decision
	for _, d := range slices.Backward(list) {
		key := seenKey{workloadKey{d.Namespace, d.Kind, d.Name}, d.Time.UnixNano()}
		if _, old := f.seen[key]; !old {
			f.seen[key] = d.Time
			out = append(out, d)
		}
	}
	maps.DeleteFunc(f.seen, func(_ seenKey, at time.Time) bool { return now.Sub(at) > 2*decisionWindow })
	return out
}

// tell sends a decision to the streams that see it and show its workload or the overview.
func (a *API) tell(d cluster.Decision) {
	f, err := newFrame("decision", 0, d)
	if err != nil {
		a.log.Error("cannot make an event", "err", err)
		return
	}
	f, ok := a.hub.count(f)
	if !ok {
		a.metrics.dropped.Inc()
		return
	}
	defer f.letGo()
	now, k := time.Now(), keyOf(d.Target)
	a.hub.send(f, func(v view) bool {
		if !v.isWorkload() {
			return v.sees.Sees(d.Namespace)
		}
		w := v.workload
		w.kind, _ = kindOf(w.kind)
		if w != k || !v.sees.Sees(d.Namespace) {
			return false
		}
		t := a.target(now, v.workload)
		return t.APIVersion == "" || t.Group() == d.Group()
	})
}
