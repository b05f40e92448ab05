package ingest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/places"
	"plimsoll.dev/plimsoll/internal/remotewrite"
	"plimsoll.dev/plimsoll/internal/serve"
)

// Receiver is the handler of POST /api/v1/write.
type Receiver struct {
	opts    Options
	most    limits
	metrics *metrics
	table   *table
	history *places.Places // requests in flight of each lane: neither takes the other's places
	live    *places.Places
	work    chan struct{} // requests that are being unpacked, which bounds their memory
	bodies  budget        // bytes of bodies that are being read
	waiting [2]budget     // samples that wait for the sinks, of the history lane and of the live lane
	senders senders
	told    atomic.Int64 // when it was last told that nothing can be taken, Unix milliseconds; 0: it can
	buffers sync.Pool    // *bytes.Buffer: bodies as sent
	plain   sync.Pool    // *[]byte: bodies decompressed
	handler http.Handler
}

// New returns a receiver. It starts nothing.
func New(o Options) (*Receiver, error) {
	return newReceiver(o, usual.within(o.MaxSeries, o.MaxEntities))
}

func newReceiver(o Options, most limits) (*Receiver, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	r := &Receiver{opts: o, most: most, table: newTable(most), history: places.New(places.Options{Most: most.inFlight}), live: places.New(places.Options{Most: most.live}),
		work: make(chan struct{}, 4), senders: senders{log: o.Logger, own: o.Own, by: map[string]*sender{}, share: map[string]int{}}}
	r.bodies.left.Store(most.bodies)
	r.waiting[0].left.Store(most.waiting)
	r.waiting[1].left.Store(most.waiting)
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
		// The body is read before a place is asked for: one that comes slowly keeps nobody from its lane.
		raw := r.buffers.Get().(*bytes.Buffer)
		defer r.buffers.Put(raw)
		release, err := r.body(w, req, raw)
		defer release()
		if err != nil {
			refuse(w, err)
			return
		}
		lane, wait := r.history, patience
		if fast, full := lanesOf(req.Header); fast || full {
			lane, wait = r.live, livePatience
		}
		soon, over := context.WithTimeout(req.Context(), wait)
		defer over()
		leave, err := lane.Share(soon, senderOf(req).login)
		if err != nil {
			refuse(w, serve.Errorf(http.StatusTooManyRequests, "too many requests of this lane are in flight already, try again in a second: %w", err))
			return
		}
		defer leave()
		req.Body = whole{raw}
		next.ServeHTTP(w, req)
	})
}

// refuse answers with an error that knows its status.
func refuse(w http.ResponseWriter, err error) {
	status := statusOf(err)
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, err.Error(), status)
}

func statusOf(err error) int {
	if se := (*serve.StatusError)(nil); errors.As(err, &se) {
		return se.Status
	}
	return http.StatusInternalServerError
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
	answer.Status = statusOf(err)
	if answer.Status == http.StatusTooManyRequests {
		answer.RetryAfter = 1
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
	liveOnly, lane, waiting := fast || full, "history", &r.waiting[0]
	if liveOnly {
		lane, waiting = remotewrite.LiveLane, &r.waiting[1]
	}
	c, err := r.unpack(req, version, fast)
	if err != nil {
		return 0, err
	}
	who := speakerOf(req)
	refused := r.screen(&c, &who, now)
	if len(c.batches) == 0 && refused != nil {
		r.metrics.count(&c, lane)
		if statusOf(refused) == http.StatusConflict && !liveOnly && who.source != "" {
			// A collector keeps what it has until it is heard, as it is when the other falls silent; others would send it for ever.
			return 0, &serve.StatusError{Status: http.StatusServiceUnavailable, Err: refused}
		}
		return 0, refused
	}
	r.place(&c, liveOnly, now)
	if fast && c.newest > 0 && refused == nil {
		r.senders.clock(c.node, time.UnixMilli(c.newest).Sub(now), now)
	}
	for node, n := range c.over {
		r.senders.limited(node, n, c.why, now)
	}
	n := int64(c.written)
	if !waiting.take(n) {
		return 0, serve.Errorf(http.StatusTooManyRequests, "too many samples of this lane wait to be written, try again in a second")
	}
	defer waiting.give(n)
	if err := r.hand(req.Context(), &c, !liveOnly); err != nil {
		return 0, interrupted(req, fmt.Errorf("cannot write: %w", err))
	}
	if liveOnly {
		c.tally[rejectLimit] += c.unseen
		c.written -= c.unseen
	}
	r.metrics.count(&c, lane)
	if bad := c.tally.rejected(); bad != "" {
		return c.written, serve.BadRequest("wrote %d samples and rejected %s", c.written, bad)
	}
	return c.written, nil
}

// unpack reads a request. Few are unpacked at a time, as one that is small on the wire may be large in memory.
func (r *Receiver) unpack(req *http.Request, version remotewrite.Version, fast bool) (converted, error) {
	select {
	case r.work <- struct{}{}:
		defer func() { <-r.work }()
	case <-req.Context().Done():
		return converted{}, interrupted(req, fmt.Errorf("waited for other requests: %w", req.Context().Err()))
	}
	buf := r.plain.Get().(*[]byte)
	defer r.plain.Put(buf)
	body, err := r.decompress(req.Body.(whole).Bytes(), buf)
	if err != nil {
		return converted{}, err
	}
	decode := decodeV2
	if version == remotewrite.V1 {
		decode = decodeV1
	}
	c, err := r.table.convert(func(each func(*series) error) error { return decode(body, r.most.samples, each) }, senderOf(req), time.Now(), fast)
	if errors.Is(err, errTooMany) {
		return c, serve.Errorf(http.StatusRequestEntityTooLarge, "the request has more than %d samples and series: send fewer at once", r.most.samples)
	}
	if err != nil {
		return c, serve.BadRequest("cannot read the request as %s: %w", version, err)
	}
	return c, nil
}

// from is who has sent a request, as far as it was proven.
type from struct {
	name  string // the login and the address
	login string // whose places are counted together, from whatever address
}

// senderOf is who has sent a request. A login that is bound to nodes, as that of a cluster's collectors is, is a login of its own on each. So is each address that has
// none: those of one who floods and those of others cannot be told apart, and together they would shut all of them out.
func senderOf(req *http.Request) from {
	caller, address := serve.CallerOf(req.Context()), host(req.RemoteAddr)
	if caller.Name == "" {
		return from{address, noLogin + address}
	}
	name := caller.Name + " at " + address
	if caller.Nodes != nil {
		return from{name, name}
	}
	return from{name, caller.Name}
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
func (r *Receiver) hand(ctx context.Context, c *converted, history bool) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var errs []error
	for _, b := range c.batches {
		if r.opts.Live == nil {
			break
		}
		var many *metric.TooMany
		if err := r.opts.Live.Take(ctx, b); errors.As(err, &many) {
			c.unseen += many.Samples // the history takes them all the same
			r.senders.limited(b.Node, many.Samples, many.Why, time.Now())
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
