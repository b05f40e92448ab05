package api

import (
	"net/http"
	"time"

	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/serve"
)

// ofMachines is a handler for those who see machines.
func ofMachines(h func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := needsNodes(scope.From(r.Context())); err != nil {
			return err
		}
		return h(w, r)
	}
}

// needsNodes refuses a scope that does not see machines what is of them, or of the whole cluster.
func needsNodes(sees scope.Scope) error {
	if sees.Nodes() {
		return nil
	}
	return serve.Errorf(http.StatusForbidden, "machines and sums of the whole cluster are shown to whoever has the right to them, which is missing: %s", scope.NodesRight)
}

// Routes returns all routes of the API, for the server to mount. A handler that returns an error has not written anything, unless
// the route is a stream.
func (a *API) Routes() []serve.Route {
	const base = "/plimsoll/v1"
	get := func(path string, h func(http.ResponseWriter, *http.Request) error) serve.Route {
		return serve.Route{Method: http.MethodGet, Pattern: base + path, Handle: h, Limited: true}
	}
	// long has as many rows as the picture has, unless fewer are asked for.
	long := func(path string, rows func(*picture, *http.Request) int, h func(http.ResponseWriter, *http.Request) error) serve.Route {
		r := get(path, h)
		r.Rows = func(req *http.Request) int { return rows(a.likely(scope.From(req.Context())), req) }
		return r
	}
	stream := long("/stream", a.rowsOfStream, a.getStream)
	stream.Stream, stream.InFlight = true, 1000 // the hub has its own, lower limit, with a clearer answer
	report := func(path string, h func(http.ResponseWriter, *http.Request) error) serve.Route {
		r := get(path, h)
		r.Timeout, r.InFlight = reportTime, reportsAtOnce
		return r
	}
	return []serve.Route{
		long("/overview", a.rowsOfOverview, a.shows(func(p *picture, now time.Time, sel selection) any {
			return a.overview(p, now, sel)
		}, "limit", "q", "sort")),
		long("/containers", rowsOfContainers, a.shows(func(p *picture, _ time.Time, sel selection) any {
			rows, found := sel.of(p.containers)
			return ContainerList{Schema: "plimsoll.dev/containers/v1", Time: p.time, Total: len(p.containers), Found: found, Items: rows}
		}, "limit", "q", "sort")),
		long("/workloads", rowsOfWorkloads, a.shows(func(p *picture, now time.Time, _ selection) any {
			return WorkloadList{Schema: "plimsoll.dev/workloads/v1", Time: p.time, Items: p.workloads(a.scaled(now, p.sees))}
		})),
		long("/workloads/{namespace}/{kind}/{name...}", rowsOfWorkload, a.getWorkload),
		long("/nodes", rowsOfNodes, ofMachines(a.shows(func(p *picture, _ time.Time, _ selection) any {
			return NodeList{Schema: "plimsoll.dev/nodes/v1", Time: p.time, Items: p.nodes}
		}))),
		long("/nodes/{name}", rowsOfNode, ofMachines(a.getNode)),
		get("/decisions", a.getDecisions),
		long("/missing", rowsOfGaps, a.shows(func(p *picture, _ time.Time, _ selection) any {
			return Missing{Schema: "plimsoll.dev/missing/v1", Time: p.time, Items: missing(p.snap, p.unread()...)}
		})),
		get("/series", a.getSeries),
		report("/capacity", a.getCapacity),
		report("/fit", ofMachines(a.getFit)),
		report("/rightsize", a.getRightsize),
		stream,
	}
}
