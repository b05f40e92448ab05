package capacity

import (
	"context"
	"maps"
	"slices"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// limits are those that were in force when a container was killed for memory or throttled, by the ends of steps, Unix milliseconds. A limit that is changed because
// of it is another one from then on: of a step in which it changes the least counts.
type limits struct {
	kills, memory map[int64]float64 // by CPU steps; of those that were killed
	cpu           map[int64]float64 // by the grid's steps; of those that were throttled
}

// limitsHit asks when containers were killed, and what limits they had.
func (l *learner) limitsHit(ctx context.Context, only []store.Matcher) error {
	step := l.asker.g.cpuStep()
	return together(ctx,
		l.question(store.Query{Row: metric.OOMKills, Func: store.Increase}, store.Sum, only, step, func(u *usage, x store.Sample) { u.limits.kills[x.T] += x.V }),
		l.question(store.Query{Row: metric.MemoryLimit, Func: store.Min}, store.Min, only, step, func(u *usage, x store.Sample) { keepLeast(u.limits.memory, x) }))
}

// limitsThrottled asks what limits containers had.
func (l *learner) limitsThrottled(ctx context.Context, only []store.Matcher) error {
	return l.question(store.Query{Row: metric.CPULimit, Func: store.Min}, store.Min, only, l.asker.g.step, func(u *usage, x store.Sample) { keepLeast(u.limits.cpu, x) })(ctx)
}

// limitHit is the memory limit of the last step in which it was killed; nil where it had none. Where no step says so, what is counted now was counted under the present limit.
func (u *usage) limitHit(g grid, present *float64) *float64 {
	last := int64(0)
	for t, n := range u.limits.kills {
		if count(n) > 0 {
			last = max(last, t)
		}
	}
	if last == 0 {
		return present
	}
	for _, t := range []int64{last, last - g.cpuStep().Milliseconds()} { // the first reading of a step may come before the limit is told
		if v, ok := u.limits.memory[t]; ok {
			return &v
		}
	}
	return nil
}

// cfs are the CFS periods a second of a step, and those of them that were throttled.
type cfs struct{ all, throttled float64 }

func (c cfs) plus(d cfs) cfs { return cfs{c.all + d.all, c.throttled + d.throttled} }

// throttled is the share of periods that were throttled under a CPU limit or a higher one; nil where there were none. A step of which no limit is known counts.
func (u *usage) throttled(limit float64) *float64 {
	var sum cfs
	for t, c := range u.cfs {
		if l, ok := u.limits.cpu[t]; !ok || l >= limit {
			sum = sum.plus(c)
		}
	}
	if sum.all <= 0 {
		return nil
	}
	v := min(sum.throttled/sum.all, 1)
	return &v
}

// keepLeast keeps the lesser where containers, which the store cannot join, meet; zero is no limit.
func keepLeast(at map[int64]float64, x store.Sample) {
	if v, ok := at[x.T]; x.V > 0 && (!ok || x.V < v) {
		at[x.T] = x.V
	}
}

// newest is the value of the last step; nil where there is none.
func newest(at map[int64]float64) *float64 {
	if len(at) == 0 {
		return nil
	}
	v := at[slices.Max(slices.Collect(maps.Keys(at)))]
	return &v
}
