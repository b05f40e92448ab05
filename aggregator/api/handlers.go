package api

import (
	"net/http"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api/params"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/serve"
)

// shows makes a handler that answers with something of the newest picture.
func (a *API) shows(answer func(p *picture, now time.Time, sel selection) any, allowed ...string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		p := params.Read(r, allowed...)
		sel := selectionOf(p)
		if p.Err != nil {
			return p.Err
		}
		now := time.Now()
		return serve.WriteJSON(w, answer(a.picture(now, scope.From(r.Context())), now, sel))
	}
}

// maxConditions is how many conditions an overview tells of beside silent machines: nobody reads more.
const maxConditions = 500

func (a *API) overview(p *picture, now time.Time, sel selection) Overview {
	rows, found := sel.of(p.containers)
	o := Overview{
		Schema: "plimsoll.dev/overview/v1", Time: p.time, Version: a.opts.Version,
		Since: a.opts.Since.UTC(), Interval: a.opts.Interval.Seconds(),
		Node: p.node, Nodes: first(p.nodes, sel.limit), TotalNodes: len(p.nodes), Autoscaler: a.opts.Autoscaler, Limited: !p.sees.All(), Scaled: p.withMembers(a.scaled(now, p.sees)),
		Containers: rows, Total: len(p.containers), Found: found,
		Conditions: append([]condition.Condition{}, silent(p.snap)...),
	}
	o.Conditions = append(o.Conditions, a.conditions(now, p.sees)...)
	return o
}

// conditions are what is wrong with Plimsoll itself. Their sentences name whatever they are about, so that who does not see everything is told
// no more than that there are some.
func (a *API) conditions(now time.Time, sees scope.Scope) (out []condition.Condition) {
	if a.opts.Conditions != nil {
		out = first(a.opts.Conditions(now), maxConditions)
	}
	if !sees.IsWhole() && len(out) > 0 {
		const told = "something is wrong with Plimsoll or with what it reads, and this may lack some of it; whoever sees all of Plimsoll is told what"
		out = []condition.Condition{condition.Ill("PlimsollSound", "ToldToOthers", told, a.opts.Since.UTC())}
	}
	if sees.IsCut() {
		const told = "the cluster has more namespaces than are asked about one by one: some that you may see may be missing; the right to see those of all namespaces shows them: "
		out = append(out, condition.Ill("NamespacesAsked", "TooMany", told+scope.PodsRight, a.opts.Since.UTC()))
	}
	return out
}

func first[T any](list []T, n int) []T { return list[:min(len(list), n)] }
