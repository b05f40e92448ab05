package capacity

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// podKind is the kind of a pod that stands for a workload: one of its own, or one of which only the cgroup is known.
const podKind = "Pod"

// id is one container of one workload, whichever replicas it has had, or of one pod that is of no workload.
type id struct {
	namespace, kind, workload, container string
	own                                  bool // its labels name no workload
}

// owner is the workload.
func (i id) owner() id {
	i.container = ""
	return i
}

// usage is what the history says of one container.
type usage struct {
	busy, mean map[int64]float64 // CPU: 95th percentile of each step, of the busiest replica and of the average one
	peak       *float64          // most memory of any replica
	meanMemory map[int64]float64 // as mean

	kills    float64 // for memory
	restarts *float64
	cfs      map[int64]cfs
	seen     map[int64]bool // ends of the cover steps with data, Unix milliseconds
	begins   time.Time      // in the first of them; zero: not known

	// Of those that do not run now: the most within the window.
	cpuRequest, cpuLimit, memoryRequest, memoryLimit *float64

	limits limits
}

func newUsage() *usage {
	return &usage{busy: map[int64]float64{}, mean: map[int64]float64{}, meanMemory: map[int64]float64{}, cfs: map[int64]cfs{}, seen: map[int64]bool{},
		limits: limits{kills: map[int64]float64{}, memory: map[int64]float64{}, cpu: map[int64]float64{}}}
}

// usages are those of all containers.
type usages map[id]*usage

func (u usages) of(k id) *usage {
	if u[k] == nil {
		u[k] = newUsage()
	}
	return u[k]
}

// identityLabels are those that all replicas of a container have in common, in the life of the workload; ownLabels name a container of a pod of its own.
var (
	identityLabels = []string{"namespace", "workload_kind", "workload", "container"}
	ownLabels      = []string{"namespace", "pod", "container"}
)

// idOf is the container that a series is about. Of a Compose service each replica's container has a name of its own.
func idOf(namespace, kind, workload, pod, container string) id {
	own := workload == ""
	switch {
	case kind == "Compose":
		container = workload
	case own && pod != "":
		kind, workload = podKind, pod
	}
	return id{namespace, kind, workload, container, own}
}

// learn asks for the use of all containers: by labels that replicas share, so that pods of a few minutes are one line, and never by
// container. Of scaled workloads it asks for the average replica too.
//
// A container's 95th percentile is that of the hours' 95th percentiles: replicas and their generations meet in each hour, and a store with
// hourly roll-ups has such a figure, of an hour's samples. With at most one step in twenty above it, and one twentieth of each other step, it lies between
// the 90.25th and the 99.75th percentile of all moments.
//
// Pods of their own have no such labels: they are asked for beside, by name, as many at a time as a question lists. There may have been very many
// within the window, so those alone are asked for that are there now.
func learn(ctx context.Context, a *asker, o *RightsizeOptions, now map[id]*running, cpuScaled, memoryScaled []id) (usages, error) {
	l := newLearner(a, o, nil, usages{})
	if err := l.learn(ctx, cpuScaled, memoryScaled); err != nil {
		return nil, err
	}
	pods := map[string]bool{}
	for k := range now {
		if k.own {
			pods[k.workload] = true
		}
	}
	for some := range slices.Chunk(sortedKeys(pods), maxNamed) {
		if err := newLearner(a, o, some, l.out).learn(ctx, nil, nil); err != nil {
			return nil, err
		}
	}
	maps.DeleteFunc(l.out, func(k id, _ *usage) bool { return k.kind == podKind && now[k] == nil }) // of another namespace, or no more
	return l.out, nil
}

func (l *learner) learn(ctx context.Context, cpuScaled, memoryScaled []id) error {
	a := l.asker
	cpu := store.Query{Row: metric.CPUUsage, Func: store.Quantile, Q: 0.95, RateOver: a.g.rate}
	memory := store.Query{Row: metric.MemoryWorkingSet, Func: store.Quantile, Q: 0.95}
	questions := []func(context.Context) error{
		l.question(cpu, store.Max, nil, a.g.cpuStep(), func(u *usage, x store.Sample) {
			u.busy[x.T] = max(u.busy[x.T], x.V)
			u.seen[x.T] = true
		}),
		l.question(store.Query{Row: metric.MemoryWorkingSet, Func: store.Max}, store.Max, nil, a.g.step, func(u *usage, x store.Sample) { u.peak = greater(u.peak, &x.V) }),
	}
	questions = append(questions, l.rares()...)
	if len(cpuScaled) > 0 {
		questions = append(questions, l.question(cpu, store.Avg, named(cpuScaled), a.g.cpuStep(), func(u *usage, x store.Sample) { u.mean[x.T] = joined(u.mean, x) }))
	}
	if len(memoryScaled) > 0 {
		questions = append(questions, l.question(memory, store.Avg, named(memoryScaled), a.g.cpuStep(), func(u *usage, x store.Sample) { u.meanMemory[x.T] = joined(u.meanMemory, x) }))
	}
	if err := together(ctx, questions...); err != nil {
		return err
	}
	return l.begin(ctx)
}

// begin finds when the data of those begins that had none when the window began.
func (l *learner) begin(ctx context.Context) error {
	width, ends := l.asker.g.cpuStep(), map[string]int64{}
	for k, u := range l.out {
		if first := u.first(); k.own == l.own && first > l.asker.g.start.Add(width).UnixMilli() {
			ends[fmt.Sprint(k)] = first
		}
	}
	q := store.Query{Row: metric.CPUUsage, Level: metric.Container, By: l.by(), Join: store.Max, Matchers: l.narrow}
	found, err := l.asker.begin(ctx, q, func(s *store.Series) string { return fmt.Sprint(idOfSeries(s)) }, ends, width)
	for k, u := range l.out {
		if at, ok := found[fmt.Sprint(k)]; ok {
			u.begins = at
		}
	}
	return err
}

// first is the end of the first step with data; 0: there is none.
func (u *usage) first() int64 {
	if len(u.seen) == 0 {
		return 0
	}
	return slices.Min(slices.Collect(maps.Keys(u.seen)))
}

// idOfSeries is the container that a series of the history is about.
func idOfSeries(s *store.Series) id {
	return idOf(s.Label("namespace"), s.Label("workload_kind"), s.Label("workload"), s.Label("pod"), s.Label("container"))
}

// joined takes the greater where Compose replicas, which the store cannot join, meet.
func joined(at map[int64]float64, x store.Sample) float64 { return max(at[x.T], x.V) }

// amountsOfOld asks what containers that do not run now asked for.
func (l *learner) amountsOfOld(ctx context.Context, only []store.Matcher) error {
	var questions []func(context.Context) error
	for row, field := range map[metric.ID]func(*usage) **float64{
		metric.CPURequest: func(u *usage) **float64 { return &u.cpuRequest }, metric.CPULimit: func(u *usage) **float64 { return &u.cpuLimit },
		metric.MemoryRequest: func(u *usage) **float64 { return &u.memoryRequest }, metric.MemoryLimit: func(u *usage) **float64 { return &u.memoryLimit },
	} {
		questions = append(questions, l.question(store.Query{Row: row, Func: store.Max}, store.Max, only, l.asker.g.step, func(u *usage, x store.Sample) {
			p := field(u)
			*p = greater(*p, &x.V)
		}))
	}
	return together(ctx, questions...)
}

// learner asks for containers and puts the answers where they belong.
type learner struct {
	asker  *asker
	own    bool // it asks for those of pods of their own; they are of none else
	known  bool // it adds to containers that are known, and learns of no other
	narrow []store.Matcher
	out    usages
	mu     sync.Mutex // of what out points to
}

// newLearner makes one that asks for workloads, or for pods of their own if some are named.
func newLearner(a *asker, o *RightsizeOptions, pods []string, out usages) *learner {
	l := &learner{asker: a, own: pods != nil, out: out}
	narrow := []store.Matcher{{Name: "namespace", Value: o.Namespace}, {Name: "workload_kind", Value: o.Kind}, {Name: "workload", Value: o.Name}}
	if l.own {
		l.narrow = append(anyOf("pod", pods), store.Matcher{Name: "workload", Op: store.Equal})
		narrow = narrow[:1]
	}
	for _, m := range narrow {
		if m.Value != "" {
			m.Op = store.Equal
			l.narrow = append(l.narrow, m)
		}
	}
	return l
}

// by are the labels by which it asks.
func (l *learner) by() []string {
	if l.own {
		return ownLabels
	}
	return identityLabels
}

// question makes a question with a point for each step; step zero: one over the whole window.
func (l *learner) question(q store.Query, join store.Func, only []store.Matcher, step time.Duration, take func(*usage, store.Sample)) func(context.Context) error {
	return func(ctx context.Context) error {
		q.Level, q.By, q.Join = metric.Container, l.by(), join
		q.Matchers = slices.Concat(l.narrow, only)
		found, err := l.asker.ask(ctx, q, step)
		if err != nil {
			return err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		for i := range found {
			s := &found[i]
			k := idOfSeries(s)
			if k.container == "" || k.own != l.own || l.known && l.out[k] == nil {
				continue
			}
			u := l.out.of(k)
			for _, x := range s.Samples {
				take(u, x)
			}
		}
		return nil
	}
}

// oomKills is how often it was killed for memory.
func (u *usage) oomKills() int { return count(u.kills) }

// p95 of the steps' 95th percentiles; nil where there are none.
func p95(at map[int64]float64) *float64 {
	if len(at) == 0 {
		return nil
	}
	v := quantile(slices.Sorted(maps.Values(at)), 0.95)
	return &v
}

// count is a whole number of events of a counter's growth, which in some engines is a little less or more.
func count(v float64) int {
	if v < 0.05 {
		return 0
	}
	return max(1, int(math.Round(v)))
}
