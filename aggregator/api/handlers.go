package api

import (
	"net/http"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api/params"
	"plimsoll.dev/plimsoll/internal/condition"
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
		return serve.WriteJSON(w, answer(a.picture(now), now, sel))
	}
}

// maxConditions is how many silent machines an overview tells of, and how many conditions of other kinds: nobody reads more.
const maxConditions = 500

func (a *API) overview(p *picture, now time.Time, sel selection) Overview {
	rows, found := sel.of(p.containers)
	o := Overview{
		Schema: "plimsoll.dev/overview/v1", Time: p.time, Version: a.opts.Version,
		Since: a.opts.Since.UTC(), Interval: a.opts.Interval.Seconds(),
		Node: p.node, Nodes: first(p.nodes, sel.limit), TotalNodes: len(p.nodes), Scaled: p.withMembers(a.scaled(now)),
		Containers: rows, Total: len(p.containers), Found: found,
		Conditions: append([]condition.Condition{}, first(silent(p.snap), maxConditions)...),
	}
	if a.opts.Conditions != nil {
		o.Conditions = append(o.Conditions, first(a.opts.Conditions(now), maxConditions)...)
	}
	return o
}

func first[T any](list []T, n int) []T { return list[:min(len(list), n)] }
