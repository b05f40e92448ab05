package tsdb

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/prometheus/storage"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// cache remembers the engine's series of each entity, so that a known sample needs no labels. An entity is known
// by its pointer, and by its line, so that all that had a name share its series. It has one owner: who has the turn.
type cache struct {
	max    int
	byPtr  map[*metric.Entity]*entry
	byLine map[identity.Line]*entry
	of     map[string]int // series that the engine knows, by node
	own    int            // of them, this process's own
}

// entry is what is remembered of one entity.
type entry struct {
	entity   *metric.Entity   // who came last
	pointers []*metric.Entity // the keys in byPtr
	series   []series         // in the order in which they first came
	index    map[key]int      // only when there are many series
	at       int              // where the next point is expected: batches repeat their order
	seen     time.Time        // when it last came, by the monotonic clock
	own      bool             // this process first told of it
	last     int64            // its newest sample, Unix milliseconds
}

// series is one series of an entity.
type series struct {
	id       metric.ID
	sub      string
	ref      storage.SeriesRef // 0: not known to the engine
	last     int64             // its newest sample, Unix milliseconds
	interval int64             // milliseconds between its last two samples; 0: not known
}

type key struct {
	id  metric.ID
	sub string
}

// indexFrom is the number of series from which an entity's are found by a map.
const indexFrom = 48

func newCache(max int) *cache {
	return &cache{max: max, byPtr: map[*metric.Entity]*entry{}, byLine: map[identity.Line]*entry{}, of: map[string]int{}}
}

// get returns the entity's entry, made if it is new.
func (c *cache) get(p *metric.Entity) *entry {
	if e := c.byPtr[p]; e != nil {
		e.entity = p
		return e
	}
	line := identity.LineOf(p)
	e := c.byLine[line]
	if e == nil {
		if len(c.byLine) >= c.max {
			c.shrink()
		}
		e = &entry{}
		c.byLine[line] = e
	}
	e.entity = p
	if len(e.pointers) >= 4 { // predecessors, or someone does not keep their pointers: the line finds it all the same
		delete(c.byPtr, e.pointers[0])
		e.pointers = slices.Delete(e.pointers, 0, 1)
	}
	e.pointers = append(e.pointers, p)
	c.byPtr[p] = e
	return e
}

// find returns an entity's entry if there is one.
func (c *cache) find(p *metric.Entity) *entry {
	if e := c.byPtr[p]; e != nil {
		return e
	}
	return c.byLine[identity.LineOf(p)]
}

// drop forgets an entity.
func (c *cache) drop(e *entry) {
	for _, p := range e.pointers {
		delete(c.byPtr, p)
	}
	delete(c.byLine, identity.LineOf(e.entity))
	for i := range e.series {
		c.forget(e, &e.series[i])
	}
}

// opened notes that the engine knows a series.
func (c *cache) opened(e *entry, s *series, ref storage.SeriesRef) {
	s.ref = ref
	c.of[e.entity.Node]++
	if e.own {
		c.own++
	}
}

// forget notes that the engine's series is not remembered any more.
func (c *cache) forget(e *entry, s *series) {
	if s.ref == 0 {
		return
	}
	s.ref = 0
	if e.own {
		c.own--
	}
	if c.of[e.entity.Node]--; c.of[e.entity.Node] <= 0 {
		delete(c.of, e.entity.Node)
	}
}

// shrink forgets the eighth of the entities that was not seen for longest.
func (c *cache) shrink() {
	all := make([]*entry, 0, len(c.byLine))
	for _, e := range c.byLine {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry) int { return cmp.Compare(a.seen.UnixNano(), b.seen.UnixNano()) })
	for _, e := range all[:len(all)/8+1] {
		c.drop(e)
	}
}

// find returns the series of a row and sub, made if it is new. The pointer holds until the next find.
func (e *entry) find(id metric.ID, sub string) *series {
	if e.at >= len(e.series) {
		e.at = 0
	}
	if e.at < len(e.series) {
		if s := &e.series[e.at]; s.id == id && s.sub == sub {
			e.at++
			return s
		}
	}
	i, ok := e.search(id, sub)
	if !ok {
		i = len(e.series)
		e.series = append(e.series, series{id: id, sub: sub})
		if e.index != nil {
			e.index[key{id, sub}] = i
		}
	}
	e.at = i + 1
	return &e.series[i]
}

func (e *entry) search(id metric.ID, sub string) (int, bool) {
	if len(e.series) < indexFrom {
		for i := range e.series {
			if s := &e.series[i]; s.id == id && s.sub == sub {
				return i, true
			}
		}
		return 0, false
	}
	if e.index == nil {
		e.index = make(map[key]int, 2*len(e.series))
		for i := range e.series {
			e.index[key{e.series[i].id, e.series[i].sub}] = i
		}
	}
	i, ok := e.index[key{id, sub}]
	return i, ok
}

// note remembers that a sample of time t was stored.
func (s *series) note(t int64) {
	if t > s.last {
		if s.last != 0 {
			s.interval = nextInterval(s.interval, t-s.last)
		}
		s.last = t
	}
}

// nextInterval is the estimate of an interval after another distance d: a shorter one is believed at once, a
// longer one (which may be a gap) by an eighth.
func nextInterval(interval, d int64) int64 {
	if interval == 0 || d < interval {
		return d
	}
	return interval + (d-interval)/8
}
