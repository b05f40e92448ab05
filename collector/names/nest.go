package names

import (
	"path"
	"strings"
	"time"
)

// nest is what a plain cgroup is to those below it: a folder of containers, or the container that they are part of. The outermost one with
// processes of its own is the container. What has a name of its own below it (a runtime's container, a pod, a unit) is never part of it.
type nest struct {
	above  []*entry // the plain cgroups that it lies in, outermost first
	looked time.Time
	parent bool // has or had child cgroups
	whole  bool // it has children, and they are part of it
	hidden bool // it is a folder, or what its children used is all that its counters have
	since  time.Time
}

const (
	// settle is how long a cgroup with children has to hold processes of its own, or none, before its and their rows change: a process that is
	// there for a moment changes nothing.
	settle = 30 * time.Second
	// fresh is how long what is known of the cgroups above one is not looked at again.
	fresh = time.Second
)

// above finds the plain cgroups that a path lies in. The caller holds no lock.
func (n *Names) above(p string) (out []*entry) {
	for i := 1; i < len(p); i++ {
		if p[i] != '/' {
			continue
		}
		v, ok := n.paths.Load(p[:i])
		if !ok {
			v = n.intern(p[:i])
		}
		if e := v.(*entry); e.place.kind == plain {
			out = append(out, e)
		}
	}
	return out
}

// alone says whether a plain cgroup is measured by itself.
func (n *Names) alone(e *entry) bool {
	now := time.Now()
	n.nesting.Lock()
	defer n.nesting.Unlock()
	for _, up := range e.nest.above {
		if now.Sub(up.nest.looked) >= fresh {
			n.nestle(up, now)
		}
		if up.nest.whole {
			return false
		}
	}
	n.nestle(e, now)
	return !e.nest.hidden
}

// nestle looks at what a plain cgroup is now. The caller holds nesting.
func (n *Names) nestle(e *entry, now time.Time) {
	s := &e.nest
	first := s.looked.IsZero()
	was := s.whole
	s.looked = now
	switch {
	case !n.hasKids(e.path):
		s.whole, s.hidden = false, s.parent && !n.inUse(e.path)
		s.since = time.Time{}
	case n.holdsNamed(e.path, now):
		s.parent, s.whole, s.hidden, s.since = true, false, true, time.Time{}
	default:
		own := n.inUse(e.path)
		switch {
		case first || !s.parent || !s.hidden && !s.whole: // it had no children
			s.whole = own
		case own == s.whole:
			s.since = time.Time{}
		case s.since.IsZero():
			s.since = now
		case now.Sub(s.since) >= settle:
			s.whole, s.since = own, time.Time{}
		}
		s.parent, s.hidden = true, !s.whole
	}
	if s.whole != was {
		n.turns.Add(1)
	}
}

// maxDepth is how many levels below the root are looked at.
const maxDepth = 64

// below is what was found below cgroups in one look at them. Each cgroup is looked at once in a look, whoever asks of those above it: a tree costs what it has of
// cgroups, and not for each of them all below it.
type below struct {
	named map[string]bool
	began time.Time
	spent time.Duration // in looking
}

// at begins a new look if the last one is old: older than fresh, and than ten times what it has cost, which a large tree on a slow machine bounds.
func (b *below) at(now time.Time) {
	if now.Sub(b.began) >= max(fresh, 10*b.spent) {
		*b = below{named: make(map[string]bool, len(b.named)), began: now}
	}
}

// holdsNamed says whether something below a cgroup has a name of its own. The caller holds nesting.
func (n *Names) holdsNamed(p string, now time.Time) bool {
	n.below.at(now)
	began := time.Now()
	defer func() { n.below.spent += time.Since(began) }()
	return n.named(p, strings.Count(p, "/"))
}

// holds makes those above a cgroup that has a name of its own be looked at again: it may be new.
func (n *Names) holds(p string) {
	n.nesting.Lock()
	defer n.nesting.Unlock()
	news := false
	for p = path.Dir(p); len(p) > 1; p = path.Dir(p) {
		found, looked := n.below.named[p]
		news = news || looked && !found
		delete(n.below.named, p)
	}
	if news {
		n.turns.Add(1)
	}
}

// named looks below a cgroup that lies so deep.
func (n *Names) named(p string, depth int) bool {
	if known, ok := n.below.named[p]; ok {
		return known
	}
	found := false
	for _, name := range n.kids(p) {
		kid := path.Join(p, name)
		k := classify(kid).kind
		if found = k != group && k != plain || depth < maxDepth && n.hasKids(kid) && n.named(kid, depth+1); found {
			break
		}
	}
	n.below.named[p] = found
	return found
}

// Turns is a number that grows whenever cgroups have become part of the one above them, or are so no more, or may be.
func (n *Names) Turns() uint64 { return n.turns.Load() }
