package names

import (
	"path"
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
	case n.holdsNamed(e.path, maxDepth):
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

// maxDepth bounds the look below a cgroup.
const maxDepth = 64

// holdsNamed says whether something below a cgroup has a name of its own.
func (n *Names) holdsNamed(p string, depth int) bool {
	for _, name := range n.kids(p) {
		below := path.Join(p, name)
		switch k := classify(below).kind; {
		case k != group && k != plain:
			return true
		case depth > 0 && n.hasKids(below) && n.holdsNamed(below, depth-1):
			return true
		}
	}
	return false
}

// Turns is a number that grows whenever cgroups have become part of the one above them, or are so no more.
func (n *Names) Turns() uint64 { return n.turns.Load() }
