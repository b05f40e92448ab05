package api

import (
	"net/http"

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
