// Package view is the API group by which people read Plimsoll through the API server of a cluster: which path of Plimsoll's is which of the
// group's, and what the group has. The paths are such that a rule of a role can speak of each: a resource and perhaps a name.
package view

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/serve"
)

// The group, and where the API server serves it.
const (
	Group   = "view.plimsoll.dev"
	Version = "v1alpha1"
	Base    = "/apis/" + Group + "/" + Version
)

const (
	api       = "/plimsoll/v1/"
	workloads = api + "workloads/"
	nodes     = api + "nodes/"
	pages     = Base + "/pages"
	streams   = Base + "/stream"
)

// Path returns where the API server has what Plimsoll has at a path, with its query; ok is false where it has it nowhere. Both are escaped.
func Path(path, query string) (at string, ok bool) {
	for _, part := range strings.Split(path, "/") {
		if plain, err := url.PathUnescape(part); err != nil || plain == "." || plain == ".." {
			return "", false
		}
	}
	with := func(p string) (string, bool) {
		if query != "" {
			p += "?" + query
		}
		return p, true
	}
	switch rest, below := strings.CutPrefix(path, api); {
	case path == "/":
		return with(pages)
	case strings.HasPrefix(path, workloads):
		parts := strings.SplitN(strings.TrimPrefix(path, workloads), "/", 3)
		if len(parts) < 3 || slices.Contains(parts, "") {
			return "", false
		}
		return with(Base + "/namespaces/" + parts[0] + "/workloads/" + parts[1] + "/named/" + parts[2])
	case strings.HasPrefix(path, nodes) && strings.Count(rest, "/") == 1 && path != nodes:
		return with(Base + "/" + rest)
	case below && rest == "stream": // a watch, which the API server does not cut off
		query = strings.TrimSuffix("watch=true&"+query, "&")
		return with(streams)
	case below && rest != "" && !strings.Contains(rest, "/"):
		return with(Base + "/" + rest)
	case strings.Count(path, "/") == 1 && strings.HasPrefix(path, "/"):
		return with(pages + path)
	}
	return "", false
}

// pattern is Path of a route's pattern.
func pattern(p string) (string, bool) {
	if p == "/{$}" {
		return pages, true
	}
	at, ok := Path(p, "")
	at, _, _ = strings.Cut(at, "?")
	return at, ok
}

// own is the path that a request to a route at the API server's would have at its own pattern, with the values of its wildcards.
func own(p string) func(*http.Request) string {
	return func(r *http.Request) string {
		parts := strings.Split(p, "/")
		for i, part := range parts {
			if name, ok := strings.CutPrefix(part, "{"); ok {
				name = strings.TrimSuffix(strings.TrimSuffix(name, "}"), "...")
				parts[i] = strings.TrimPrefix(r.PathValue(name), "$")
			}
		}
		return strings.Join(parts, "/")
	}
}

// Routes returns what the API server is answered with: the limited routes among others that are read, at its paths, and what tells of them.
func Routes(among []serve.Route) []serve.Route {
	out := []serve.Route{{Method: http.MethodGet, Pattern: Base, Handle: discovery}}
	for _, r := range among {
		at, ok := pattern(r.Pattern)
		if !ok || !r.Limited || r.Method != http.MethodGet {
			continue
		}
		r.Whole, r.Pattern = own(r.Pattern), at
		if h := r.Handle; h != nil {
			kind := kindOf(at)
			r.Handle = func(w http.ResponseWriter, req *http.Request) error { return h(typed(w, kind), asked(req)) }
		}
		if h := r.Handler; h != nil {
			r.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { h.ServeHTTP(w, asked(req)) })
		}
		if rows := r.Rows; rows != nil {
			r.Rows = func(req *http.Request) int { return rows(asked(req)) }
		}
		out = append(out, r)
		if short, ok := strings.CutSuffix(at, "/{name...}"); ok {
			out = append(out, serve.Route{Method: r.Method, Pattern: short, Limited: true, Whole: r.Whole, Handle: unnamed(short + "/{name}")})
		}
	}
	return out
}

// unnamed answers a path that lacks the name at its end, which the router would send elsewhere: an API server takes no such answer.
func unnamed(want string) func(http.ResponseWriter, *http.Request) error {
	return func(_ http.ResponseWriter, r *http.Request) error {
		return serve.NotFound("%q lacks a name at its end: want %s", r.URL.Path, want)
	}
}

// asked is a request as a handler has it: the page's at the page's own path, a stream's without what is the API server's alone.
func asked(r *http.Request) *http.Request {
	out := *r
	u := *r.URL
	if at, ok := strings.CutPrefix(u.Path, pages); ok {
		u.Path, u.RawPath = "/"+strings.TrimPrefix(at, "/"), ""
	}
	if name := strings.TrimPrefix(u.Path, Base+"/"); unlimited[name] { // kubectl asks for parts of 500; these are answered whole
		q := u.Query()
		q.Del("limit")
		u.RawQuery = q.Encode()
	}
	if u.Path == streams {
		q := u.Query()
		for _, name := range []string{"watch", "timeout", "timeoutSeconds"} {
			q.Del(name)
		}
		u.RawQuery = q.Encode()
	}
	out.URL = &u
	return &out
}

// resource is one entry of what the group has.
type resource struct {
	Name         string   `json:"name"`
	SingularName string   `json:"singularName"`
	Namespaced   bool     `json:"namespaced"`
	Kind         string   `json:"kind"`
	Verbs        []string `json:"verbs"`
}

// Resources are the group's, with the verbs that the API server asks about, as a role's rule has them.
func Resources() map[string][]string {
	out := map[string][]string{"pages": {"get", "list"}, "nodes": {"get", "list"}, "workloads/named": {"get"}, "stream": {"watch"}}
	for _, name := range []string{"overview", "containers", "workloads", "decisions", "missing", "series", "capacity", "fit", "rightsize"} {
		out[name] = []string{"list"}
	}
	return out
}

// lists are the resources whose answers have items, so that clients read them as lists of objects.
var lists = map[string]bool{"containers": true, "workloads": true, "nodes": true, "decisions": true, "missing": true}

// unlimited are those whose answers cannot be asked for in part.
var unlimited = map[string]bool{"workloads": true, "nodes": true, "missing": true, "series": true, "capacity": true, "fit": true, "rightsize": true}

// kinds are what the resources' answers are called, each by itself: clients find a resource by its kind.
var kinds = map[string]string{"pages": "PageView", "stream": "StreamView", "overview": "OverviewView", "containers": "ContainerView", "workloads": "WorkloadView", "nodes": "NodeView",
	"decisions": "DecisionView", "missing": "MissingView", "series": "SeriesView", "capacity": "CapacityView", "fit": "FitView", "rightsize": "RightsizeView"}

// discovery tells what the group has, with the verbs of roles. A workload of a namespace is left out: a resource and what is below it must both be of
// a namespace or both not, and workloads are listed of all namespaces that are seen.
func discovery(w http.ResponseWriter, _ *http.Request) error {
	list := struct {
		Kind         string     `json:"kind"`
		APIVersion   string     `json:"apiVersion"`
		GroupVersion string     `json:"groupVersion"`
		Resources    []resource `json:"resources"`
	}{"APIResourceList", "v1", Group + "/" + Version, nil}
	for name, verbs := range Resources() {
		if !strings.Contains(name, "/") {
			list.Resources = append(list.Resources, resource{Name: name, Kind: kinds[name], Verbs: verbs})
		}
	}
	slices.SortFunc(list.Resources, func(a, b resource) int { return strings.Compare(a.Name, b.Name) })
	return serve.WriteJSON(w, list)
}
