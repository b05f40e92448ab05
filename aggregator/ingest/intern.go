package ingest

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
)

// table knows the series and entities that are being sent, so that a series is looked at closely once and an
// entity keeps one pointer for as long as it is sent. Both are bounded; what has not been sent for a while is
// forgotten.
type table struct {
	most limits

	mu       sync.Mutex
	series   map[string]*known
	entities map[metric.Entity]*named
	labels   int64               // bytes of the keys of series
	names    map[string]rowLevel // at most the catalogue's
	by       map[string]*held    // what senders and logins have of the table
	from     from                // of the request being converted
	holder   *held               // what its sender has; nil: not looked up
	swept    int64
	round    uint64 // the request being converted
	key      []byte
	batches  []*metric.Batch
	nodes    map[string]int // of the batches
	groups   int            // groups of the last request's last batch: a good guess for the next one's first
	points   []metric.Point // room for the groups to come
}

// known is what the labels of a series mean.
type known struct {
	of   *named // nil: not for us
	why  reason // where of is nil
	id   metric.ID
	sub  string
	used int64 // Unix milliseconds
	by   *held // whose it is
}

// named is an entity that is being sent.
type named struct {
	entity *metric.Entity
	used   int64
	// where the entity's group is in the request of the round
	round        uint64
	batch, group int
	gap          bool // it had a stale marker in this round
	size         int  // samples in the round before
	by           *held
}

func newTable(most limits) *table {
	return &table{most: most, series: map[string]*known{}, entities: map[metric.Entity]*named{}, names: map[string]rowLevel{}, nodes: map[string]int{}, by: map[string]*held{}}
}

// maxLabelBytes is the most bytes in the names and values of a series' labels.
const maxLabelBytes = 16 << 10

// lookup returns what a series means. The caller holds the lock.
func (t *table) lookup(s *series, now int64) (*known, reason) {
	t.key = t.key[:0]
	if s.labelled > 2*maxLabels {
		return nil, rejectLabels
	}
	size := 0
	for _, l := range s.labels {
		if size += int(l.n); size > maxLabelBytes { // before it is copied: a symbol may be large, and be referred to often
			return nil, rejectLabels
		}
		t.key = append(t.key, byte(l.n>>16), byte(l.n>>8), byte(l.n))
		t.key = append(t.key, s.text(l)...)
	}
	if k := t.series[string(t.key)]; k != nil {
		k.used = now
		if k.of == nil {
			return nil, k.why
		}
		k.of.used = now
		return k, numReasons
	}
	if !t.space() && !t.sweep(now, crowded.Milliseconds()) {
		return nil, rejectLimit
	}
	k := &known{used: now, by: t.holds()}
	if k.of, k.why = t.understand(s, k); k.why == rejectLimit {
		return nil, k.why // may be room next time
	}
	t.series[string(t.key)] = k
	t.labels += int64(len(t.key))
	k.by.add(1, 0, int64(len(t.key)))
	if k.of == nil {
		return nil, k.why
	}
	return k, numReasons
}

// understand finds the series' row and entity.
func (t *table) understand(s *series, k *known) (*named, reason) {
	for _, l := range s.labels {
		if !utf8.Valid(s.text(l)) {
			return nil, rejectLabels
		}
	}
	if s.repeats() {
		return nil, rejectDuplicate
	}
	get := func(name string) string { return identity.Clean(s.value(name)) } // as names that are read on a machine are
	name := get("__name__")
	if name == "" {
		return nil, rejectLabels
	}
	row, level, ok := t.row(name, get)
	if !ok {
		return nil, skipUnknown
	}
	e := identity.OfWire(level, get)
	if why := place(&e, row, get("instance")); why != numReasons {
		return nil, why
	}
	k.id = row.ID
	if row.Sub != "" {
		k.sub = get(row.Sub)
	}
	if n := t.entities[e]; n != nil {
		return n, numReasons
	}
	if !t.seat(k.by) {
		t.sweep(k.used, crowded.Milliseconds())
		if k.by = t.holds(); !t.seat(k.by) {
			return nil, rejectLimit
		}
	}
	n := &named{entity: &e, by: k.by}
	t.entities[e] = n
	n.by.add(0, 1, 0)
	n.used = k.used
	return n, numReasons
}

// repeats says whether a label name occurs twice. Names come in order, as the protocol asks; others are put in order first.
func (s *series) repeats() bool {
	names := make([]span, 0, maxLabels)
	for i := 0; i < len(s.labels); i += 2 {
		names = append(names, s.labels[i])
	}
	order := func(a, b span) int { return bytes.Compare(s.text(a), s.text(b)) }
	slices.SortFunc(names, order)
	return len(slices.CompactFunc(names, func(a, b span) bool { return order(a, b) == 0 })) < len(s.labels)/2
}

// value returns the value of a label, "" where there is none.
func (s *series) value(name string) string {
	for i := 0; i+1 < len(s.labels); i += 2 {
		if string(s.text(s.labels[i])) == name {
			return string(s.text(s.labels[i+1]))
		}
	}
	return ""
}

// rowLevel is what a metric name stands for by itself.
type rowLevel struct {
	row   *metric.Row
	level metric.Level
}

// row looks a metric up, remembering the names that need no label to be told apart: the catalogue's own search is for
// few look-ups, and a cluster that starts to send makes a million.
func (t *table) row(name string, label func(string) string) (*metric.Row, metric.Level, bool) {
	if r, ok := t.names[name]; ok {
		return r.row, r.level, true
	}
	row, level, err := metric.Lookup(name, label)
	if err != nil {
		return nil, 0, false
	}
	if len(row.Fixed) == 0 {
		t.names[strings.Clone(name)] = rowLevel{row, level}
	}
	return row, level, true
}

// place finds the level of a series that came from cAdvisor itself, where pods and the machine have the
// containers' metric names, and says whether the entity has a name.
func place(e *metric.Entity, row *metric.Row, instance string) reason {
	if e.Level == metric.Container && (e.Container == "" || e.Container == "POD") {
		switch {
		case e.Container == "POD":
			return skipUnknown // the pause container's own
		case e.Pod != "" && row.Has(metric.Pod):
			e.Level = metric.Pod
		case e.ID == "/" && row.Has(metric.Node):
			e.Level = metric.Node
		default:
			return skipUnknown // a cgroup that is no container
		}
	}
	if e.Level == metric.Node && e.Node == "" {
		e.Node, _, _ = strings.Cut(instance, ":")
	}
	if !identity.Usable(e) {
		return rejectLabels
	}
	return numReasons
}

func isStale(v float64) bool { return math.Float64bits(v) == remotewrite.StaleBits }

// convert turns a sender's decoded request into batches, one for each node.
func (t *table) convert(decode func(func(*series) error) error, sender from, now time.Time, fast bool) (converted, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ms := now.UnixMilli()
	if ms-t.swept > forget.Milliseconds()/10 {
		t.sweep(ms, forget.Milliseconds())
	}
	t.round++
	t.from, t.holder = sender, nil
	t.batches = nil
	clear(t.nodes)
	c := converted{lag: math.NaN()}
	var newest int64
	err := decode(func(s *series) error {
		c.tally[skipHistogram] += s.histograms
		c.tally[skipExemplar] += s.exemplars
		if len(s.samples) == 0 {
			return nil
		}
		k, why := t.lookup(s, ms)
		if k == nil {
			c.tally[why] += len(s.samples)
			if why == rejectLimit {
				c.limit(s, t.most.nodes)
			}
			return nil
		}
		newest = max(newest, t.samples(k, s, now, ms+skew.Milliseconds(), fast, &c))
		return nil
	})
	t.gaps()
	if len(c.over) > 0 {
		c.why = t.full()
	}
	if newest > 0 {
		c.lag = float64(ms-newest) / 1000
	}
	for _, b := range t.batches {
		t.groups = min(len(b.Groups), 1000)
	}
	c.batches = t.batches
	t.batches, t.points = nil, nil // the batches' readers have them now
	return c, err
}

// samples adds a series' samples to its entity's group and returns the time of the newest.
func (t *table) samples(k *known, s *series, now time.Time, horizon int64, fast bool, c *converted) (newest int64) {
	if c.node == "" {
		c.node = k.of.entity.Node
	}
	for _, x := range s.samples {
		if !isStale(x.v) {
			c.newest = max(c.newest, x.t)
		}
		switch {
		case isStale(x.v):
			if k.id == metric.CPUUsage || k.id == metric.MemoryWorkingSet {
				t.ended(k.of, now, fast) // of another row it may be an interface that went away
			}
			c.written++
			continue
		case math.IsNaN(x.v) || math.IsInf(x.v, 0):
			c.tally[rejectNotFinite]++
			continue
		case !k.id.Can(x.v):
			c.tally[rejectValue]++
			continue
		case x.t > horizon:
			c.tally[rejectFuture]++
			continue
		case x.t <= 0:
			c.tally[rejectTime]++
			continue
		}
		g := t.group(k.of, now, fast)
		if s.start > 0 && s.start <= x.t {
			g.Start = later(g.Start, s.start)
		} else if k.id == metric.StartTime && g.Start.IsZero() && x.v > 0 && x.v < float64(horizon)/1000 {
			g.Start = time.UnixMilli(int64(x.v * 1000)).UTC()
		}
		g.Points = append(g.Points, metric.Point{ID: k.id, Sub: k.sub, T: x.t, V: x.v})
		k.of.size++
		c.written++
		newest = max(newest, x.t)
	}
	return newest
}

func later(t time.Time, ms int64) time.Time {
	if u := time.UnixMilli(ms).UTC(); u.After(t) {
		return u
	}
	return t
}

// batch returns the index of the node's batch of this round.
func (t *table) batch(n *named, now time.Time, fast bool) int {
	i, ok := t.nodes[n.entity.Node]
	if !ok {
		i, room := len(t.batches), 1
		if i == 0 {
			room = max(t.groups, 1)
		}
		t.nodes[n.entity.Node] = i
		t.batches = append(t.batches, &metric.Batch{Node: n.entity.Node, Sender: t.from.name, Login: strings.TrimPrefix(t.from.login, noLogin), Time: now, Fast: fast, Groups: make([]metric.Group, 0, room)})
		return i
	}
	return i
}

// enter makes the entity part of this round.
func (t *table) enter(n *named, now time.Time, fast bool) {
	if n.round != t.round {
		n.round, n.batch, n.group, n.gap = t.round, t.batch(n, now, fast), -1, false
	}
}

func (t *table) group(n *named, now time.Time, fast bool) *metric.Group {
	t.enter(n, now, fast)
	b := t.batches[n.batch]
	if n.group < 0 {
		n.group = len(b.Groups)
		b.Groups = append(b.Groups, metric.Group{Entity: n.entity, Points: t.room(max(n.size, 1))})
		n.size = 0
	}
	return &b.Groups[n.group]
}

// room returns a slice for n points, cut from a larger one: one allocation for many groups.
func (t *table) room(n int) []metric.Point {
	if cap(t.points)-len(t.points) < n {
		t.points = make([]metric.Point, 0, max(n, 256))
	}
	from := len(t.points)
	t.points = t.points[:from+n]
	return t.points[from : from : from+n]
}

// ended notes that the sender has ended a series of an entity; see gaps.
func (t *table) ended(n *named, now time.Time, fast bool) {
	t.enter(n, now, fast)
	if n.gap {
		return
	}
	n.gap = true
	b := t.batches[n.batch]
	b.Gaps = append(b.Gaps, metric.Gap{Entity: n.entity, Reason: metric.GapGone, Detail: "its sender has ended the series"})
}

// gaps drops the gaps of entities that have other samples in the request, of what only something that runs has: only one of their series has ended.
func (t *table) gaps() {
	for _, b := range t.batches {
		b.Gaps = slices.DeleteFunc(b.Gaps, func(g metric.Gap) bool {
			n := t.entities[*g.Entity]
			return n != nil && n.round == t.round && n.group >= 0 && slices.ContainsFunc(b.Groups[n.group].Points, func(p metric.Point) bool { return !p.ID.Standing() })
		})
	}
}
