package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api/params"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/serve"
	"plimsoll.dev/plimsoll/internal/store"
)

func (a *API) getDecisions(w http.ResponseWriter, r *http.Request) error {
	p := params.Read(r, "namespace", "kind", "name", "action", "start", "end", "limit")
	q := store.DecisionQuery{
		Target:  cluster.Target{Namespace: p.Text("namespace"), Kind: p.Text("kind"), Name: p.Text("name")},
		Actions: p.SomeOf("action", "Up", "Down", "Hold"),
		Start:   p.Moment("start"), End: p.Moment("end"),
		Limit: p.Whole("limit", 100, 1000),
	}
	if !q.Start.IsZero() && !q.End.IsZero() && q.End.Before(q.Start) {
		p.Fail("end %q is before start %q", p.Text("end"), p.Text("start"))
	}
	if p.Err != nil {
		return p.Err
	}
	items, err := a.decisions(r.Context(), q)
	if err != nil {
		return err
	}
	return serve.WriteJSON(w, DecisionList{Schema: "plimsoll.dev/decisions/v1", Items: items, Notes: a.notes(r.Context(), q.Target)})
}

// notes say of a target that is named, and that the context's scope sees, why decisions for it are none of now, or change nothing.
func (a *API) notes(ctx context.Context, t cluster.Target) (out []string) {
	if t.Name == "" || t.Namespace == "" {
		return nil
	}
	for _, s := range a.scaled(time.Now(), scope.From(ctx)) {
		switch {
		case s.Namespace != t.Namespace || s.Name != t.Name || t.Kind != "" && s.Kind != t.Kind:
		case s.Gap != nil && s.Gap.Reason == cluster.GapPolicy:
			out = append(out, s.Gap.Detail+".")
		case s.State != "":
			out = append(out, "Of "+s.Target.String()+" now: "+s.State+".")
		}
	}
	if a.opts.Autoscaler == "off" {
		out = append(out, "The autoscaler is off: nothing that is declared is read.")
	}
	return out
}

// decisions reads of the log what the context's scope sees; never nil without an error.
func (a *API) decisions(ctx context.Context, q store.DecisionQuery) ([]cluster.Decision, error) {
	if a.opts.Decisions == nil {
		return []cluster.Decision{}, nil
	}
	if q.End.IsZero() {
		q.End = time.Now()
	}
	if sees := scope.From(ctx); !sees.IsWhole() {
		q.Within = &sees
	}
	ctx, cancel := context.WithTimeout(ctx, logDeadline)
	defer cancel()
	list, err := a.opts.Decisions.Decisions(ctx, q)
	if err != nil {
		return nil, serve.ReadError("the decision log", err)
	}
	for i := range list {
		list[i].Time = list[i].Time.UTC()
		if !json.Valid(list[i].Detail) {
			list[i].Detail = nil
		}
	}
	return append([]cluster.Decision{}, list...), nil
}
