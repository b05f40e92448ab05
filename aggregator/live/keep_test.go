package live

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// kept counts what was appended.
type kept struct{ batches, groups int }

func (k *kept) Append(_ context.Context, b *metric.Batch) error {
	k.batches++
	k.groups += len(b.Groups)
	return nil
}

// door is a gate that can be shut.
type door struct{ shut atomic.Bool }

// shut is a door that is.
func shut() *door {
	d := &door{}
	d.shut.Store(true)
	return d
}

func (d *door) MayWrite() error {
	if d.shut.Load() {
		return errors.New("another process holds the lease")
	}
	return nil
}

// Sums go to the history at its pace, as long as this process is the one that may write them.
func TestRollUpsAreKeptWhileTheGateIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		p, k, d := newPicture(t, Options{}), &kept{}, &door{}
		ended := make(chan error)
		go func() { ended <- RollUps{Picture: p, History: k, Gate: d, Every: 10 * time.Second}.Run(ctx) }()
		f := func(seconds time.Duration, want int) {
			t.Helper()
			for range seconds {
				apply(t, p, &metric.Batch{Node: "n1", Time: time.Now(), Groups: []metric.Group{cpu(web(1), time.Now(), 1, 100)}})
				time.Sleep(time.Second)
			}
			synctest.Wait()
			if k.batches != want {
				t.Errorf("got %d batches, want %d", k.batches, want)
			}
		}
		f(9, 0)
		f(11, 2)
		d.shut.Store(true)
		f(20, 2)
		d.shut.Store(false)
		f(10, 3)
		if k.groups == 0 {
			t.Error("nothing was summed")
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// slow is a history that takes its first batch for a while, as one does whose process is stopped meanwhile.
type slow struct{ passes []time.Duration }

func (h *slow) Append(_ context.Context, b *metric.Batch) error {
	h.passes = append(h.passes, time.Since(b.Time))
	if len(h.passes) == 1 {
		time.Sleep(14 * time.Second)
	}
	return nil
}

// A pass that comes late is of when it is made, not of when it was due: what is in it is of up to then.
func TestPassIsOfWhenItIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 45*time.Second)
		defer stop()
		h := &slow{}
		if err := (RollUps{Picture: newPicture(t, Options{}), History: h, Gate: &door{}, Every: 10 * time.Second}).Run(ctx); err != nil {
			t.Fatal(err)
		}
		if want := make([]time.Duration, 4); !slices.Equal(h.passes, want) { // at seconds 10, 24, 30 and 40
			t.Errorf("the passes' times were %v ago, want %v", h.passes, want)
		}
	})
}

// Samples of long ago, which a queue brings late, are no news: they make nothing appear, and no row an entity's own but what a machine measures.
func TestLateSamplesAreNoNews(t *testing.T) {
	p := newPicture(t, Options{})
	n := node("n1")
	asked := func(e *metric.Entity, at time.Time, v float64) metric.Group {
		return metric.Group{Entity: e, Points: []metric.Point{{ID: metric.CPURequest, T: at.UnixMilli(), V: v}}}
	}
	old := &metric.Batch{Node: "n1", Time: sec(0), Groups: []metric.Group{asked(n, sec(-86400), 9), asked(web(2), sec(-86400), 9)}}
	apply(t, p, old)
	apply(t, p, &metric.Batch{Node: "n1", Time: sec(0), Groups: []metric.Group{asked(n, sec(-600), 9)}})
	apply(t, p, tick(sec(1), cpu(n, sec(1), 1, 10), cpu(web(1), sec(1), 1, 10)))
	apply(t, p, &metric.Batch{Node: "n1", Time: sec(2), Groups: []metric.Group{asked(web(1), sec(2), 0.5)}})
	s := p.Snapshot(sec(2))
	only(t, s.Containers)
	if got, ok := only(t, s.Nodes).Gauge(metric.CPURequest); !ok || got != 0.5 {
		t.Errorf("the machine's requests: got %v (%v), want its container's 0.5", got, ok)
	}
}

// A machine that comes back after roll-ups were given out without it brings no leap: what it used unheard is in no one interval,
// and its sum, which has no other part, begins anew.
func TestSumsDoNotLeapWhenAMachineComesBack(t *testing.T) {
	p := newPicture(t, Options{})
	sum := func(at float64) (v float64) {
		t.Helper()
		for _, g := range p.RollUp(sec(at)).Groups {
			for _, pt := range g.Points {
				if g.Entity.Level == metric.Namespace && pt.ID == metric.CPUUsage {
					v = pt.V
				}
			}
		}
		return v
	}
	for s := 0.0; s <= 20; s++ { // half a core
		apply(t, p, tick(sec(s), cpu(web(1), sec(s), s/2, 10)))
	}
	before := sum(20)
	for s := 30.0; s <= 100; s += 10 {
		sum(s) // nothing is heard
	}
	for s := 100.0; s <= 110; s++ {
		apply(t, p, tick(sec(s), cpu(web(1), sec(s), s/2, 10)))
	}
	if got := sum(110); before != 10 || got < 4.9 || got > 5.1 {
		t.Errorf("the namespace's counter, which was %v, began anew and grew by %v in the first interval, want the 5 of ten seconds", before, got)
	}
}

// A machine whose clock is a minute behind is counted in the sums like any other.
func TestSumsCountAMachineWithASlowClock(t *testing.T) {
	p := newPicture(t, Options{})
	grown, last := 0.0, -1.0
	for s := 0.0; s <= 40; s++ {
		b := tick(sec(s), cpu(web(1), sec(s-60), s/2, 10))
		apply(t, p, b)
		if int(s)%10 != 0 {
			continue
		}
		for _, g := range p.RollUp(sec(s)).Groups {
			for _, pt := range g.Points {
				if g.Entity.Level == metric.Namespace && pt.ID == metric.CPUUsage {
					grown, last = pt.V, s
				}
			}
		}
	}
	if last != 40 || grown < 19.9 || grown > 20.1 {
		t.Errorf("the namespace's counter reads %v at %v s, want 20 at 40", grown, last)
	}
}

// last keeps the counter of a namespace's CPU time, as it was appended.
type last struct {
	sums   []float64
	starts []time.Time
}

func (l *last) Append(_ context.Context, b *metric.Batch) error {
	for _, g := range b.Groups {
		for _, x := range g.Points {
			if g.Entity.Level == metric.Namespace && x.ID == metric.CPUUsage && x.V > 0 { // but for where it begins
				l.sums, l.starts = append(l.sums, x.V), append(l.starts, g.Start)
			}
		}
	}
	return nil
}

// Of two processes that are sent the same one writes, then the other: the second's counter begins where its gate opens, with the interval that
// it saw, and not with all that it has counted since its start.
func TestTakeoverIsNoLeap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer stop()
		history, first, second := &last{}, &door{}, shut()
		var pictures []*Picture
		for _, d := range []*door{first, second} {
			p := newPicture(t, Options{})
			pictures = append(pictures, p)
			go func() { _ = RollUps{Picture: p, History: history, Gate: d, Every: 10 * time.Second}.Run(ctx) }()
		}
		used := 1000.
		run := func(seconds int) {
			for range seconds {
				used++
				for _, p := range pictures {
					apply(t, p, &metric.Batch{Node: "n1", Time: time.Now(), Groups: []metric.Group{cpu(web(1), time.Now(), used, 100)}})
				}
				time.Sleep(time.Second)
				synctest.Wait()
			}
		}
		run(61)
		first.shut.Store(true)
		run(7) // nobody holds the lease
		second.shut.Store(false)
		run(20)
		n := len(history.sums)
		if n != 8 {
			t.Fatalf("got %d intervals of %v, want 8", n, history.sums)
		}
		before, took, after := history.sums[n-3], history.sums[n-2], history.sums[n-1]
		if before < 50 || took != 10 || after != 20 || history.starts[n-2].Equal(history.starts[n-3]) || !history.starts[n-2].Equal(history.starts[n-1]) {
			t.Errorf("got %v with the starts %v", history.sums, history.starts)
		}
	})
}

// dated keeps when the counter of a namespace's CPU time was appended, with its value and its start.
type dated struct {
	at     []time.Time
	sums   []float64
	starts []time.Time
}

func (d *dated) Append(_ context.Context, b *metric.Batch) error {
	for _, g := range b.Groups {
		for _, x := range g.Points {
			if g.Entity.Level == metric.Namespace && x.ID == metric.CPUUsage && x.V > 0 { // but for where it begins
				d.at, d.sums, d.starts = append(d.at, b.Time), append(d.sums, x.V), append(d.starts, g.Start)
			}
		}
	}
	return nil
}

func (d *dated) written(_ context.Context, since time.Time) (time.Time, error) {
	if n := len(d.at); n > 0 && d.at[n-1].After(since) {
		return d.at[n-1], nil
	}
	return time.Time{}, nil
}

// When who writes ends without a word, and another may write only later, that one brings what was not written, once: there is a sum for each interval, and each
// second but for less than half an interval is in one.
func TestTakeoverDropsNoInterval(t *testing.T) {
	for _, apart := range []int{0, 1, 4, 6, 9} { // seconds between their passes
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer synctest.Wait()
			defer stop()
			history, first, second := &dated{}, &door{}, shut()
			used, pictures := 1000., []*Picture{newPicture(t, Options{}), newPicture(t, Options{})}
			starts := func(i int, d *door) {
				go func() {
					_ = RollUps{Picture: pictures[i], History: history, Gate: d, Every: 10 * time.Second, Written: history.written}.Run(ctx)
				}()
			}
			run := func(seconds int) {
				for range seconds {
					used++
					for _, p := range pictures {
						apply(t, p, &metric.Batch{Node: "n1", Time: time.Now(), Groups: []metric.Group{cpu(web(1), time.Now(), used, 100)}})
					}
					time.Sleep(time.Second)
					synctest.Wait()
				}
			}
			starts(0, first)
			run(apart)
			starts(1, second)
			run(61 - apart)
			first.shut.Store(true)
			n := len(history.at)
			run(17) // the lease has to end, and the next pass to come
			second.shut.Store(false)
			run(30)
			for i := n; i < len(history.at); i++ {
				if gap := history.at[i].Sub(history.at[i-1]); gap <= 5*time.Second || gap > 15*time.Second {
					t.Errorf("%d s apart: sums of %v after those before, at %v", apart, gap, history.at)
				}
				want := 10 * float64(i-n+1)
				if apart > 5 { // what the first has counted, up to its last pass, is in no other sum
					want -= 11 - float64(apart)
				}
				if math.Abs(history.sums[i]-want) > 0.001 || !history.starts[i].Equal(history.starts[n]) {
					t.Errorf("%d s apart: sum %d is %v since %v, want %v; %v", apart, i, history.sums[i], history.starts[i], want, history.sums)
				}
			}
			if len(history.at) < n+4 {
				t.Errorf("%d s apart: %v", apart, history.at)
			}
		})
	}
}
