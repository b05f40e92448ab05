package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
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
	var notes []string
	if q.Name != "" && q.Namespace != "" {
		var scaled []cluster.Scaled
		now, sees := time.Now(), scope.From(r.Context())
		q.Target, scaled, notes = meant(q.Target, a.scaled(now, sees))
		if len(scaled) == 0 && (q.Kind == "" || q.Kind == "Pod") {
			notes = append(notes, a.picture(now, sees).ofPods(q.Namespace, q.Name)...)
		}
		notes = append(notes, a.notes(scaled)...)
	}
	if kind, version := kindOf(q.Kind); kind != q.Kind {
		q.Kind, q.APIVersion = kind, cmp.Or(q.APIVersion, version)
	}
	items, err := a.decisions(r.Context(), q)
	if err != nil {
		return err
	}
	return serve.WriteJSON(w, DecisionList{Schema: "plimsoll.dev/decisions/v1", Items: items, Notes: notes})
}

// Several begins the note of a list of decisions that are asked for by a name that several targets have.
const Several = "Several targets have that name: "

// meant finds what is meant by a name, and by a kind where one is given: a target, or, where there is none, that of the policy of this name. Beside the target to ask the
// log for it returns what is known of all that it names; notes say where the name is a policy's, or not one thing's alone.
func meant(t cluster.Target, all []cluster.Scaled) (of cluster.Target, named []cluster.Scaled, notes []string) {
	var kinds, policies []string
	var byPolicy []cluster.Scaled
	for _, s := range all {
		if s.Namespace != t.Namespace {
			continue
		}
		i := slices.IndexFunc(s.By, func(d cluster.Declaration) bool { return d.Name == t.Name && (t.Kind == "" || d.Kind == t.Kind) })
		switch {
		case s.Name == t.Name && (t.Kind == "" || isOf(s.Target, t.Kind)):
			named, kinds = append(named, s), append(kinds, s.Kind)
		case i >= 0:
			byPolicy, policies = append(byPolicy, s), append(policies, fmt.Sprintf("%s %s is of %s", s.By[i].Kind, t.Name, s.Target))
		}
	}
	if len(named) == 0 && len(byPolicy) == 1 {
		return byPolicy[0].Target, byPolicy, []string{policies[0] + "."}
	}
	ask := fmt.Sprintf("; %s/KIND/%s asks for one.", t.Namespace, t.Name)
	if len(named) == 1 {
		t.APIVersion = named[0].APIVersion
	}
	if len(named) > 1 {
		notes = append(notes, Several+strings.Join(kinds, ", ")+ask)
	}
	if len(policies) > 0 {
		notes = append(notes, "A policy of that name is another target's: "+strings.Join(policies, ", ")+ask)
	}
	return t, named, notes
}

// ofPods say of pods of a name whose they are, and since when and why they have no values.
func (p *picture) ofPods(namespace, name string) (out []string) {
	say := func(owner cluster.Target, gap *cluster.Gap) {
		note := "It is a pod that nothing owns"
		if owner.Name != "" {
			note = "It is a pod of " + owner.String() + ", by whose name decisions are told"
		}
		if gap != nil {
			note += fmt.Sprintf("; %s since %s: %s", gap.Reason, gap.Since.UTC().Format(time.RFC3339), gap.Detail)
		}
		out = append(out, note+".")
	}
	machines := machinesOf(p.snap)
	for _, k := range p.snap.Known {
		if k.Pod.Namespace != namespace || k.Pod.Name != name {
			continue
		}
		gap, ok := absence(k, machines, p.snap.Time)
		switch {
		case ok:
			say(k.Pod.Owner, &gap)
		case k.Item != nil:
			_, gap := waitsIn(k.Item)
			say(k.Pod.Owner, cmp.Or(gap, k.Item.Gap))
		default:
			say(k.Pod.Owner, nil)
		}
	}
	for _, it := range p.snap.Pods {
		if e := it.Entity; it.Pod == nil && e.Namespace == namespace && e.Pod == name {
			say(cluster.Target{Kind: e.WorkloadKind, Namespace: e.Namespace, Name: e.Workload}, it.Gap)
		}
	}
	return out
}

// notes say of targets why decisions for them are none of now, or change nothing.
func (a *API) notes(scaled []cluster.Scaled) (out []string) {
	for _, s := range scaled {
		switch {
		case s.Gap != nil && s.Gap.Reason == cluster.GapPolicy:
			out = append(out, s.Gap.Detail+".")
		case s.Gap != nil && s.Last == nil: // no decision says so
			out = append(out, "Of "+s.Target.String()+" now: "+s.Gap.Detail+".")
		case s.State != "":
			out = append(out, "Of "+s.Target.String()+" now: "+s.State+".")
		}
	}
	if a.opts.Autoscaler == "off" {
		return append(out, "The autoscaler is off: nothing that is declared is read.")
	}
	if a.opts.Decides != nil {
		if err := a.opts.Decides.MayWrite(); err != nil {
			out = append(out, "Decisions are in the log of the server that makes them: "+err.Error()+".")
		}
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
