package cgroup

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/collector/cgroup/tick"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Reader is the fast reader. Its methods may be called from several goroutines; Read is meant for one.
type Reader struct {
	opt  Options
	log  *slog.Logger
	own  *own
	info Info

	mu      sync.Mutex
	closed  bool
	tree    *tree // nil before the first Read
	hier    []hierarchy
	members *members
	node    *member
	sampler sampler
	prev    time.Time // the tick before
	scanned time.Time // the last look at everything
	points  int       // how many the last batch had
	suspect []*dir    // directories whose files died during this tick
	bare    []*member // cgroups of which no file is there at this tick
}

// New finds out how cgroups are laid out on this machine. Nothing is opened before the first Read.
func New(o Options) (*Reader, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	l, err := detect(o.Host)
	if err != nil {
		return nil, err
	}
	m, err := newOwn(o.Registerer)
	if err != nil {
		return nil, err
	}
	op := &opener{max: o.maxDescriptors, reopened: m.reopened.Inc}
	return &Reader{
		opt: o, log: o.Logger, own: m, info: l.info, hier: l.hierarchies,
		members: newMembers(append(slices.Clone(l.hierarchies), machine(o.Host.Proc)), o.Namer, o.maxCgroups, op, m.drop),
		node:    &member{at: -1, entity: &metric.Entity{Level: metric.Node, Node: o.Node, ID: "/"}},
		sampler: sampler{opener: op, drop: m.drop, buf: make([]byte, 1<<14)},
	}, nil
}

// Info says how cgroups are laid out on this machine.
func (r *Reader) Info() Info { return r.info }

// removing is how long a cgroup without files may be one that is being removed.
const removing = 500 * time.Millisecond

// Read takes one sample of every container and of the machine. The batch is the caller's.
//
// now is the time of the tick and should come straight from time.Now, so that a step of the wall clock is seen:
// then all samples of the tick are dropped, each entity gets a gap with the reason "clock", and what was measured
// before must not be compared with what comes after.
func (r *Reader) Read(now time.Time) *metric.Batch {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := &metric.Batch{Node: r.opt.Node, Time: now, Fast: true}
	if r.closed {
		return b
	}
	step := tick.Stepped(r.prev, now)
	r.prev = now
	r.sampler.tick = tick.Begin(now)
	r.follow(now, step)
	if step {
		r.dropAll(b)
		return b
	}
	r.sampler.last = r.sampler.tick.Stamp()
	r.readAll(b)
	r.own.cgroups.Set(float64(len(r.members.active)))
	r.own.kept.Set(float64(r.sampler.opener.kept))
	r.own.polled.Set(float64(len(r.tree.polled)))
	return b
}

// follow takes in which cgroups came and went.
func (r *Reader) follow(now time.Time, step bool) {
	ms := r.members
	ms.now = now
	if r.tree == nil {
		r.begin()
		r.scanned = now
		ms.rename(true)
		return
	}
	since := now.Sub(r.scanned)
	all := step || since >= rescan || since < 0
	if all {
		r.scanned = now
		clear(ms.refusal)
	}
	lost, err := r.tree.follow(all)
	if lost {
		r.own.rescans.Inc()
	}
	if err != nil {
		r.log.Warn("cannot read cgroup events; cgroups are polled", "err", err)
		r.tree.giveUpWatching()
	}
	ms.rename(all)
	if all {
		for _, m := range r.measured() {
			ms.reopen(m)
		}
		r.nameNode()
	}
}

// begin walks the tree for the first time.
func (r *Reader) begin() {
	w, err := newWatcher()
	if err != nil {
		r.log.Warn("cannot watch cgroups by inotify; they are polled", "err", err)
	}
	r.tree = newTree(r.hier, r.members, w)
	r.members.open(r.node, len(r.hier))
	r.nameNode()
	r.tree.start()
	r.log.Info("reading cgroups", "layout", r.info.String(), "cgroups", len(r.members.byPath))
}

func (r *Reader) nameNode() {
	if e, ok := r.opt.Namer.Name("/"); ok && e != nil && e.Level == metric.Node {
		r.node.entity = e
	}
}

// readAll reads everything into the batch. One array holds the points of all groups.
func (r *Reader) readAll(b *metric.Batch) {
	s, active := &r.sampler, r.members.active
	b.Groups = make([]metric.Group, 0, len(active)+1)
	s.points = make([]metric.Point, 0, r.points+r.points/8+64)
	_, why, which := s.read(r.members, r.node)
	r.put(b, r.node.entity, s.booted, 0, why, which)
	r.suspect, r.bare = r.suspect[:0], r.bare[:0]
	for _, m := range active {
		from := len(s.points)
		if m.entity != nil && m.held != nil {
			s.points, m.held = append(s.points, m.held...), nil
		}
		first := len(s.points)
		dead, why, which := s.read(r.members, m)
		if dead {
			r.suspects(m)
		}
		if len(s.points) == first && (dead || why == fine) {
			s.points = s.points[:from]
			r.bare = append(r.bare, m)
			continue // most likely it does not exist any more
		}
		m.bare = time.Time{}
		if m.entity == nil {
			m.held, s.points = slices.Clone(s.points[from:]), s.points[:from]
			continue
		}
		r.put(b, m.entity, m.start(), from, why, which)
	}
	for _, d := range r.suspect {
		r.tree.check(d)
	}
	for _, m := range r.bare { // one that is being removed loses its files first; one that is there for longer stays
		if m.bare.IsZero() {
			m.bare = b.Time
		}
		if b.Time.Sub(m.bare) >= removing && m.entity != nil && r.members.byPath[m.path] == m {
			b.Gaps = append(b.Gaps, unaccounted.gap(m.entity, ""))
		}
	}
	for path, g := range r.members.ended { // else what it used last would be shown until that is stale
		if m := r.members.byPath[path]; m == nil || m.entity == nil { // not made anew meanwhile
			b.Gaps = append(b.Gaps, g)
		}
	}
	clear(r.members.ended)
	r.points, s.points = len(s.points), nil // the array is the batch's
}

// put adds the points from an index on as a group, or a gap if there are none.
func (r *Reader) put(b *metric.Batch, e *metric.Entity, start time.Time, from int, why reason, which kind) {
	if to := len(r.sampler.points); to > from {
		b.Groups = append(b.Groups, metric.Group{Entity: e, Start: start, Points: r.sampler.points[from:to:to]})
		return
	}
	if why != fine {
		b.Gaps = append(b.Gaps, why.gap(e, which.String()))
	}
}

// suspects closes the files of a cgroup that died, and marks its directories to be looked at. If a directory is still
// there, its controller was switched off; the next rescan tries the files again.
func (r *Reader) suspects(m *member) {
	for i := range m.files {
		f := &m.files[i]
		if f.why != gone {
			continue
		}
		r.sampler.opener.close(f)
		f.why = fine
		if d := m.dirs[f.hier]; d != nil && !slices.Contains(r.suspect, d) {
			r.suspect = append(r.suspect, d)
		}
	}
}

// measured are the machine and the cgroups that are read under a name.
func (r *Reader) measured() []*member {
	named := slices.DeleteFunc(slices.Clone(r.members.active), func(m *member) bool { return m.entity == nil })
	return slices.Insert(named, 0, r.node)
}

// dropAll gives every entity a gap: the clock was stepped.
func (r *Reader) dropAll(b *metric.Batch) {
	for _, m := range r.members.active {
		m.held = nil
	}
	for _, m := range r.measured() {
		b.Gaps = append(b.Gaps, clock.gap(m.entity, ""))
		r.own.drop(clock)
	}
	r.log.Warn("the clock was stepped; this tick's samples are dropped", "tick", b.Time)
}

// Start returns when the cgroup at a path began, as the reader's groups say, and false if it is not known.
func (r *Reader) Start(path string) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members.byPath[path]
	if m == nil {
		return time.Time{}, false
	}
	return m.start(), true
}

// closeGrace is how long Close waits for a Read.
const closeGrace = 2 * time.Second

// Close gives back all descriptors. After it, Read returns empty batches. A Read that hangs in the kernel is waited for a moment: its descriptors go with it, or with
// the process.
func (r *Reader) Close() error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.close()
	}()
	select {
	case <-done:
		return nil
	case <-time.After(closeGrace):
		return errors.New("cannot close the cgroup reader: a reading has not returned")
	}
}

func (r *Reader) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	r.members.close()
	r.members.stop(r.node)
	if r.tree != nil {
		r.tree.close()
	}
}
