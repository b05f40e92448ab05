package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"plimsoll.dev/plimsoll/internal/serve"
)

// Routes returns all routes of the API, for the server to mount. A handler that returns an error has not written anything, unless
// the route is a stream.
func (a *API) Routes() []serve.Route {
	const base = "/plimsoll/v1"
	get := func(path string, h func(http.ResponseWriter, *http.Request) error) serve.Route {
		return serve.Route{Method: http.MethodGet, Pattern: base + path, Handle: h}
	}
	stream := get("/stream", a.getStream)
	stream.Stream, stream.InFlight = true, 1000 // the hub has its own, lower limit, with a clearer answer
	report := func(path string, h func(http.ResponseWriter, *http.Request) error) serve.Route {
		r := get(path, h)
		r.Timeout, r.InFlight = reportTime, reportsAtOnce
		return r
	}
	return []serve.Route{
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
