package capacity

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/store"
)

// Rightsize reports what each container asks for and what it should. scaled are the workloads that an autoscaler looks after; h may
// be nil: then there is no advice, and the report says so. The error wraps ErrBadOptions where no report can be made for the options, and
// else what the history answered.
func Rightsize(ctx context.Context, h History, s *live.Snapshot, scaled []cluster.Scaled, o RightsizeOptions) (*RightsizeReport, error) {
	g, err := gridUpTo(s, o.Window)
	if err != nil {
		return nil, fmt.Errorf("cannot report right sizes: %w", err)
	}
	now, then := run(s, &o, g.start), usages{}
	if h != nil {
		if then, err = remember(ctx, &asker{h, g}, &o, now, scaled); err != nil {
			return nil, err
		}
	}
	r := rightsizeOf(g, now, then, scaled)
	r.Time = s.Time.UTC()
	if h == nil {
		r.Notes = append(r.Notes, "There is no history here, and without it no advice.")
	}
	return r, nil
}

// remember asks the history for all that the advice rests on.
func remember(ctx context.Context, a *asker, o *RightsizeOptions, now map[id]*running, scaled []cluster.Scaled) (usages, error) {
	then, err := learn(ctx, a, o, now, scaledBy(scaled, "cpu"), scaledBy(scaled, "memory"))
	if err != nil {
		return nil, err
	}
	for _, more := range []struct {
		of  func(id, *usage) bool
		ask func(*learner, context.Context, []store.Matcher) error
	}{
		{func(k id, u *usage) bool { return now[k] == nil && recent(u, a.g) }, (*learner).amountsOfOld},
		{func(_ id, u *usage) bool { return u.oomKills() > 0 }, (*learner).limitsHit},
		{func(_ id, u *usage) bool { return or(u.throttled(0), 0) >= throttleFrom }, (*learner).limitsThrottled},
	} {
		var some []id
		for k, u := range then {
			if more.of(k, u) {
				some = append(some, k)
			}
		}
		if err := askOf(some, a, o, then, func(l *learner, only []store.Matcher) error {
			l.known = true
			return more.ask(l, ctx, only)
		}); err != nil {
			return nil, err
		}
	}
	return then, nil
}

// askOf asks for some containers: at once for those of workloads, and for those of pods of their own as many at a time as a question lists.
func askOf(some []id, a *asker, o *RightsizeOptions, into usages, ask func(*learner, []store.Matcher) error) error {
	var workloads []id
	var pods []string
	for _, k := range some {
		if k.own {
			pods = append(pods, k.workload)
		} else {
			workloads = append(workloads, k.owner())
		}
	}
	if len(workloads) > 0 {
		if err := ask(newLearner(a, o, nil, into), named(workloads)); err != nil {
			return err
		}
	}
	slices.Sort(pods)
	for some := range slices.Chunk(slices.Compact(pods), maxNamed) {
		if err := ask(newLearner(a, o, some, into), nil); err != nil {
			return err
		}
	}
	return nil
}

// recent says whether something that does not run now is likely to run again: a job that ran in at least three steps, the last of them
// within two days or a quarter of the window.
func recent(u *usage, g grid) bool {
	last := int64(0)
	for t := range u.seen {
		last = max(last, t)
	}
	since := min(2*day, g.end.Sub(g.start)/4)
	return len(u.seen) >= 3 && last > g.end.Add(-since).UnixMilli()
}

// rightsizeOf makes the report of what is known. It is pure.
func rightsizeOf(g grid, now map[id]*running, then usages, scaled []cluster.Scaled) *RightsizeReport {
	r := &RightsizeReport{Schema: RightsizeSchema, Start: g.start, End: g.end, Rows: []Advice{}, Notes: []string{}}
	left := 0
	for k, u := range then {
		if now[k] != nil {
			continue
		}
		if !recent(u, g) {
			left++
			continue
		}
		past := &running{cpuRequest: u.cpuRequest, cpuLimit: cmp.Or(newest(u.limits.cpu), u.cpuLimit), memoryRequest: u.memoryRequest, memoryLimit: cmp.Or(newest(u.limits.memory), u.memoryLimit)}
		r.Rows = append(r.Rows, adviseOn(g, k, past, u, goalOf(scaled, k)))
	}
	for k, n := range now {
		u := then[k]
		if u == nil {
			u = newUsage()
		}
		r.Rows = append(r.Rows, adviseOn(g, k, n, u, goalOf(scaled, k)))
	}
	slices.SortFunc(r.Rows, func(a, b Advice) int {
		return cmp.Or(cmp.Compare(weight(&b), weight(&a)), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Workload, b.Workload), cmp.Compare(a.Container, b.Container))
	})
	r.Totals = totalsOf(r.Rows)
	if left > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%s not run now, nor did lately, and %s left out.", numbered(left, "1 container of the history does", "%d containers of the history do"), numbered(left, "is", "are")))
	}
	switch asks := slices.ContainsFunc(r.Rows, func(a Advice) bool { return or(a.CPU.Request, 0)+or(a.Memory.Request, 0) > 0 }); {
	case r.Totals.Rows == 0 || r.Totals.CPU.Requests+r.Totals.Memory.Requests > 0:
	case asks:
		r.Notes = append(r.Notes, "What requests something does not run now, so there is nothing to save at present; the advice is for when it runs again.")
	default:
		r.Notes = append(r.Notes, "No container requests anything, so there is nothing to save; the advice is what to set.")
	}
	return r
}

// weight is how much a row's advice changes: in cores, 4 GiB of memory being as much as one.
func weight(a *Advice) float64 {
	change := func(r *ResourceAdvice) float64 {
		switch {
		case r.Saving != nil:
			return math.Abs(*r.Saving)
		case r.Advised != nil && r.Action == Set:
			return *r.Advised * float64(a.Replicas)
		}
		return 0
	}
	return change(&a.CPU) + change(&a.Memory)/(4<<30)
}

func totalsOf(rows []Advice) Totals {
	t := Totals{Rows: len(rows)}
	for i := range rows {
		if rows[i].Confidence != None {
			t.Advised++
		}
		t.CPU.add(&rows[i].CPU, rows[i].Replicas)
		t.Memory.add(&rows[i].Memory, rows[i].Replicas)
	}
	return t
}

func (t *ResourceTotals) add(r *ResourceAdvice, replicas int) {
	n := float64(replicas)
	if r.Request != nil {
		t.Requests += *r.Request * n
	}
	if r.Advised != nil {
		t.Advised += *r.Advised * n
	}
	if r.Saving != nil {
		t.Saving += *r.Saving
	}
	switch r.Action {
	case Set:
		t.Set++
	case Raise:
		t.Raise++
	case Lower:
		t.Lower++
	case Keep:
		t.Keep++
	}
}

// dataOf says how much of the window the advice rests on.
func dataOf(u *usage, g grid) Data {
	g.cover = g.cpuStep()
	return g.data(slices.Sorted(maps.Keys(u.seen)), u.begins)
}

// seenFor is how much time there is data of, at most so much as it has been there: steps count as a whole.
func seenFor(u *usage, now *running, g grid) time.Duration {
	seen := time.Duration(len(u.seen)) * g.cpuStep()
	if first := u.first(); first > 0 && !u.begins.IsZero() { // it has less
		seen -= u.begins.Sub(time.UnixMilli(first).Add(-g.cpuStep()))
	}
	if len(u.seen) <= 2 && !now.since.IsZero() {
		return max(0, min(seen, g.end.Sub(now.since)))
	}
	return seen
}
