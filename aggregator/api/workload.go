package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api/params"
	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/serve"
	"plimsoll.dev/plimsoll/internal/store"
)

const (
	decisionDay  = 24 * time.Hour
	decisionsMax = 200 // in one workload's answer
	logDeadline  = 5 * time.Second
)

// workloadKey names a workload.
type workloadKey struct{ namespace, kind, name string }

func keyOf(t cluster.Target) workloadKey { return workloadKey{t.Namespace, t.Kind, t.Name} }

func (k workloadKey) String() string { return slashed(slashed(k.namespace, k.kind), k.name) }

func (a *API) getWorkload(w http.ResponseWriter, r *http.Request) error {
	p := params.Read(r, "limit")
	limit := p.Whole("limit", decisionsMax, decisionsMax)
	if p.Err != nil {
		return p.Err
	}
	k := workloadKey{r.PathValue("namespace"), r.PathValue("kind"), r.PathValue("name")}
	now := time.Now()
	one, err := a.workload(a.picture(now, scope.From(r.Context())), now, k)
	if err != nil {
		return err
	}
	if one.Decisions, err = a.workloadDecisions(r.Context(), now, k, limit); err != nil {
		return err
	}
	return serve.WriteJSON(w, one)
}

// scaled returns what the autoscaler looks after and a scope sees, by namespace and name, a row for each target; never nil.
func (a *API) scaled(now time.Time, sees scope.Scope) []cluster.Scaled {
	out := []cluster.Scaled{}
	if a.opts.Scaled != nil {
		ours := sees.Filter()
		out = slices.DeleteFunc(append(out, a.opts.Scaled(now)...), func(s cluster.Scaled) bool { return !ours(s.Namespace) })
	}
	for i := range out {
		if out[i].Metrics == nil {
			out[i].Metrics = []cluster.Load{}
		}
	}
	slices.SortStableFunc(out, func(x, y cluster.Scaled) int {
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.APIVersion, y.APIVersion))
	})
	return append([]cluster.Scaled{}, apart(out)...)
}

// workloads lists all workloads with their sums, those that are scaled or have pods but have nothing running included.
func (p *picture) workloads(scaled []cluster.Scaled) []Workload {
	out := make([]Workload, 0, len(p.snap.Workloads))
	left := make(map[workloadKey]*Scaled, len(scaled))
	for owner := range p.pods {
		if owner.name != "" {
			left[owner] = nil
		}
	}
	with := p.withMembers(scaled)
	for i := range with {
		left[keyOf(with[i].Target)] = &with[i]
	}
	for _, it := range p.snap.Workloads {
		k := workloadKey{it.Entity.Namespace, it.Entity.WorkloadKind, it.Entity.Workload}
		out = append(out, p.sums(it, k, left[k]))
		delete(left, k)
	}
	for k, s := range left {
		out = append(out, p.sums(nil, k, s))
	}
	slices.SortFunc(out, func(a, b Workload) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// sums makes a workload's row; it is nil where the workload has nothing running.
func (p *picture) sums(it *live.Item, k workloadKey, s *Scaled) Workload {
	w := Workload{Time: p.time, Namespace: k.namespace, Kind: k.kind, Name: k.name, Scaled: s, Pods: p.living(it, k)}
	if s != nil && plain(s.Target) != s.Target { // the sums are of all that have this kind and name, in a row of their own
		w.Pods = len(s.Members)
		w.Gap = &cluster.Gap{Since: s.since(p.time), Reason: metric.GapMember, Detail: "what its pods use is told of each, and of " + plain(s.Target).Kind + " of all groups together"}
		return w
	}
	if s != nil && len(s.under) > 0 {
		w.Pods = len(s.Members)
		of := make([]string, min(len(s.under), 3))
		for i := range of {
			of[i] = s.under[i].kind + " " + s.under[i].name
		}
		w.Gap = &cluster.Gap{Since: s.since(p.time), Reason: metric.GapMember, Detail: "what its pods use is told of each, and of " + strings.Join(of, ", ")}
		return w
	}
	if it != nil {
		w.CPU = rate(it, metric.CPUUsage, decCores)
		w.WorkingSet = gauge(it, metric.MemoryWorkingSet, decBytes)
		w.Gap = gapOf(it.Gap)
	}
	w.Partial, w.Parts, w.Gap = p.lacks(it, p.pods[k], w.CPU, w.WorkingSet, w.Gap)
	if gap := p.waits[k]; gap != nil && w.CPU == nil && w.WorkingSet == nil {
		w.Gap = gap
	}
	if w.CPU == nil && w.WorkingSet == nil && w.Gap == nil {
		w.Gap = p.unsaid(k)
	}
	return w
}

// unsaid is the gap of a workload of which nothing has values and nothing else says why: its pods are on a machine that is silent, or are being deleted; nil where it has none.
func (p *picture) unsaid(k workloadKey) (gap *cluster.Gap) {
	for _, pod := range p.pods[k] {
		switch why := p.why(pod); {
		case pod.Pod.Finished():
		case !pod.Pod.Deleting && why != nil:
			return why
		case pod.Pod.Deleting && gap == nil:
			gap = &cluster.Gap{Since: pod.Pod.Status.Since.UTC(), Reason: metric.GapGone, Detail: "its pods are being deleted"}
		}
	}
	return gap
}

// living counts the pods of a workload that exist: those that the inventory says it has, and of those that it does not know those that
// have not ended. w is nil where the workload has nothing running.
func (p *picture) living(w *live.Item, k workloadKey) int {
	n := 0
	for _, pod := range p.pods[k] {
		if !pod.Pod.Finished() {
			n++
		}
	}
	if w == nil {
		return n
	}
	for _, pod := range w.Items {
		if pod.Pod != nil {
			continue
		}
		if len(pod.Items) == 0 || slices.ContainsFunc(pod.Items, func(it *live.Item) bool { return !it.Ended }) {
			n++
		}
	}
	return n
}

// workload makes the answer about one workload, all but its decisions.
func (a *API) workload(p *picture, now time.Time, k workloadKey) (Workload, error) {
	it := p.workload(k.namespace, k.kind, k.name)
	var s *Scaled
	all := a.scaled(now, p.sees)
	if one := scaledAs(all, k); one != nil {
		s, k = &p.withMembers([]cluster.Scaled{*one})[0], keyOf(one.Target)
		it = p.workload(k.namespace, k.kind, k.name)
	}
	if it == nil && s == nil && len(p.pods[k]) == 0 {
		return Workload{}, serve.NotFound("there is no workload %q (namespace/kind/name)%s; /plimsoll/v1/workloads lists them", k, orHidden(p.sees))
	}
	w := p.sums(it, k, s)
	w.Schema = "plimsoll.dev/workload/v1"
	w.Containers = p.members(it, k)
	if s == nil {
		return w, nil
	}
	under := s.under
	if own := keyOf(plain(s.Target)); own != k {
		under = append(under, own)
	}
	if len(under) > 0 { // the rows are others', who may have more pods
		w.Containers = []Container{}
		for _, u := range under {
			w.Containers = append(w.Containers, p.members(p.workload(u.namespace, u.kind, u.name), u)...)
		}
		w.Containers = slices.DeleteFunc(w.Containers, func(c Container) bool {
			return !slices.ContainsFunc(s.Members, func(m Member) bool { return m.Name == c.Pod })
		})
	}
	return w, nil
}

// orHidden goes on after a word that there is no such thing, to whoever may not see all; it does not say whether there is.
func orHidden(sees scope.Scope) string {
	if sees.All() {
		return ""
	}
	return ", or it is one that you may not see"
}

// workloadDecisions returns the changes of the last day, so many at most, and the newest hold, newest first.
func (a *API) workloadDecisions(ctx context.Context, now time.Time, k workloadKey, limit int) ([]cluster.Decision, error) {
	q := store.DecisionQuery{Target: a.target(now, k), End: now,
		Start: now.Add(-decisionDay), Actions: []string{"Up", "Down"}, Limit: limit}
	changes, err := a.decisions(ctx, q)
	if err != nil {
		return nil, err
	}
	q.Actions, q.Limit = []string{"Hold"}, 1
	holds, err := a.decisions(ctx, q)
	if err != nil {
		return nil, err
	}
	out := slices.Concat(changes, holds)
	slices.SortStableFunc(out, func(x, y cluster.Decision) int { return y.Time.Compare(x.Time) })
	return out, nil
}
