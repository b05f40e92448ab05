package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"plimsoll.dev/plimsoll/autoscaler"
	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

const (
	bookEvery = 200 * time.Millisecond
	writers   = 8
	// statusesAtOnce is how many are written before it is looked again which ones are due.
	statusesAtOnce = 32
	// lastWrites is for how long statuses are written once the process is to end: less than the lease is still held for.
	lastWrites = 500 * time.Millisecond
	// eventsAtOnce is how many Events one policy may have in a row, and eventEvery how often one more.
	eventsAtOnce = 20
	eventEvery   = 10 * time.Second
)

// Teller is whom people are told by.
type Teller interface {
	// Tell queues an Event and does not wait.
	Tell(Event)
	// SetStatus merges a patch into the status of a ScalePolicy; one that is gone, or made anew, is no error.
	SetStatus(ctx context.Context, namespace, name string, patch []byte) error
}

// Event is something that people are told of an object.
type Event struct {
	Object       corev1.ObjectReference
	Warning      bool
	Reason, Note string // a word, a sentence
	Action       string
	Time         time.Time
}

// book has what people are to be told of each policy, and what they were told.
type book struct {
	gate   cluster.Gate
	teller Teller

	mu      sync.Mutex
	stories map[types.UID]*story
	targets map[cluster.Target]*story
}

// story is that of one policy.
type story struct {
	settled
	mode    string
	now     status
	written status
	wrote   time.Time     // the last try
	refused bool          // which was not taken
	writes  chan struct{} // a message while one is under way
	spare   float64       // Events that may be told at once
	at      time.Time     // of spare
	would   int32         // what a dry run was said to do
}

func newBook(gate cluster.Gate, t Teller) *book {
	return &book{gate: gate, teller: t, stories: map[types.UID]*story{}, targets: map[cluster.Target]*story{}}
}

// open has a story for each policy and forgets those that are gone.
func (b *book) open(all []settled, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	stories, targets := make(map[types.UID]*story, len(all)), make(map[cluster.Target]*story, len(all))
	for _, s := range all {
		x := b.stories[s.ref.UID]
		if x == nil {
			x = &story{writes: make(chan struct{}, 1), now: s.was, written: s.was, spare: eventsAtOnce, at: now, would: -1}
		}
		if b.gate.MayWrite() != nil { // who may, tells: what he wrote is where this process goes on when it may
			x.now, x.written = s.was, s.was
		}
		if was := x.policy; was != nil && s.policy != nil && was.Target != s.policy.Target || x.now.ofAnother(s.Declared) { // what was said of the count 0 was of another one
			x.now.Conditions = slices.DeleteFunc(slices.Clone(x.now.Conditions), func(c metav1.Condition) bool { return c.Type == zeroCondition })
		}
		x.settled = s
		stories[s.ref.UID] = x
		if s.policy != nil {
			targets[s.policy.Target], x.mode = x, string(s.policy.Compiled.Mode())
			continue
		}
		next := x.now.refused(&s, now)
		b.events(x, &next, nil, now)
		x.now = next
	}
	b.stories, b.targets = stories, targets
}

// told notes how a pass ended.
func (b *book) told(o autoscaler.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.targets[o.Target]
	if x == nil {
		return
	}
	next := x.now.after(x.Declared, x.mode, &o)
	next.Schedule = scheduleOf(x.policy.Compiled, o.Time)
	b.events(x, &next, o.Decision, o.Time)
	x.now = next
}

// events tells of a change of the count, of what a dry run would change, and of conditions that are new. The lock is held.
func (b *book) events(x *story, next *status, d *policy.Decision, now time.Time) {
	if b.gate.MayWrite() != nil {
		return
	}
	if d != nil && d.Action != policy.Hold {
		b.tell(x, Event{Reason: "Scaled" + string(d.Action), Action: "Scale", Note: fmt.Sprintf("From %d to %d. %s", d.Current, d.Desired, d.Message)}, now)
	}
	if would := wouldOf(d); would != x.would {
		if x.would = would; would >= 0 {
			b.tell(x, Event{Reason: string(d.Reason), Action: "Decide", Note: d.Message}, now)
		}
	}
	for _, c := range next.Conditions {
		was := x.now.get(c.Type)
		if c.Status == was.Status && c.Reason == was.Reason {
			continue
		}
		bad, known := c.Status == "False", was.Status != ""
		switch {
		case c.Type == "ScalingLimited" && c.Reason == string(policy.TooManyReplicas),
			c.Type != "ScalingLimited" && c.Type != "ScaledToZero" && (bad || known && was.Status == "False"):
			note := c.Message
			switch {
			case bad || d == nil || c.Type == replicasMade || d.Message == note, note != conditionText[policy.Reason(c.Reason)]: // it has words of its own
			case c.Type == "ScalingLimited":
				note = d.Message
			default: // it is well again, and what is decided then, which names what still is not
				note = cmp.Or(conditionText[policy.Reason(c.Reason)], note) + " " + d.Message
			}
			b.tell(x, Event{Warning: bad, Reason: c.Reason, Action: "Decide", Note: note}, now)
		}
	}
}

// wouldOf is the count that a dry run would ask for if it is another one than there is; else -1.
func wouldOf(d *policy.Decision) int32 {
	if d == nil || d.Reason != policy.ModeDryRun || !d.Would.Known {
		return -1
	}
	return d.Would.N
}

// tell tells of one event, or keeps silent where a policy has had too many.
func (b *book) tell(x *story, e Event, now time.Time) {
	x.spare = min(eventsAtOnce, x.spare+now.Sub(x.at).Seconds()/eventEvery.Seconds())
	if x.at = now; x.spare < 1 {
		return
	}
	x.spare--
	e.Object, e.Time = x.ref, now
	b.teller.Tell(e)
}

// run writes what has changed until ctx ends, and then what the last passes have changed.
func (b *book) run(ctx context.Context) error {
	tick := time.NewTicker(bookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			<-tick.C // a change that was begun ends
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
			defer cancel()
			for last.Err() == nil && b.round(last, time.Now().Add(changeWait)) > 0 { //nolint:revive // it is the rounds that count
			}
			return nil
		case <-tick.C:
		}
		b.round(ctx, time.Now())
	}
}

// round writes the statuses that are due at a time, and returns how many that were.
func (b *book) round(ctx context.Context, at time.Time) int {
	if b.gate.MayWrite() != nil {
		return 0
	}
	var g errgroup.Group
	g.SetLimit(writers)
	due := b.due(at)
	for _, x := range due {
		g.Go(func() error { _ = b.write(ctx, x); return nil }) // it is tried again
	}
	_ = g.Wait()
	return len(due)
}

// due are the stories whose status is to be written at a time: of what waits those first that people look for, and of these who has waited longest. Those
// that are left are not written as they were then, but as they will be.
func (b *book) due(now time.Time) []*story {
	b.mu.Lock()
	defer b.mu.Unlock()
	type waiting struct {
		*story
		wait time.Duration
	}
	var all []waiting
	for _, x := range b.stories {
		if x.ref.Kind != Kind { // an HPA's status is its controller's
			continue
		}
		wait := x.now.wait(&x.written)
		if wait > 0 && x.refused {
			wait = max(wait, changeWait)
		}
		if wait > 0 && now.Sub(x.wrote) >= wait {
			all = append(all, waiting{x, wait})
		}
	}
	slices.SortFunc(all, func(x, y waiting) int { return cmp.Or(cmp.Compare(x.wait, y.wait), x.wrote.Compare(y.wrote)) })
	out := make([]*story, min(len(all), statusesAtOnce))
	for i := range out {
		out[i] = all[i].story
		out[i].wrote = now
	}
	return out
}

func (b *book) write(ctx context.Context, x *story) error {
	select {
	case x.writes <- struct{}{}: // what was written later is what stays
		defer func() { <-x.writes }()
	case <-ctx.Done():
		return ctx.Err()
	}
	b.mu.Lock()
	now, ref := x.now, x.ref
	b.mu.Unlock()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": ref.UID}, "status": now})
	if err != nil {
		return err
	}
	err = b.teller.SetStatus(ctx, ref.Namespace, ref.Name, patch)
	b.mu.Lock()
	defer b.mu.Unlock()
	if x.refused = err != nil; err == nil {
		x.written = now
	}
	return err
}

// toZero writes into a policy's status that the count of 0 which is to come is its own.
func (b *book) toZero(ctx context.Context, t cluster.Target) error {
	b.mu.Lock()
	x := b.targets[t]
	if x == nil || x.ref.Kind != Kind {
		b.mu.Unlock()
		return nil
	}
	x.now.Target, x.now.Conditions = x.subject(), slices.Clone(x.now.Conditions)
	x.now.condition(x.version, zeroCondition, "True", string(policy.ScaledToZero), conditionText[policy.ScaledToZero], time.Now())
	b.mu.Unlock()
	return b.write(ctx, x)
}
