package wiring

import (
	"maps"
	"net/http"
	"slices"

	"plimsoll.dev/plimsoll/aggregator/metricsapi"
	"plimsoll.dev/plimsoll/aggregator/metricsapi/custom"
	"plimsoll.dev/plimsoll/internal/serve"
	"plimsoll.dev/plimsoll/internal/view"
)

// groups are the API groups that a server serves, with their versions, the preferred one first.
type groups map[string][]string

// groupsOf are those of a server in a cluster.
func groupsOf(o CustomMetrics) groups {
	g := groups{metricsapi.Group: metricsapi.Versions(), view.Group: {view.Version}}
	if o.Custom {
		g[custom.Group] = custom.Versions()
	}
	if o.External {
		g[custom.ExternalGroup] = custom.ExternalVersions()
	}
	return g
}

// route is where an API server first asks what there is. It asks for all groups of a server in one document (aggregated discovery), and takes a group
// that is not in it for an empty one. Our groups are served by two libraries and ourselves, and none knows the others: so the answer is always the
// older list, after which each group and version is asked for by itself.
func (g groups) route() serve.Route {
	type version struct {
		GroupVersion string `json:"groupVersion"`
		Version      string `json:"version"`
	}
	type group struct {
		Name      string    `json:"name"`
		Versions  []version `json:"versions"`
		Preferred version   `json:"preferredVersion"`
	}
	list := struct {
		Kind       string  `json:"kind"`
		APIVersion string  `json:"apiVersion"`
		Groups     []group `json:"groups"`
	}{"APIGroupList", "v1", nil}
	for _, name := range slices.Sorted(maps.Keys(g)) {
		x := group{Name: name}
		for _, v := range g[name] {
			x.Versions = append(x.Versions, version{name + "/" + v, v})
		}
		x.Preferred = x.Versions[0]
		list.Groups = append(list.Groups, x)
	}
	return serve.Route{Method: http.MethodGet, Pattern: "/apis", InFlight: 400, Handle: func(w http.ResponseWriter, _ *http.Request) error {
		return serve.WriteJSON(w, list)
	}}
}
