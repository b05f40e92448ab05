package tsdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql"

	"plimsoll.dev/plimsoll/internal/store"
)

// maxForm is the longest body of a request: a query and its matchers.
const maxForm = 1 << 20

// API serves the part of Prometheus' HTTP API that reads: what Grafana's Prometheus source asks for. Its paths begin
// with /api/v1/; other paths are answered with Prometheus' not_found. It may be mounted at "/api/v1/" beside
// handlers of longer patterns.
func (db *DB) API() http.Handler {
	mux := http.NewServeMux()
	both := func(path string, h apiHandler) {
		mux.Handle("GET /api/v1/"+path, db.inTurn(h))
		mux.Handle("POST /api/v1/"+path, db.inTurn(h))
	}
	both("query", db.apiQuery)
	both("query_range", db.apiQueryRange)
	both("format_query", db.apiFormat)
	both("labels", db.apiLabels)
	both("series", db.apiSeries)
	mux.Handle("GET /api/v1/label/{name}/values", db.inTurn(db.apiLabelValues))
	mux.Handle("GET /api/v1/metadata", apiHandler(apiMetadata))
	mux.Handle("GET /api/v1/status/buildinfo", apiHandler(apiBuildInfo))
	mux.Handle("/", nothing(mux))
	return mux
}

// nothing answers what no other pattern of a mux fits: a path that there is takes other methods.
func nothing(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var takes []string
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if _, pattern := mux.Handler(&http.Request{Method: method, Host: r.Host, URL: r.URL}); pattern != "/" {
				takes = append(takes, method)
			}
		}
		err := &apiError{"not_found", http.StatusNotFound, fmt.Errorf("no %s %q", r.Method, r.URL.Path)}
		if takes != nil {
			allow := strings.Join(takes, ", ")
			w.Header().Set("Allow", allow)
			err = &apiError{"bad_data", http.StatusMethodNotAllowed, fmt.Errorf("cannot %s %q: it takes %s", r.Method, r.URL.Path, allow)}
		}
		apiHandler(func(*http.Request) (*answer, error) { return nil, err }).ServeHTTP(w, r)
	})
}

// answer is what a handler found: its data as JSON.
type answer struct {
	data            pieces
	warnings, infos []string
}

// truncated is the warning of an answer that was cut to its limit.
const truncated = "results truncated due to limit"

// grace is how long a request of the API may run before another client's may have its place.
const grace = 5 * time.Second

// errDisplaced is the cause of a request's end whose client has several while another client has none.
var errDisplaced = errors.New("ended for another client, who waited")

// apiHandler is a handler that returns its error.
type apiHandler func(*http.Request) (*answer, error)

// inTurn is a handler that has one of the API's places from before it looks at an expression until memory is found for the answer to wait in:
// answers that find none are as few as those that are made.
func (db *DB) inTurn(h apiHandler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		free := func() {}
		defer func() { free() }() // whatever ends it
		within := r.Context()
		asked := apiHandler(func(r *http.Request) (*answer, error) {
			a, err := h(r.WithContext(within))
			if errors.Is(context.Cause(within), errDisplaced) {
				err = &apiError{"unavailable", http.StatusServiceUnavailable, fmt.Errorf("%w: ask for less at a time, or for fewer at once", errDisplaced)}
			}
			return a, err
		})
		asked.answer(w, r, func() error {
			ctx, cancel := context.WithTimeout(r.Context(), db.opts.queryTimeout)
			defer cancel()
			bounded, end := context.WithCancelCause(r.Context())
			back, err := db.asked.Take(ctx, db.opts.Client(r), func() { end(errDisplaced) })
			if err != nil {
				end(nil)
				return err
			}
			within, free = bounded, func() { back(); end(nil) }
			return nil
		}, func() { free() })
	})
}

// ServeHTTP answers without a turn.
func (h apiHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.answer(w, r, func() error { return nil }, func() {})
}

// answer reads the form, runs the handler when it has its turn, and writes Prometheus' envelope. made is called once the answer has its place.
func (h apiHandler) answer(w http.ResponseWriter, r *http.Request, turn func() error, made func()) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	var a *answer
	err := r.ParseForm()
	if err != nil {
		err = badData(fmt.Errorf("error parsing form values: %w", err))
	} else if err = turn(); err == nil {
		a, err = h(r)
	}
	if bounded, ok := w.(reserver); ok && err == nil {
		var release func()
		if release, err = bounded.Reserve(a.data.size()); err == nil {
			defer release()
		} else {
			err = &apiError{"unavailable", http.StatusServiceUnavailable, err}
		}
	}
	made()
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		e := classifyAPI(err)
		w.WriteHeader(e.status)
		body := appendString([]byte(`{"status":"error","errorType":`), e.typ)
		body = appendString(append(body, `,"error":`...), e.err.Error())
		_, _ = w.Write(append(body, '}'))
		return
	}
	_, _ = w.Write([]byte(`{"status":"success","data":`))
	for _, b := range a.data {
		_, _ = w.Write(b)
	}
	tail := appendList(nil, "warnings", a.warnings)
	tail = appendList(tail, "infos", a.infos)
	_, _ = w.Write(append(tail, '}'))
}

// reserver is a writer that finds a place in memory for what waits to be read.
type reserver interface {
	Reserve(bytes int) (release func(), err error)
}

func appendList(b []byte, name string, list []string) []byte {
	if len(list) == 0 {
		return b
	}
	b = append(b, `,"`+name+`":`...)
	return appendStrings(b, list)
}

// apiError is an error with its type in Prometheus' API and its status.
type apiError struct {
	typ    string
	status int
	err    error
}

// Error tells the type and the text.
func (e *apiError) Error() string { return e.typ + ": " + e.err.Error() }

// Unwrap gives the cause.
func (e *apiError) Unwrap() error { return e.err }

func badData(err error) error { return &apiError{"bad_data", http.StatusBadRequest, err} }

func badParam(name string, err error) error {
	return badData(fmt.Errorf("invalid parameter %q: %w", name, err))
}

// statusClientClosed is what Prometheus answers when the client went away.
const statusClientClosed = 499

// classifyAPI gives an error its type, as Prometheus does.
func classifyAPI(err error) *apiError {
	var (
		e    *apiError
		disk promql.ErrStorage
	)
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, store.ErrReadOnly), errors.Is(err, store.ErrClosed):
		return &apiError{"unavailable", http.StatusServiceUnavailable, err}
	case errors.Is(err, context.DeadlineExceeded):
		return &apiError{"timeout", http.StatusServiceUnavailable, err}
	case errors.Is(err, context.Canceled):
		return &apiError{"canceled", statusClientClosed, err}
	case errors.Is(err, store.ErrBadQuery):
		return &apiError{"bad_data", http.StatusBadRequest, err}
	case errors.As(err, &disk):
		return &apiError{"internal", http.StatusInternalServerError, err}
	}
	return &apiError{"execution", http.StatusUnprocessableEntity, err}
}

// apiBuildInfo tells the version of the Prometheus that the engine is from, by which Grafana knows what it can do.
func apiBuildInfo(*http.Request) (*answer, error) {
	info := struct {
		Version   string `json:"version"`
		Revision  string `json:"revision"`
		Branch    string `json:"branch"`
		BuildUser string `json:"buildUser"`
		BuildDate string `json:"buildDate"`
		GoVersion string `json:"goVersion"`
	}{Version: engineVersion(), BuildUser: "plimsoll", GoVersion: runtime.Version()}
	data, err := json.Marshal(info)
	return &answer{data: pieces{data}}, err
}

// engineVersion turns the engine's module version (v0.315.0) into that of its release (3.15.0).
func engineVersion() string {
	const known = "3.15.0"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return known
	}
	for _, m := range info.Deps {
		if m.Path != "github.com/prometheus/prometheus" {
			continue
		}
		parts := strings.Split(strings.TrimPrefix(m.Version, "v0."), ".")
		if n, err := strconv.Atoi(parts[0]); err == nil && n >= 300 && len(parts) == 2 {
			return fmt.Sprintf("%d.%d.%s", n/100, n%100, parts[1])
		}
	}
	return known
}
