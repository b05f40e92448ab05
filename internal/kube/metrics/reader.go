package metrics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
)

const (
	// every is how often a question is read, rate how many readings begin in a second at most, of all questions together: with more than
	// every can be kept for, each is read less often.
	every = 5 * time.Second
	rate  = 50
	// soonest is between two readings of a question whose answer is wanted anew.
	soonest = time.Second
	// patience is how many readings may be missed before an answer is none any more, and restMost how long a question rests that fails.
	patience = 3
	restMost = time.Minute
	// deadline is how long one call may take.
	deadline = 5 * time.Second
	// firstWait is how long who asks first waits for the answer.
	firstWait = time.Second
	// forgetAfter is when a question is no longer read that nobody asks any more; mostQuestions bounds them.
	forgetAfter   = 30 * time.Second
	mostQuestions = 20_000
)

// Options are what a Reader needs.
type Options struct {
	Config     *rest.Config
	Logger     *slog.Logger // nil discards
	Registerer prometheus.Registerer
}

// Reader holds the newest answers. It is safe for concurrent use.
type Reader struct {
	log    *slog.Logger
	asks   func(ctx context.Context, q Question) (Answer, error)
	door   *door
	counts *prometheus.CounterVec

	mu      sync.Mutex
	entries map[Question]*entry
	wake    chan struct{} // a message: something is due earlier than it was
	spare   float64       // readings that may begin at once
	at      time.Time     // of spare
}

// entry is what is known of one question.
type entry struct {
	question Question
	asked    time.Time // newest
	due      time.Time
	begun    time.Time // the newest reading
	busy     bool
	first    chan struct{} // closed when the first reading is over
	answer   Answer        // the newest good one
	err      error         // of the newest reading; nil: it was good
	failed   int           // readings in a row
}

// New makes a Reader; it asks nothing before Run.
func New(o Options) (*Reader, error) {
	if o.Config == nil {
		return nil, errors.New("who reads metrics needs an API server")
	}
	c, err := newClients(o.Config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the metrics APIs: %w", err)
	}
	r := newReader(c.ask, c.door, cmp.Or(o.Logger, slog.New(slog.DiscardHandler)))
	questions := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "plimsoll_metrics_questions", Help: "Questions to the cluster's metrics APIs that are read regularly."}, func() float64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		return float64(len(r.entries))
	})
	if o.Registerer != nil {
		if err := errors.Join(o.Registerer.Register(r.counts), o.Registerer.Register(questions)); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func newReader(asks func(context.Context, Question) (Answer, error), d *door, log *slog.Logger) *Reader {
	return &Reader{log: log, asks: asks, door: d, entries: map[Question]*entry{}, wake: make(chan struct{}, 1), spare: rate,
		counts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_metrics_readings_total",
			Help: "Readings of the cluster's metrics APIs by the autoscaler, by API group and result (ok, failed)."}, []string{"api", "result"})}
}

// Ask returns the newest answer to a question, and has it read from now on. Only who asks first waits, for a second at most. What was read
// before after is read anew soon. The error says why there is no answer that is new enough.
func (r *Reader) Ask(ctx context.Context, q Question, after time.Time) (Answer, error) {
	e := r.expect(q, after)
	if e == nil {
		return Answer{}, fmt.Errorf("more than %d questions are asked", mostQuestions)
	}
	select {
	case <-e.first:
	default:
		r.await(ctx, e)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return e.say(time.Now(), r.period())
}

// expect has a question read from now on, and anew soon if what there is was read before after; nil if there are too many.
func (r *Reader) expect(q Question, after time.Time) *entry {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[q]
	if e == nil {
		if len(r.entries) >= mostQuestions {
			return nil
		}
		e = &entry{question: q, due: now, first: make(chan struct{})}
		r.entries[q] = e
		r.rouse()
	}
	e.asked = now
	if soon := e.begun.Add(soonest); !e.busy && e.answer.Read.Before(after) && soon.Before(e.due) && e.failed == 0 {
		e.due = soon
		r.rouse()
	}
	return e
}

// Expect has questions read that are asked soon, so that who asks several waits for them at once.
func (r *Reader) Expect(questions ...Question) {
	for _, q := range questions {
		r.expect(q, time.Time{})
	}
}

// await waits for the first reading, for so long after the question was asked first.
func (r *Reader) await(ctx context.Context, e *entry) {
	r.mu.Lock()
	wait := firstWait - time.Since(e.due)
	r.mu.Unlock()
	if wait <= 0 {
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-e.first:
	case <-t.C:
	case <-ctx.Done():
	}
}

// say is the answer at a time. One that failed a moment ago stays good for some readings more.
func (e *entry) say(now time.Time, period time.Duration) (Answer, error) {
	age := now.Sub(e.answer.Read)
	switch {
	case e.answer.Read.IsZero() && e.err == nil:
		return Answer{}, ErrNotRead
	case !e.answer.Read.IsZero() && age <= patience*period+deadline:
		return e.answer, nil
	case e.err != nil:
		return Answer{}, e.err
	}
	return Answer{}, fmt.Errorf("the newest answer is %d s old", int(age.Seconds()))
}

// period is how often a question is read, so many as there are. The lock is held.
func (r *Reader) period() time.Duration {
	return max(every, time.Duration(len(r.entries))*time.Second/rate)
}

// rouse has Run look for what is due.
func (r *Reader) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run reads what is due until ctx ends.
func (r *Reader) Run(ctx context.Context) error {
	r.door.open(ctx)
	var readings sync.WaitGroup
	defer readings.Wait()
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-t.C:
		}
		due, wait := r.next(time.Now())
		for _, e := range due {
			readings.Go(func() { r.read(ctx, e) })
		}
		t.Reset(wait)
	}
}

// next takes what is to be read now, those that wait longest first, and says how long there is nothing else to do.
func (r *Reader) next(now time.Time) (out []*entry, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.at.IsZero() {
		r.spare = min(rate, r.spare+now.Sub(r.at).Seconds()*rate)
	}
	r.at, wait = now, forgetAfter
	for q, e := range r.entries {
		switch {
		case e.busy:
		case now.Sub(e.asked) > forgetAfter:
			delete(r.entries, q)
		case e.due.After(now):
			wait = min(wait, e.due.Sub(now))
		default:
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b *entry) int { return a.due.Compare(b.due) })
	if n := int(r.spare); n < len(out) {
		out, wait = out[:n], time.Second/rate
	}
	r.spare -= float64(len(out))
	for _, e := range out {
		e.busy, e.begun = true, now
	}
	return out, wait
}

// read reads one question.
func (r *Reader) read(ctx context.Context, e *entry) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	a, err := r.asks(ctx, e.question)
	result := "ok"
	if err != nil {
		result = "failed"
	}
	r.counts.WithLabelValues(e.question.API.group(), result).Inc()
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if e.busy = false; err != nil {
		if e.failed++; e.failed == 1 {
			r.log.Warn("cannot read a metric", "api", e.question.API.group(), "namespace", e.question.Namespace, "metric", e.question.Metric, "err", err)
		}
		e.due = now.Add(min(r.period()<<min(e.failed-1, 8), max(restMost, r.period())))
	} else {
		if e.failed > 0 {
			r.log.Info("a metric can be read again", "api", e.question.API.group(), "namespace", e.question.Namespace, "metric", e.question.Metric)
		}
		a.Read = e.begun
		e.answer, e.failed = a, 0
		e.due = e.begun.Add(r.period())
	}
	if e.err = err; !e.over() {
		close(e.first)
	}
	r.rouse()
}

// over says whether the first reading is.
func (e *entry) over() bool {
	select {
	case <-e.first:
		return true
	default:
		return false
	}
}
