package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/dashboards/web"
	"plimsoll.dev/plimsoll/internal/serve"
)

// routes are all that a machine serves.
func (m *machine) routes() []serve.Route {
	page := web.Handler()
	routes := []serve.Route{
		{Pattern: "/{$}", Handler: page},
		{Pattern: "/{file}", Handler: page},
		{Method: "GET", Pattern: "/metrics", Handler: promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry, Timeout: 10 * time.Second}), InFlight: 8},
		{Method: "POST", Pattern: "/api/v1/write", Handler: m.ingest, InFlight: 96, MaxBody: 32 << 20},
	}
	routes = append(routes, ours(m.api.Routes())...)
	for _, r := range m.heapster.Routes() {
		routes = append(routes, serve.Route{Method: r.Method, Pattern: r.Pattern, Handle: r.Handler})
	}
	if m.store.prometheus == nil {
		return append(routes, serve.Health(m.checks())...)
	}
	for _, r := range []struct{ method, path string }{
		{"", "query"}, {"", "query_range"}, {"", "labels"}, {"GET", "label/{name}/values"}, {"", "series"},
		{"GET", "metadata"}, {"GET", "status/buildinfo"}, {"", "format_query"},
	} {
		// An expression is worked on by recursion: a megabyte of minus signs would take a gigabyte of stack.
		routes = append(routes, serve.Route{Method: r.method, Pattern: "/api/v1/" + r.path, Handler: m.store.prometheus, Timeout: time.Minute, MaxBody: 64 << 10})
	}
	return append(routes, serve.Health(m.checks())...)
}

// ours are the API's own routes in the server's form.
func ours(rs []api.Route) []serve.Route {
	out := make([]serve.Route, 0, len(rs))
	for _, r := range rs {
		s := serve.Route{Method: r.Method, Pattern: r.Pattern, Handle: r.Handler, Stream: r.Stream, Timeout: r.Timeout, InFlight: r.InFlight}
		if r.Stream {
			s.InFlight = 1000 // the API has its own, lower limit, with a clearer answer
		}
		out = append(out, s)
	}
	return out
}

// checks ask every stage of the flow whether it moves.
func (m *machine) checks() []serve.Check {
	checks := []serve.Check{{Name: "store", Test: m.storeHealth}, {Name: "door", Test: func() error { return m.server.Health() }}}
	if m.collector != nil {
		checks = append(checks, serve.Check{Name: "collector", Live: true, Test: m.collector.Health})
	}
	if m.loop != nil {
		checks = append(checks, serve.Check{Name: "autoscaler", Live: true, Test: m.loop.Health}, serve.Check{Name: "services", Test: m.services.Health})
	}
	return checks
}
