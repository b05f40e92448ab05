package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"plimsoll.dev/plimsoll/internal/places"
)

// The limits of a route that has none of its own.
const (
	usualInFlight = 64
	usualMaxBody  = 1 << 20
	usualTimeout  = 30 * time.Second
)

// Route is one path. Exactly one of Handle and Handler is set.
type Route struct {
	Method  string // "" for all
	Pattern string // as net/http's ServeMux has it, without the method
	Handle  func(http.ResponseWriter, *http.Request) error
	Handler http.Handler

	// Stream marks a handler that answers for as long as its client listens: no deadline.
	Stream   bool
	InFlight int           // the most requests that are worked on at once; 64 if zero
	MaxBody  int64         // the largest request body in bytes; 1 MiB if zero
	Timeout  time.Duration // bounds the work on one request; 30 s if zero
	// Rows judges how many rows an answer may have at most, before it is made, where they may be as many as the picture has; nil: few. Of
	// answers with many few are made at once.
	Rows func(*http.Request) int
	// Limited marks a handler that shows of the cluster no more than its context's scope sees, so that it may be asked by whoever sees
	// anything. All others are for those alone who have the right to the path.
	Limited bool
	// Whole is, of a Limited handler at a path of the cluster's API, the path whose right shows everything; nil: its own.
	Whole func(*http.Request) string

	open bool // whoever asks is answered
}

// ours is a handler that was put into the mux, unlike what it answers by itself.
type ours struct{ http.Handler }

// handler builds the chain that every request passes: doors, the route, who asks and may they, the route's limits.
func handler(o Options, file *webFile, m *metrics, g *guard) http.Handler {
	mux := http.NewServeMux()
	all := newAnswers(o)
	in := newLogin(o, file, g)
	for _, r := range o.Routes {
		h := r.Handler
		if h == nil {
			h = answer(r.Handle, o.Logger)
		}
		pattern := r.Pattern
		if r.Method != "" {
			pattern = r.Method + " " + pattern
		}
		mux.Handle(pattern, ours{m.measure(r.Pattern, in.before(r, limit(r, m, all, h)))})
	}
	return file.before(hostCheck(o.Listen, recovered(o, sameSite(matched(mux, m, in)))))
}

// matched answers what no route is for, as every other error is answered.
func matched(mux *http.ServeMux, m *metrics, in *login) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own, pattern := mux.Handler(r)
		if _, ok := own.(ours); ok {
			mux.ServeHTTP(w, r)
			return
		}
		if pattern == "" { // otherwise it is the way to a path that is written differently
			own = unmatched(own)
		}
		m.measure("none", in.before(Route{}, own)).ServeHTTP(w, r)
	})
}

// unmatched says what the mux's own handler would, as a problem.
func unmatched(own http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := httptest.NewRecorder()
		own.ServeHTTP(v, r)
		if allow := v.Header().Get("Allow"); v.Code == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", allow)
			WriteProblem(w, v.Code, fmt.Sprintf("cannot %s %q: it takes %s", r.Method, r.URL.Path, allow))
			return
		}
		WriteProblem(w, http.StatusNotFound, fmt.Sprintf("there is nothing at %q", r.URL.Path))
	})
}

// limit bounds the work of one route: requests in flight, body, time. Those whose answers are small are not counted with those whose are not.
func limit(r Route, m *metrics, all *answers, next http.Handler) http.Handler {
	inFlight := cmp.Or(r.InFlight, usualInFlight)
	slots := map[*kind]*places.Places{all.small: places.New(places.Options{Most: inFlight}), all.large: places.New(places.Options{Most: inFlight})}
	body := cmp.Or(r.MaxBody, usualMaxBody)
	timeout := cmp.Or(r.Timeout, usualTimeout)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		client, rows := ClientOf(req), 0
		if r.Rows != nil {
			rows = r.Rows(req)
		}
		of := all.of(rows * rowBytes)
		soon, over := context.WithTimeout(req.Context(), makeTime)
		defer over()
		slot, err := slots[of].Share(soon, client)
		if err != nil {
			m.refused.WithLabelValues(r.Pattern).Inc()
			WriteProblem(w, http.StatusServiceUnavailable, fmt.Sprintf("%d requests for %q are being answered already; try again", inFlight, r.Pattern))
			return
		}
		defer slot()
		if req.ContentLength > body {
			slot()
			WriteProblem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has %d bytes; at most %d are read", req.ContentLength, body))
			hearOut(w, req, 4*body)
			return
		}
		req.Body = http.MaxBytesReader(w, req.Body, body)
		making := func() {}
		if r.Rows != nil {
			soon, over := context.WithTimeout(req.Context(), makeTime)
			defer over()
			if making, err = of.making.Take(soon, client, nil); err != nil {
				m.refused.WithLabelValues(r.Pattern).Inc()
				WriteProblem(w, http.StatusServiceUnavailable, "other large answers are being made; try again")
				return
			}
			defer making()
		}
		if r.Stream {
			// The server's read timeout would end the stream: net/http reads on to notice a client that goes away.
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
			next.ServeHTTP(&starting{w, making}, req)
			return
		}
		ctx, cancel := context.WithTimeout(req.Context(), timeout)
		defer cancel()
		// The handler gives up at its deadline; a client that does not read is cut a little later.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(timeout + 5*time.Second)) // not supported by test recorders
		// Once the answer is made it has bytes, and no turn any more: whoever reads it slowly keeps nobody from asking.
		counts := &counted{ResponseWriter: w, of: all, client: client, least: rows * pieceBytes, made: func() { making(); slot() }, gzip: TakesGzip(req.Header.Get("Accept-Encoding"))}
		defer counts.end()
		next.ServeHTTP(counts, req.WithContext(ctx))
	})
}

// hearOut reads on for a second what is not wanted: a client that still writes when its connection is closed under it does not read the answer.
func hearOut(w http.ResponseWriter, r *http.Request, most int64) {
	rc := http.NewResponseController(w)
	if rc.SetReadDeadline(time.Now().Add(time.Second)) != nil || rc.Flush() != nil { // not supported by test recorders
		return
	}
	_, _ = io.CopyN(io.Discard, r.Body, most)
}

// recovered keeps a handler's panic to its own request.
func recovered(o Options, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			o.Logger.Error("handler panicked", "path", r.URL.Path, "panic", p)
			WriteProblem(w, http.StatusInternalServerError, "this request hit a bug in Plimsoll; the log has the details")
		}()
		next.ServeHTTP(w, r)
	})
}

// metrics are the server's own.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	refused  *prometheus.CounterVec
	inFlight prometheus.Gauge

	conns        prometheus.Gauge
	connsRefused prometheus.Counter
	strangers    prometheus.Counter
	failed       prometheus.Counter
	certificate  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_http_requests_total", Help: "Requests answered, by route and status."}, []string{"route", "code"}),
		seconds: f.NewHistogramVec(prometheus.HistogramOpts{Name: "plimsoll_http_request_duration_seconds", Help: "Time to answer, by route; streams are left out.",
			Buckets: []float64{.001, .005, .02, .1, .5, 2, 10}}, []string{"route"}),
		refused:  f.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_http_requests_refused_total", Help: "Requests refused because too many were in flight."}, []string{"route"}),
		inFlight: f.NewGauge(prometheus.GaugeOpts{Name: "plimsoll_http_requests_in_flight", Help: "Requests being answered."}),

		conns:        f.NewGauge(prometheus.GaugeOpts{Name: "plimsoll_http_connections", Help: "Connections that are open."}),
		connsRefused: f.NewCounter(prometheus.CounterOpts{Name: "plimsoll_http_connections_refused_total", Help: "Connections closed at once because too many were open."}),
		strangers:    f.NewCounter(prometheus.CounterOpts{Name: "plimsoll_http_logins_refused_total", Help: "Requests refused because too many unknown logins were being checked."}),
		failed:       f.NewCounter(prometheus.CounterOpts{Name: "plimsoll_http_logins_failed_total", Help: "Logins that were wrong."}),
		certificate:  f.NewGauge(prometheus.GaugeOpts{Name: "plimsoll_http_certificate_end_timestamp_seconds", Help: "When the certificate of the web configuration ends; 0 without one."}),
	}
}

// statusWriter remembers the status; Unwrap lets http.ResponseController reach the connection.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(code int) {
	w.status = cmp.Or(w.status, code)
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap returns the writer below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (m *metrics) measure(route string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.inFlight.Inc()
		defer m.inFlight.Dec()
		began := time.Now()
		sw := &statusWriter{ResponseWriter: w}
		defer func() {
			m.requests.WithLabelValues(route, strconv.Itoa(cmp.Or(sw.status, http.StatusOK))).Inc()
			if sw.Header().Get("Content-Type") != "text/event-stream" {
				m.seconds.WithLabelValues(route).Observe(time.Since(began).Seconds())
			}
		}()
		next.ServeHTTP(sw, r)
	})
}
