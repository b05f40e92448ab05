package collector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// Collector is the room: two lanes, each with its own reader and its own tick.
type Collector struct {
	opt   Options
	own   *own
	lanes []*lane
}

// New makes a collector. It starts nothing.
func New(opt Options) (*Collector, error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	opt.setDefaults()
	o, err := newOwn(opt.Registerer)
	if err != nil {
		return nil, err
	}
	c := &Collector{opt: opt, own: o}
	full := &lane{name: "full", every: opt.Interval, early: opt.Interval / 2, read: opt.Full.Read, extra: slices.Concat(opt.Extra, opt.Slow), kills: &kills{}}
	if opt.Live != nil {
		full.sinks = append(full.sinks, &sender{name: "live", sink: opt.Live})
	}
	if opt.History != nil {
		full.sinks = append(full.sinks, &sender{name: "history", sink: opt.History, waits: true})
	}
	c.lanes = append(c.lanes, full)
	if opt.Fast != nil && opt.Live != nil {
		c.lanes = append(c.lanes, &lane{name: "fast", every: opt.FastInterval, early: opt.FastInterval / 4, read: opt.Fast.Read, extra: opt.Extra,
			sinks: []*sender{{name: "live", sink: opt.Live}}})
	}
	for _, l := range c.lanes {
		l.init(c)
	}
	return c, nil
}

// stopGrace is how long Run waits, after ctx has ended, for a reader that hangs in the kernel.
const stopGrace = 5 * time.Second

// Run ticks until ctx ends: the first tick of each lane at once, so that the first values are there at once.
// It returns nil, having left nothing running, unless a reader hangs in the kernel: the error names it then.
func (c *Collector) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, l := range c.lanes {
		l.begin()
		wg.Go(func() { l.run(ctx) })
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	<-ctx.Done()
	select {
	case <-done:
		return nil
	case <-time.After(stopGrace):
	}
	err := errors.New("cannot stop collecting")
	for _, l := range c.lanes {
		if l.inside.Load() {
			err = fmt.Errorf("%w: the %s reader has not returned", err, l.name)
		}
	}
	return err
}

// Health says what is wrong with the flow, or nil: each lane must have ended a tick within its last three
// intervals. Before Run it says that nothing has been read.
func (c *Collector) Health() error { return c.Stuck(0) }

// Stuck says what Health says of lanes that have ended no tick for so long at least.
func (c *Collector) Stuck(least time.Duration) error {
	var errs error
	for _, l := range c.lanes {
		errs = errors.Join(errs, l.health(time.Now(), least))
	}
	return errs
}

// gather reads one lane's batch and adds what the extras measured. A panic in a reader costs the tick.
func (c *Collector) gather(l *lane, now time.Time) (b *metric.Batch, err error) {
	defer func() {
		if p := recover(); p != nil {
			b, err = nil, fmt.Errorf("the %s reader panicked: %v", l.name, p)
		}
	}()
	b = l.read(now)
	if b == nil {
		return nil, fmt.Errorf("the %s reader gave no batch", l.name)
	}
	for _, x := range l.extra {
		c.extra(b, x, now)
	}
	if l.kills != nil {
		l.kills.add(b, time.Now(), l.extra) // what is read now was so by now
	}
	return b, nil
}

// extra adds one extra's groups; its panic costs its own part only.
func (c *Collector) extra(b *metric.Batch, x Extra, now time.Time) {
	defer func() {
		if p := recover(); p != nil {
			c.own.panics.Inc()
			c.opt.Logger.Error("a measurement panicked; its part of this tick is lost", "measurement", fmt.Sprintf("%T", x), "panic", p)
		}
	}()
	groups, gaps := x.Read(now)
	b.Groups = merge(b.Groups, groups)
	b.Gaps = append(b.Gaps, gaps...)
}

// merge adds groups to those of a batch, which has one group for each entity. What they say of a row goes before what the batch has of it.
func merge(to, more []metric.Group) []metric.Group {
	if len(more) == 0 {
		return to
	}
	at := make(map[*metric.Entity]int, len(to))
	for i := range to {
		at[to[i].Entity] = i
	}
	for _, g := range more {
		i, ok := at[g.Entity]
		if !ok {
			at[g.Entity] = len(to)
			to = append(to, g)
			continue
		}
		to[i].Points = append(slices.DeleteFunc(to[i].Points, func(p metric.Point) bool {
			return slices.ContainsFunc(g.Points, func(q metric.Point) bool { return q.ID == p.ID && q.Sub == p.Sub })
		}), g.Points...)
		if to[i].Start.IsZero() {
			to[i].Start = g.Start
		}
	}
	return to
}
