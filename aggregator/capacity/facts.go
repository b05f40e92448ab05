package capacity

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// past is what the history says of one resource of one scope.
type past struct {
	p50, p95 *float64
	at       map[int64]*Point // by Unix seconds of the steps' ends
}

func newPast() *past { return &past{at: map[int64]*Point{}} }

// point returns the point at a time in Unix milliseconds.
func (p *past) point(ms int64) *Point {
	t := ms / 1000
	if p.at[t] == nil {
		p.at[t] = &Point{T: t}
	}
	return p.at[t]
}

// points returns them in time order.
func (p *past) points() []Point {
	out := make([]Point, 0, len(p.at))
	for _, x := range p.at {
		out = append(out, *x)
	}
	slices.SortFunc(out, func(a, b Point) int { return int(a.T - b.T) })
	return out
}

// max is the greatest of the points.
func (p *past) max() *float64 {
	var out *float64
	for _, x := range p.at {
		out = greater(out, x.Max)
	}
	return out
}

// story is what the history says of one scope.
type story struct {
	cpu, memory *past
	seen        []int64           // Unix milliseconds of the ends of the cover steps with data, in time order
	begins      time.Time         // in the first of them; zero: not known
	cores       map[int64]float64 // of the machines, by Unix seconds of the steps' ends
}

func newStory() *story { return &story{cpu: newPast(), memory: newPast(), cores: map[int64]float64{}} }

// doubts are at how many steps more seems to have been used than there was: by so much that it is left out, and by so little that it is taken for all there was.
type doubts struct{ dropped, bounded int }

// take takes the greater.
func (d *doubts) take(of doubts) {
	d.dropped, d.bounded = max(d.dropped, of.dropped), max(d.bounded, of.bounded)
}

// believable drops what no machine can have used, by the cores that there were at the time: a counter leaps, or a clock is set. What is above them by up to a tenth, as rates
// are taken over times that are not exact, is bounded by them; by a hundredth is not worth a word. What is left bounds the percentiles.
func (s *story) believable(cores map[int64]float64) (d doubts) {
	const slack, hair = 1.1, 1.01
	for t, p := range s.cpu.at {
		most, known := cores[t]
		if !known {
			continue
		}
		dropped, bounded := false, false
		for _, v := range []**float64{&p.Avg, &p.P95, &p.Max} {
			switch {
			case *v == nil || **v <= most:
			case **v > slack*most:
				*v, dropped = nil, true
			default:
				bounded = bounded || **v > hair*most
				*v = &most
			}
		}
		if dropped {
			d.dropped++
		}
		if bounded {
			d.bounded++
		}
	}
	if d.dropped > 0 && s.cpu.max() == nil {
		s.cpu.p50, s.cpu.p95 = nil, nil
	}
	return d
}

// stories are those of one level, by name; the cluster's is "".
type stories map[string]*story

func (s stories) of(name string) *story {
	if s[name] == nil {
		s[name] = newStory()
	}
	return s[name]
}

// history is what the store says, by level.
type history struct{ clusters, pools, nodes, namespaces stories }

// tell asks for the history of the cluster, all nodes, all namespaces, and all pools if there are any: eleven or twelve questions for each of these levels, however many
// members it has.
func tell(ctx context.Context, a *asker, pools bool) (*history, error) {
	h := &history{clusters: stories{}, pools: stories{}, nodes: stories{}, namespaces: stories{}}
	var questions []func(context.Context) error
	levels := map[metric.Level]stories{metric.Cluster: h.clusters, metric.Node: h.nodes, metric.Namespace: h.namespaces}
	if pools {
		levels[metric.Pool] = h.pools
	}
	for l, into := range levels {
		var mu sync.Mutex // of into
		for _, f := range features(a.g, l) {
			questions = append(questions, func(ctx context.Context) error {
				q := f.query
				q.Level, q.By, q.Join = l, []string{}, store.Max // one series each: what has two is the same thing twice
				if l != metric.Cluster {
					q.By = append(q.By, l.String())
				}
				found, err := a.ask(ctx, q, f.step)
				if err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				for i := range found {
					if name := found[i].Label(strings.Join(q.By, "")); name != "" || l == metric.Cluster { // nothing names the cluster
						f.take(into.of(name), found[i].Samples)
					}
				}
				return nil
			})
		}
	}
	if err := together(ctx, questions...); err != nil {
		return nil, err
	}
	questions = questions[:0]
	for l, into := range levels {
		questions = append(questions, func(ctx context.Context) error { return into.begin(ctx, a, l) })
	}
	if err := together(ctx, questions...); err != nil {
		return nil, err
	}
	return h, nil
}

// begin finds when the data of those begins that had none when the window began.
func (s stories) begin(ctx context.Context, a *asker, l metric.Level) error {
	ends := map[string]int64{}
	for name, x := range s {
		if len(x.seen) > 0 && x.seen[0] > a.g.start.Add(a.g.cover).UnixMilli() {
			ends[name] = x.seen[0]
		}
	}
	q := store.Query{Row: metric.MemoryWorkingSet, Level: l, By: []string{}, Join: store.Max}
	if l != metric.Cluster {
		q.By = append(q.By, l.String())
	}
	found, err := a.begin(ctx, q, func(x *store.Series) string { return x.Label(strings.Join(q.By, "")) }, ends, a.g.cover)
	for name, at := range found {
		s[name].begins = at
	}
	return err
}

// merged sums the stories of several nodes step by step. Averages add up; percentiles and maxima of the parts add up to an upper
// estimate of the whole's.
func merged(parts []*story) *story {
	out := newStory()
	seen, first := map[int64]bool{}, int64(0)
	for _, p := range parts {
		addPast(out.cpu, p.cpu)
		addPast(out.memory, p.memory)
		for t, v := range p.cores {
			out.cores[t] += v
		}
		for _, t := range p.seen {
			seen[t] = true
		}
		if n := len(p.seen); n > 0 && (first == 0 || p.seen[0] < first || p.seen[0] == first && p.begins.Before(out.begins)) {
			first, out.begins = p.seen[0], p.begins
		}
	}
	out.seen = slices.Sorted(maps.Keys(seen))
	return out
}

func addPast(to, p *past) {
	to.p50, to.p95 = plus(to.p50, p.p50), plus(to.p95, p.p95)
	for t, x := range p.at {
		y := to.point(t * 1000)
		y.Avg, y.P95, y.Max = plus(y.Avg, x.Avg), plus(y.P95, x.P95), plus(y.Max, x.Max)
	}
}

// plus adds what is known.
func plus(a, b *float64) *float64 {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	v := *a + *b
	return &v
}

// least is v, or the bound if v is above it.
func least(v, bound *float64) *float64 {
	if v == nil || bound == nil || *v <= *bound {
		return v
	}
	return bound
}

// minus is a - b; nil where either is not known.
func minus(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	v := *a - *b
	return &v
}
