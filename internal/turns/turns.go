// Package turns lets so many calls of an API server be made in a second, by what they are for: where calls wait, a raise goes before a lowering, that
// before what people are told.
package turns

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Class is what a call is for. The lowest goes first.
type Class int

// The classes.
const (
	Raise  Class = iota // of a count
	Lower               // of a count
	Status              // what an object says of itself
	Event               // what people are told of an object
	classes
)

func (c Class) String() string { return [...]string{"raise", "lower", "status", "event"}[c] }

// writes says whether calls of a class are what the others must not stand in the way of.
func (c Class) writes() bool { return c <= Lower }

// Options say how many calls may be made.
type Options struct {
	// Rate is that of all calls in a second, and Burst how many may be made at once. A rate of 0 is no limit; a burst of 0 is 1.
	Rate  float64
	Burst int
	// Told is the most calls that tell people in a second, of each of the classes that do: they may have half the burst at most, so that there is
	// room for a change of a count at any time. 0: no other limit than Rate.
	Told float64
}

// Validate says what cannot be.
func (o *Options) Validate() error {
	if !(o.Rate >= 0) || !(o.Told >= 0) || o.Burst < 0 {
		return fmt.Errorf("turns: Rate \"%g\", Told \"%g\" and Burst \"%d\" must not be negative", o.Rate, o.Told, o.Burst)
	}
	return nil
}

// Turns has who calls wait for his turn. It starts nothing but timers while somebody waits. All methods are safe for concurrent use.
type Turns struct {
	waits, seconds *prometheus.CounterVec

	mu    sync.Mutex
	all   bucket
	told  [classes]bucket
	queue []*Ticket
	timer *time.Timer // of the next that may have its turn; nil if none is set
	due   time.Time   // of the timer
}

// bucket has room for what may be done at once.
type bucket struct {
	rate, burst, spare float64
	at                 time.Time
}

// Ticket is a place in the queue.
type Ticket struct {
	class Class
	since time.Time
	turn  chan struct{}
}

// New makes Turns of valid options.
func New(o Options) *Turns {
	burst := max(1, float64(o.Burst))
	t := &Turns{all: bucket{rate: o.Rate, burst: burst, spare: burst},
		waits:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_autoscaler_call_waits_total", Help: "Calls that waited for their turn, as only so many are made in a second, by what they were for (raise, lower, status, event)."}, []string{"call"}),
		seconds: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_autoscaler_call_wait_seconds_total", Help: "How long calls waited for their turn, all together, by what they were for (raise, lower, status, event)."}, []string{"call"})}
	for c := range classes {
		t.waits.WithLabelValues(c.String()) // shown from the start
		t.seconds.WithLabelValues(c.String())
		if !c.writes() {
			most := max(1, o.Told)
			t.told[c] = bucket{rate: o.Told, burst: most, spare: most}
		}
	}
	return t
}

// Describe implements prometheus.Collector.
func (t *Turns) Describe(ch chan<- *prometheus.Desc) { t.waits.Describe(ch); t.seconds.Describe(ch) }

// Collect implements prometheus.Collector.
func (t *Turns) Collect(ch chan<- prometheus.Metric) { t.waits.Collect(ch); t.seconds.Collect(ch) }

// Waiting is how many wait.
func (t *Turns) Waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.queue)
}

// Join queues for a call; of equals who has waited longer goes first. The ticket's turn may have come already.
func (t *Turns) Join(c Class, since time.Time) *Ticket {
	k := &Ticket{class: c, since: since, turn: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = append(t.queue, k)
	t.serve()
	return k
}

// Come says whether a ticket's turn has come.
func (k *Ticket) Come() bool {
	select {
	case <-k.turn:
		return true
	default:
		return false
	}
}

// Wait waits for a ticket's turn, for as long as ctx allows, and gives the place back if it did not come.
func (t *Turns) Wait(ctx context.Context, k *Ticket) bool {
	if k.Come() {
		return true
	}
	began, name := time.Now(), k.class.String()
	t.waits.WithLabelValues(name).Inc()
	defer func() { t.seconds.WithLabelValues(name).Add(time.Since(began).Seconds()) }()
	select {
	case <-k.turn:
		return true
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.queue, k)
	if i < 0 {
		return true // its turn came just now
	}
	t.queue = slices.Delete(t.queue, i, i+1)
	return false
}

// Take waits for a turn, for as long as ctx allows.
func (t *Turns) Take(ctx context.Context, c Class) bool { return t.Wait(ctx, t.Join(c, time.Now())) }

// serve calls whose turn it is. The lock is held.
func (t *Turns) serve() {
	now := time.Now()
	t.all.fill(now)
	for c := range t.told {
		t.told[c].fill(now)
	}
	for {
		i, soonest := t.next()
		if i < 0 {
			t.arm(soonest)
			return
		}
		k := t.queue[i]
		t.queue = slices.Delete(t.queue, i, i+1)
		t.all.spare--
		t.told[k.class].spare--
		close(k.turn)
	}
}

// next is the place of the one whose turn it is; -1 if it is nobody's, and then after how long it may be somebody's: 0 if nobody waits.
func (t *Turns) next() (first int, soonest time.Duration) {
	first = -1
	for i, k := range t.queue {
		wait := t.all.wait(1)
		if !k.class.writes() {
			wait = max(t.all.wait(1+t.all.burst/2), t.told[k.class].wait(1))
		}
		switch {
		case wait > 0:
			if soonest == 0 || wait < soonest {
				soonest = wait
			}
		case first < 0 || k.before(t.queue[first]):
			first = i
		}
	}
	return first, soonest
}

func (k *Ticket) before(other *Ticket) bool {
	return k.class < other.class || k.class == other.class && k.since.Before(other.since)
}

// arm has serve called again after a while; 0: it need not be.
func (t *Turns) arm(after time.Duration) {
	due := time.Now().Add(after)
	if after == 0 || t.timer != nil && !due.Before(t.due) {
		return
	}
	if t.timer != nil {
		t.timer.Stop()
	}
	var mine *time.Timer
	mine = time.AfterFunc(after, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.timer == mine { // else an earlier one was set meanwhile
			t.timer = nil
			t.serve()
		}
	})
	t.timer, t.due = mine, due
}

func (b *bucket) fill(now time.Time) {
	if !b.at.IsZero() {
		b.spare = min(b.burst, b.spare+now.Sub(b.at).Seconds()*b.rate)
	}
	b.at = now
}

// wait is how long it is until there is room for n; a bucket without a rate has room at all times, and one that is never so full has when it is full.
func (b *bucket) wait(n float64) time.Duration {
	n = min(n, b.burst)
	if b.rate == 0 || b.spare >= n {
		return 0
	}
	return time.Duration((n-b.spare)/b.rate*float64(time.Second)) + 1
}
