package influx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/influx/influxql"
)

// ReaderOptions say where a Reader asks. A field left at zero takes its default.
type ReaderOptions struct {
	// URL is the server's address, as for writing.
	URL string
	// Database and Policy are what InfluxQL calls the place of the raw points; without a policy the database's default.
	Database, Policy string
	// Token, or Username and Password, or nothing.
	Token, Username, Password string
	// Generation is 1, 2 or 3; 1 by default. On 3 there are no roll-ups, and one query covers six hours at most.
	Generation int
	// NoRollups leaves the roll-ups alone.
	NoRollups bool

	// Timeout is how long a query may take. Default 30 s.
	Timeout time.Duration
	// MaxPoints is the most rows that are taken in for an answer. Default 2,000,000.
	MaxPoints int
	// MaxConcurrent is how many queries run at once; further ones wait. Default 8.
	MaxConcurrent int

	Transport  http.RoundTripper // nil: one of its own
	Now        func() time.Time  // nil: time.Now
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Validate says what in the options cannot be.
func (o *ReaderOptions) Validate() error {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return fmt.Errorf("cannot read from InfluxDB: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("cannot read from InfluxDB at %q: want http://HOST:PORT or https://HOST:PORT", u.Redacted())
	case o.Database == "":
		return fmt.Errorf("cannot read from InfluxDB at %q: no database is given", u.Redacted())
	case o.Generation < 0 || o.Generation > 3:
		return fmt.Errorf("InfluxDB generation \"%d\": want 1, 2 or 3", o.Generation)
	case o.Timeout < 0 || o.MaxPoints < 0 || o.MaxConcurrent < 0:
		return errors.New("cannot read from InfluxDB: a limit is negative")
	}
	return nil
}

// Reader answers structured queries and reads decisions from InfluxDB by InfluxQL on /query. It is safe for concurrent use.
type Reader struct {
	opts    ReaderOptions
	query   string // the address
	client  *http.Client
	slots   chan struct{}
	rollups rollups
	met     *readMetrics
	closed  atomic.Bool
}

// NewReader returns a reader. It starts nothing and asks nothing.
func NewReader(o ReaderOptions) (*Reader, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.Generation = or(o.Generation, 1)
	o.Timeout = or(o.Timeout, 30*time.Second)
	o.MaxPoints = or(o.MaxPoints, 2_000_000)
	o.MaxConcurrent = or(o.MaxConcurrent, 8)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: o.MaxConcurrent, IdleConnTimeout: 90 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second}
	}
	met, err := newReadMetrics(o.Registerer)
	if err != nil {
		return nil, err
	}
	return &Reader{opts: o, query: strings.TrimRight(o.URL, "/") + "/query", slots: make(chan struct{}, o.MaxConcurrent),
		client: &http.Client{Transport: o.Transport, CheckRedirect: noRedirect}, met: met}, nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// piece is the longest time that one query may cover; zero: any.
func (r *Reader) piece() time.Duration {
	if r.opts.Generation == 3 {
		return 6 * time.Hour
	}
	return 0
}

// Query answers a structured query. Series are sorted by their labels. Besides the contract's errors it may return
// context.DeadlineExceeded and a *ReadError.
func (r *Reader) Query(ctx context.Context, q store.Query) ([]store.Series, error) {
	if _, _, err := q.Check(); err != nil {
		return nil, fmt.Errorf("cannot query InfluxDB: %w", err)
	}
	var out []store.Series
	err := r.use(ctx, "query", func(ctx context.Context) (err error) {
		out, err = r.answer(ctx, q)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot query InfluxDB: %w", err)
	}
	return out, nil
}

func (r *Reader) answer(ctx context.Context, q store.Query) ([]store.Series, error) {
	plan, err := influxql.Render(q, influxql.Options{Database: r.opts.Database, Value: TagValue, Piece: r.piece(), Rollups: r.usable(ctx, q)})
	if err != nil {
		return nil, err
	}
	a := plan.Answer(r.opts.MaxPoints, LabelValue)
	for rest := plan.Statements; len(rest) > 0; {
		batch := rest[:min(plan.Together, len(rest))]
		rest = rest[len(batch):]
		if err := r.statements(ctx, batch, a); err != nil {
			return nil, err
		}
	}
	return a.Series()
}

// statements sends statements in one request and hands their rows to the answer.
func (r *Reader) statements(ctx context.Context, batch []influxql.Statement, a *influxql.Answer) error {
	texts := make([]string, len(batch))
	for i := range batch {
		texts[i] = batch[i].Text
	}
	return ask(ctx, r, strings.Join(texts, "; "), "ms", func(id int, s *rows[number]) error {
		if id < 0 || id >= len(batch) {
			return fmt.Errorf("answer to statement \"%d\" of %d", id, len(batch))
		}
		line := a.Line(s.Tags)
		t, v, w := s.column("time"), s.column("v"), s.column("w")
		if t < 0 || v < 0 {
			return fmt.Errorf("answer with columns %q", s.Columns)
		}
		for _, row := range s.Values {
			if err := line.Row(&batch[id], int64(row.at(t)), float64(row.at(v)), float64(row.at(w))); err != nil {
				return err
			}
		}
		return nil
	})
}

// use runs f when there is a slot, with the deadline.
func (r *Reader) use(ctx context.Context, kind string, f func(context.Context) error) (err error) {
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
	return f(ctx)
}

// Close ends the reader; queries that run come to their end.
func (r *Reader) Close() error {
	if !r.closed.Swap(true) {
		r.client.CloseIdleConnections()
	}
	return nil
}
