package remote

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/promql"
	"plimsoll.dev/plimsoll/internal/store/samples"
)

// ReaderOptions say where a Reader asks. A field left at zero takes its default.
type ReaderOptions struct {
	Endpoint EndpointOptions
	// MaxSamples is of how many samples at most an answer is made that depends on who was there when; of more the engine adds up, which is not as exact. Below 0: of none. Default 400,000.
	MaxSamples int

	// Tests alone set what follows.

	timeout   time.Duration // how long a query may take: 30 s
	maxPoints int           // the most points of an answer without a limit of its own: 2,000,000
}

// mostRead is the longest time of which samples are read.
const mostRead = 8 * 24 * time.Hour

// maxQueries is how many queries run at once; further ones wait.
const maxQueries = 8

// Validate says what in the options cannot be.
func (o *ReaderOptions) Validate() error {
	return o.Endpoint.Validate()
}

// Reader answers structured queries from an engine's Prometheus HTTP API. It is safe for concurrent use.
type Reader struct {
	opts    ReaderOptions
	base    string
	client  *http.Client
	slots   chan struct{}
	ends    atomic.Int32 // see leftEnd
	answers store.Answers
	closed  atomic.Bool
}

// NewReader returns a reader. It starts nothing and asks nothing.
func NewReader(o ReaderOptions) (*Reader, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("cannot read from a remote engine: %w", err)
	}
	def(&o.timeout, 30*time.Second)
	def(&o.maxPoints, 2_000_000)
	def(&o.MaxSamples, 400_000)
	base := o.Endpoint.QueryURL
	if base == "" {
		base = QueryURL(o.Endpoint.WriteURL)
	}
	return &Reader{opts: o, base: strings.TrimSuffix(base, "/"), client: o.Endpoint.client(), slots: make(chan struct{}, maxQueries)}, nil
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Close ends the reader; queries that run come to their end.
func (r *Reader) Close() error {
	if !r.closed.Swap(true) {
		r.client.CloseIdleConnections()
	}
	return nil
}

// Query answers a structured query: from samples where PromQL does not say the same and there are not too many of them, else rendered to PromQL and evaluated by the engine. Series are
// sorted by their labels.
// Besides the contract's errors it may return context.DeadlineExceeded and a *QueryError.
func (r *Reader) Query(ctx context.Context, q store.Query) ([]store.Series, error) {
	checked, err := q.Check()
	if err != nil {
		return nil, fmt.Errorf("cannot query: %w", err)
	}
	out, err := r.query(ctx, checked)
	if err != nil {
		return nil, fmt.Errorf("cannot query %s: %w", r.base, err)
	}
	return out, nil
}

func (r *Reader) query(ctx context.Context, q store.Checked) ([]store.Series, error) {
	if r.closed.Load() {
		return nil, store.ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, r.opts.timeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("waited for %d other queries: %w", cap(r.slots), ctx.Err())
	}
	defer func() { <-r.slots }()
	if r.opts.MaxSamples > 0 && samples.Needs(&q) && samples.Within(&q, mostRead) {
		if out, err := r.sampled(ctx, &q); err != nil || out != nil {
			return out, err
		}
	}
	left, err := r.leftEnd(ctx)
	if err != nil {
		return nil, err
	}
	if left {
		q.Back = max(q.Back-time.Millisecond, time.Millisecond)
	}
	limit := q.Limit
	def(&limit, r.opts.maxPoints)
	form := url.Values{"query": {promql.Render(q)}, "timeout": {r.opts.timeout.String()}, "nocache": {"1"}}
	path := "/api/v1/query"
	if q.Step == 0 {
		form.Set("time", seconds(q.End))
	} else {
		path = "/api/v1/query_range"
		form.Set("start", seconds(q.Start))
		form.Set("end", seconds(q.End))
		form.Set("step", strconv.FormatFloat(q.Step.Seconds(), 'f', -1, 64))
	}
	return r.ask(ctx, path, form, limit)
}

// seconds writes a time as the API has it, with milliseconds.
func seconds(t time.Time) string {
	ms := t.UnixMilli()
	return fmt.Sprintf("%d.%03d", ms/1000, ms%1000)
}

// What leftEnd remembers.
const (
	endUnknown int32 = iota
	endOpen
	endClosed
)

// leftEnd says whether the engine's range selectors include the sample at their left end. It asks once, with a question that needs no
// data: how many moments 10 s apart, on whole tens of seconds, are in a window of 10 s that ends on one.
func (r *Reader) leftEnd(ctx context.Context) (bool, error) {
	if e := r.ends.Load(); e != endUnknown {
		return e == endClosed, nil
	}
	got, err := r.ask(ctx, "/api/v1/query", url.Values{"query": {"count_over_time(vector(1)[10s:10s])"}, "time": {"1700000000"}}, 10)
	if err != nil {
		return false, err
	}
	e := endOpen
	if len(got) == 1 && len(got[0].Samples) == 1 && got[0].Samples[0].V == 2 {
		e = endClosed
	}
	r.ends.Store(e)
	return e == endClosed, nil
}
