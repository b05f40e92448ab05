package ingest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
	"plimsoll.dev/plimsoll/internal/serve"
)

// Receiver is the handler of POST /api/v1/write.
type Receiver struct {
	opts    Options
	most    limits
	metrics *metrics
	table   *table
	history chan struct{} // requests in flight of each lane: neither takes the other's places
	live    chan struct{}
	work    chan struct{} // requests that are being unpacked, which bounds their memory
	senders senders
	told    atomic.Int64 // when it was last told that nothing can be taken, Unix milliseconds; 0: it can
	buffers sync.Pool    // *bytes.Buffer: bodies as sent
	plain   sync.Pool    // *[]byte: bodies decompressed
	handler http.Handler
}

// New returns a receiver. It starts nothing.
func New(o Options) (*Receiver, error) { return newReceiver(o, usual) }

func newReceiver(o Options, most limits) (*Receiver, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	r := &Receiver{opts: o, most: most, table: newTable(most), history: make(chan struct{}, most.inFlight), live: make(chan struct{}, most.live),
		work: make(chan struct{}, 4), senders: senders{log: o.Logger, by: map[string]*sender{}}}
	m, err := newMetrics(o.Registerer, r)
	if err != nil {
		return nil, err
	}
	r.metrics = m
	r.buffers.New = func() any { return new(bytes.Buffer) }
	r.plain.New = func() any { return new([]byte) }
	r.handler = promhttp.InstrumentHandlerDuration(m.duration, promhttp.InstrumentHandlerCounter(m.requests, remotewrite.Handler(r.door, r.receive)))
	return r, nil
}

// ServeHTTP takes one remote write request. It answers 204 when everything that the catalogue knows was written, 400
// to a body that cannot be read or holds samples that were rejected, 413 to one that is too large, 415 to another
// content type or encoding, 429 when too much is in flight, and 503 when a sink could not take it.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.handler.ServeHTTP(w, req)
}

// door refuses what need not be read: too many requests, other methods, encodings and types. The library would
// take a media type with a space before its parameter for version 1, so the header is put in order.
func (r *Receiver) door(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, fmt.Sprintf("method %.32q is not allowed here, remote write is POST", req.Method), http.StatusMethodNotAllowed)
			return
		}
		if enc := req.Header.Get("Content-Encoding"); enc != remotewrite.Encoding {
			http.Error(w, fmt.Sprintf("content encoding %.64q is not supported, remote write is \"snappy\"", enc), http.StatusUnsupportedMediaType)
			return
		}
		if ct := req.Header.Get("Content-Type"); ct != "" {
			media, params, err := mime.ParseMediaType(ct)
			if err != nil {
				http.Error(w, fmt.Sprintf("content type %.128q cannot be read: %v", ct, err), http.StatusUnsupportedMediaType)
				return
			}
			if proto := params["proto"]; proto != "" {
				media += ";proto=" + proto
			}
			req.Header.Set("Content-Type", media)
		}
		slots := r.history
		if fast, full := lanesOf(req.Header); fast || full {
			slots = r.live
			// An old sample is worthless here: who cannot send a second's in five gives its place to others.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(r.most.liveBody)) // not supported by test recorders
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			w.Header().Set("Retry-After", "1")
			http.Error(w, fmt.Sprintf("%d requests of this lane are in flight already, try again in a second", cap(slots)), http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// tellEvery is how often it is told that nothing can be taken: thousands of collectors ask every few seconds.
const tellEvery = 5 * time.Minute

// gone is the status of a request whose client went away; nobody reads it.
const gone = 499

// receive takes a request whose content type is one of the two versions'.
func (r *Receiver) receive(req *http.Request, version remotewrite.Version) (remotewrite.Answer, error) {
	written, err := r.store(req, version)
	answer := remotewrite.Answer{Written: written}
	if err == nil {
		if fast, full := lanesOf(req.Header); !fast && !full && r.told.Load() != 0 && r.told.Swap(0) != 0 {
			r.opts.Logger.Info("takes remote write again")
		}
		return answer, nil
	}
	answer.Status = http.StatusInternalServerError
	if se := (*serve.StatusError)(nil); errors.As(err, &se) {
		answer.Status = se.Status
	}
	if answer.Status == http.StatusServiceUnavailable {
		answer.RetryAfter = 5
		if was, now := r.told.Load(), time.Now().UnixMilli(); now-was >= tellEvery.Milliseconds() && r.told.CompareAndSwap(was, now) {
			r.opts.Logger.Warn("cannot take a remote write request", "err", err, "from", req.RemoteAddr)
		}
	} else {
		r.opts.Logger.Debug("remote write request rejected", "err", err, "from", req.RemoteAddr)
	}
	return answer, err
}

// interrupted is the error of a request that could not be taken now; that a client went away is nobody's fault here.
func interrupted(req *http.Request, err error) error {
	if errors.Is(err, context.Canceled) && errors.Is(req.Context().Err(), context.Canceled) {
		return &serve.StatusError{Status: gone, Err: err}
	}
	return &serve.StatusError{Status: http.StatusServiceUnavailable, Err: err}
}

// lanesOf says whether a request is for the live picture alone, and which of its two lanes it came by.
func lanesOf(h http.Header) (fast, full bool) {
	lane := h.Get(remotewrite.LaneHeader)
	return lane == remotewrite.LiveLane, lane == remotewrite.LiveFullLane
}

func (r *Receiver) store(req *http.Request, version remotewrite.Version) (written int, err error) {
	now := time.Now()
	fast, full := lanesOf(req.Header)
	liveOnly, lane := fast || full, "history"
	if liveOnly {
		lane = remotewrite.LiveLane
	}
	c, err := r.unpack(req, version, fast)
	if err != nil {
		return 0, err
	}
	refused := r.senders.claim(c.node, req.Header.Get(remotewrite.SourceHeader), host(req.RemoteAddr), now)
	if refused != nil && liveOnly {
		return 0, serve.Errorf(http.StatusConflict, "%w", refused)
	}
	if fast && c.newest > 0 {
		r.senders.clock(c.node, time.UnixMilli(c.newest).Sub(now), now)
	}
	if n := c.tally[rejectLimit]; n > 0 {
		r.senders.limited(c.node, n, now)
	}
	if err := r.hand(req.Context(), &c, refused == nil, !liveOnly); err != nil {
		return 0, interrupted(req, fmt.Errorf("cannot write: %w", err))
	}
	if c.unseen > 0 {
		r.senders.limited(c.node, c.unseen, now)
		if liveOnly {
			c.tally[rejectLimit] += c.unseen
			c.written -= c.unseen
		}
	}
	r.metrics.count(&c, lane)
	if bad := c.tally.rejected(); bad != "" {
		return c.written, serve.BadRequest("wrote %d samples and rejected %s", c.written, bad)
	}
	return c.written, nil
}

// unpack reads a request. Few are unpacked at a time, as one that is small on the wire may be large in memory.
func (r *Receiver) unpack(req *http.Request, version remotewrite.Version, fast bool) (converted, error) {
	raw := r.buffers.Get().(*bytes.Buffer)
	defer r.buffers.Put(raw)
	if err := r.body(req, raw); err != nil {
		return converted{}, err
	}
	select {
	case r.work <- struct{}{}:
		defer func() { <-r.work }()
	case <-req.Context().Done():
		return converted{}, interrupted(req, fmt.Errorf("waited for other requests: %w", req.Context().Err()))
	}
	buf := r.plain.Get().(*[]byte)
	defer r.plain.Put(buf)
	body, err := r.decompress(raw.Bytes(), buf)
	if err != nil {
		return converted{}, err
	}
	decode := decodeV2
	if version == remotewrite.V1 {
		decode = decodeV1
	}
	c, err := r.table.convert(func(each func(*series) error) error { return decode(body, each) }, senderOf(req), time.Now(), skew, fast)
	if err != nil {
		return c, serve.BadRequest("cannot read the request as %s: %w", version, err)
	}
	return c, nil
}

// senderOf is who has sent a request, as far as it was proven.
func senderOf(req *http.Request) string {
	from := host(req.RemoteAddr)
	if name := serve.CallerOf(req.Context()).Name; name != "" {
		return name + " at " + from
	}
	return from
}

// host is an address without its port.
func host(addr string) string {
	if h, _, err := net.SplitHostPort(addr); err == nil {
		return h
	}
	return addr
}

// hand gives the batches to the sinks. The live picture comes first: it is shown what is true even while the history
// takes nothing, and drops what it gets a second time when the request is sent again.
func (r *Receiver) hand(ctx context.Context, c *converted, live, history bool) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var errs []error
	for _, b := range c.batches {
		if r.opts.Live == nil || !live {
			break
		}
		var many *metric.TooMany
		if err := r.opts.Live.Take(ctx, b); errors.As(err, &many) {
			c.unseen += many.Samples // the history takes them all the same
		} else if err != nil {
			errs = append(errs, fmt.Errorf("cannot show the batch of node %q: %w", b.Node, err))
		}
	}
	for _, b := range c.batches {
		if r.opts.History == nil || !history || len(b.Groups) == 0 {
			continue
		}
		if err := r.opts.History.Take(ctx, b); err != nil {
			return errors.Join(append(errs, fmt.Errorf("cannot keep the batch of node %q: %w", b.Node, err))...)
		}
	}
	return errors.Join(errs...)
}

// body reads the request's body.
func (r *Receiver) body(req *http.Request, raw *bytes.Buffer) error {
	raw.Reset()
	if req.ContentLength > r.most.body {
		return serve.Errorf(http.StatusRequestEntityTooLarge, "the body has %d bytes, the limit is %d", req.ContentLength, r.most.body)
	}
	_, err := raw.ReadFrom(io.LimitReader(req.Body, r.most.body+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return serve.Errorf(http.StatusRequestTimeout, "the body came too slowly: %w", err)
	case err != nil:
		return serve.BadRequest("cannot read the body: %w", err)
	case int64(raw.Len()) > r.most.body:
		return serve.Errorf(http.StatusRequestEntityTooLarge, "the body has more than %d bytes", r.most.body)
	}
	return nil
}

// decompress unpacks a body into *into.
func (r *Receiver) decompress(raw []byte, into *[]byte) ([]byte, error) {
	size, err := snappy.DecodedLen(raw)
	if err != nil {
		return nil, serve.BadRequest("the body is not snappy: %w", err)
	}
	if int64(size) > r.most.decoded {
		return nil, serve.Errorf(http.StatusRequestEntityTooLarge, "the body has %d bytes when decompressed, the limit is %d", size, r.most.decoded)
	}
	if size > 64*len(raw)+64 {
		return nil, serve.BadRequest("the body is not snappy: %d bytes cannot hold %d", len(raw), size)
	}
	if cap(*into) < size {
		*into = make([]byte, size)
	}
	out, err := snappy.Decode((*into)[:size], raw)
	if err != nil {
		return nil, serve.BadRequest("the body is not snappy: %w", err)
	}
	return out, nil
}
