package api

import (
	"net/http"
	"time"

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
	// large has as much as the picture has.
	large := func(path string, h func(http.ResponseWriter, *http.Request) error) serve.Route {
		r := get(path, h)
		r.Large = true
		return r
	}
	report := func(path string, h func(http.ResponseWriter, *http.Request) error) serve.Route {
		r := get(path, h)
		r.Timeout, r.InFlight = reportTime, reportsAtOnce
		return r
	}
	return []serve.Route{
		large("/overview", a.shows(func(p *picture, now time.Time, sel selection) any {
			return a.overview(p, now, sel)
		}, "limit", "q", "sort")),
		large("/containers", a.shows(func(p *picture, _ time.Time, sel selection) any {
			rows, found := sel.of(p.containers)
			return ContainerList{Schema: "plimsoll.dev/containers/v1", Time: p.time, Total: len(p.containers), Found: found, Items: rows}
		}, "limit", "q", "sort")),
		large("/workloads", a.shows(func(p *picture, now time.Time, _ selection) any {
			return WorkloadList{Schema: "plimsoll.dev/workloads/v1", Time: p.time, Items: p.workloads(a.scaled(now))}
		})),
		get("/workloads/{namespace}/{kind}/{name...}", a.getWorkload),
		large("/nodes", a.shows(func(p *picture, _ time.Time, _ selection) any {
			return NodeList{Schema: "plimsoll.dev/nodes/v1", Time: p.time, Items: p.nodes}
		})),
		get("/decisions", a.getDecisions),
		large("/missing", a.shows(func(p *picture, _ time.Time, _ selection) any {
			return Missing{Schema: "plimsoll.dev/missing/v1", Time: p.time, Items: missing(p.snap, p.unread()...)}
		})),
		get("/series", a.getSeries),
		report("/capacity", a.getCapacity),
		report("/fit", a.getFit),
		report("/rightsize", a.getRightsize),
		stream,
	}
}
