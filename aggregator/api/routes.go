package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Route is one path of the API for the server to mount. Pattern is in the form of http.ServeMux without
// the method. A handler that returns an error has not written anything, unless the route is a stream.
type Route struct {
	Method  string
	Pattern string
	Handler func(http.ResponseWriter, *http.Request) error
	// Stream marks a long-lived answer, which sets its own write deadlines and is bounded in number by
	// itself: the server's deadlines and its limit of work in flight are not for it.
	Stream bool
	// Timeout and InFlight are for work that takes longer, and more, than a page does; zero: the server's own.
	Timeout  time.Duration
	InFlight int
}

// Routes returns all routes of the API.
func (a *API) Routes() []Route {
	const base = "/plimsoll/v1"
	get := func(path string, h func(http.ResponseWriter, *http.Request) error) Route {
		return Route{Method: http.MethodGet, Pattern: base + path, Handler: h}
	}
	stream := get("/stream", a.getStream)
	stream.Stream = true
	report := func(path string, h func(http.ResponseWriter, *http.Request) error) Route {
		r := get(path, h)
		r.Timeout, r.InFlight = reportTime, reportsAtOnce
		return r
	}
	return []Route{
		get("/overview", a.getOverview),
		get("/containers", a.getContainers),
		get("/workloads", a.getWorkloads),
		get("/workloads/{namespace}/{kind}/{name...}", a.getWorkload),
		get("/nodes", a.getNodes),
		get("/decisions", a.getDecisions),
		get("/missing", a.getMissing),
		get("/series", a.getSeries),
		report("/capacity", a.getCapacity),
		report("/fit", a.getFit),
		report("/rightsize", a.getRightsize),
		stream,
	}
}

// answer writes v as JSON. It marshals before it writes, so that an error can still become a status.
func answer(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot write the answer as JSON: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	if _, err := w.Write(append(body, '\n')); err != nil {
		return nil //nolint:nilerr // the client has gone; there is nobody to tell
	}
	return nil
}
