package influx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/influx/influxql"
	"plimsoll.dev/plimsoll/internal/store/samples"
)

// ReaderOptions say where a Reader asks. A field left at zero has its default.
type ReaderOptions struct {
	// Conn is the way to the server; the reader does not close it.
	Conn *Conn
	// Piece is the longest time that a query covers. Zero: six hours on InfluxDB 3, whose Core allows no more, and any time on the others.
	Piece time.Duration
	// Cluster is the value of the tag cluster of all that is read; empty: whatever it is.
	Cluster string

	// Interval is how often history has a sample of each series. Default 10 s.
	Interval time.Duration
	// Timeout is a query's deadline. Default 30 s.
	Timeout time.Duration
	// MaxSamples is of how many samples at most an answer is made that depends on who was there when; of more the server adds up, which is not as exact. Below 0: of none. Default 400,000.
	MaxSamples int

	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: its metrics are not registered

	// Tests alone set what follows.

	version   Version // the server's; zero: it is asked for at the first query
	maxPoints int     // the most rows that are accepted for an answer: 2,000,000
}

// mostRead is the longest time of which samples are read: of more there are roll-ups.
const mostRead = 48 * time.Hour

// maxQueries is how many queries run at once; further ones wait. One that asks 1.8 for each series by itself sends two requests at once.
const maxQueries = 8

// Validate says what in the options cannot be.
func (o *ReaderOptions) Validate() error {
	switch {
	case o.Conn == nil:
		return errors.New("no connection")
	case o.Timeout < 0 || o.Piece < 0 || o.Interval < 0:
		return errors.New("a limit of time is negative")
	}
	return nil
}

// Reader answers structured queries and reads decisions from InfluxDB by InfluxQL on /query. It is safe for concurrent use.
type Reader struct {
	opts    ReaderOptions
	version atomic.Pointer[Version]
	slots   chan struct{}
	rollups rollups
	met     *readMetrics
	answers store.Answers
	closed  atomic.Bool
}

// NewReader returns a reader. It starts nothing and asks nothing.
func NewReader(o ReaderOptions) (*Reader, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("cannot read from InfluxDB: %w", err)
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.maxPoints == 0 {
		o.maxPoints = 2_000_000
	}
	if o.MaxSamples == 0 {
		o.MaxSamples = 400_000
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	met, err := newReadMetrics(o.Registerer)
	if err != nil {
		return nil, err
	}
	r := &Reader{opts: o, slots: make(chan struct{}, maxQueries), met: met}
	if o.version.Major != 0 {
		r.version.Store(&o.version)
	}
	return r, nil
}

// place returns the names on the server, which is asked for its version the first time.
func (r *Reader) place(ctx context.Context) (Place, error) {
	v := r.version.Load()
	if v == nil {
		got, err := r.opts.Conn.Detect(ctx)
		if err != nil {
			return Place{}, store.Unreachable(ctx, err)
		}
		v = &got
		r.version.Store(v)
	}
	return r.opts.Conn.Place(*v), nil
}

// piece is the longest time that one query may cover; zero: any.
func (r *Reader) piece(p Place) time.Duration {
	if r.opts.Piece == 0 && p.Major == 3 {
		return 6 * time.Hour
	}
	return r.opts.Piece
}

// Query answers a structured query. Series are sorted by their labels. Besides the contract's errors it may return
// context.DeadlineExceeded and a *ReadError.
func (r *Reader) Query(ctx context.Context, q store.Query) ([]store.Series, error) {
	checked, err := q.Check()
	if err != nil {
		return nil, fmt.Errorf("cannot query InfluxDB: %w", err)
	}
	var out []store.Series
	err = r.use(ctx, "query", func(ctx context.Context, p Place) (err error) {
		out, err = r.answer(ctx, p, checked)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot query InfluxDB: %w", err)
	}
	return out, nil
}

func (r *Reader) answer(ctx context.Context, p Place, q store.Checked) ([]store.Series, error) {
	if r.opts.Cluster != "" {
		q.Matchers = append(slices.Clip(q.Matchers), store.Matcher{Name: TagCluster, Op: store.Equal, Value: r.opts.Cluster})
	}
	opts := influxql.Options{Database: p.Database, Value: TagValue, Piece: r.piece(p), Interval: r.opts.Interval, Now: time.Now(), Rollups: r.usable(ctx, p, q)}
	if r.opts.MaxSamples > 0 && samples.Needs(&q) && samples.Within(&q, mostRead) && len(opts.Rollups) == 0 {
		if out, err := r.sampled(ctx, p, q, opts); err != nil || out != nil {
			return out, err
		}
	}
	plan, err := influxql.Render(q, opts)
	if err != nil {
		return nil, err
	}
	abreast := 1
	if len(plan.List) > 0 && p.Major == 1 { // 2.x is slower to plan a statement than to merge
		if err := r.apart(ctx, p, plan); err != nil {
			return nil, err
		}
		abreast = requestsAbreast
	}
	a := plan.Answer(r.opts.maxPoints, LabelValue)
	if err := r.all(ctx, p, plan, a, abreast); err != nil {
		return nil, err
	}
	return a.Series()
}

// requestsAbreast is how many requests a query sends at once that asks for each series by itself: the server answers the statements of a
// request one after the other.
const requestsAbreast = 2

// apart asks for the series first, and has the plan ask for each by itself.
func (r *Reader) apart(ctx context.Context, p Place, plan *influxql.Plan) error {
	var series []map[string]string
	err := ask(ctx, r, p, strings.Join(plan.List, "; "), func(_ int, s *rows[numbers]) error {
		if len(series) >= r.opts.maxPoints {
			return fmt.Errorf("%w: more than %d series", store.ErrTooLarge, r.opts.maxPoints)
		}
		series = append(series, s.Tags)
		return nil
	})
	plan.Apart(series)
	return err
}

// all sends the plan's statements, so many requests at once, and hands their rows to the answer. The first error ends it.
func (r *Reader) all(ctx context.Context, p Place, plan *influxql.Plan, a *influxql.Answer, abreast int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(abreast)
	var mu sync.Mutex // has a
	for batch := range slices.Chunk(plan.Statements, plan.Together) {
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return r.statements(ctx, p, batch, a, &mu)
		})
	}
	return g.Wait()
}

// statements sends statements in one request and hands their rows to the answer, which mu guards.
func (r *Reader) statements(ctx context.Context, p Place, batch []influxql.Statement, a *influxql.Answer, mu *sync.Mutex) error {
	texts := make([]string, len(batch))
	for i := range batch {
		texts[i] = batch[i].Text
	}
	return ask(ctx, r, p, strings.Join(texts, "; "), func(id int, s *rows[numbers]) error {
		if id < 0 || id >= len(batch) {
			return fmt.Errorf("answer to statement \"%d\" of %d", id, len(batch))
		}
		mu.Lock()
		defer mu.Unlock()
		series := a.Of(s.Tags)
		t, at := s.column("time"), [len(influxql.Columns)]int{}
		for i, name := range influxql.Columns {
			at[i] = s.column(name)
		}
		if t < 0 || slices.Max(at[:]) < 0 {
			return fmt.Errorf("answer with columns %q", s.Columns)
		}
		for row := range s.Values.all() {
			var columns [len(influxql.Columns)]float64
			for i := range at {
				columns[i] = row.at(at[i])
			}
			if err := series.Row(&batch[id], int64(row.at(t)), columns); err != nil {
				return err
			}
		}
		return nil
	})
}

// use runs f when there is a slot, with the deadline.
func (r *Reader) use(ctx context.Context, kind string, f func(context.Context, Place) error) (err error) {
	began := time.Now()
	defer func() { r.met.done(kind, time.Since(began), err) }()
	if r.closed.Load() {
		return store.ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("waited for %d other queries: %w", cap(r.slots), ctx.Err())
	}
	defer func() { <-r.slots }()
	p, err := r.place(ctx)
	if err != nil {
		return err
	}
	return f(ctx, p)
}

// Close ends the reader; queries that run come to their end.
func (r *Reader) Close() error {
	r.closed.Store(true)
	return nil
}
