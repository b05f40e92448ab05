package capacity

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// rare is a question about what happens to few containers: kills, restarts, throttling. It costs as much as one about their use, so the sums at
// a higher level are asked first, and then only for members of those that it happened to. Where nobody rolls up, all are asked for.
type rare struct {
	row   metric.ID
	level metric.Level
	label string // that names the members of the level
	then  func(only []store.Matcher) []func(context.Context) error
}

// ask makes the question.
func (r *rare) ask(l *learner) func(context.Context) error {
	return func(ctx context.Context) error {
		q := store.Query{Row: r.row, Level: r.level, Func: store.Increase, By: []string{r.label}, Matchers: l.narrow}
		found, err := l.asker.ask(ctx, q, 0)
		if err != nil {
			return err
		}
		var names []string
		for i := range found {
			for _, x := range found[i].Samples {
				if name := found[i].Label(r.label); x.V > 0 && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
		if len(found) > 0 && len(names) == 0 {
			return nil
		}
		for _, question := range r.then(anyOf(r.label, names)) {
			if err := question(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

// maxNamed is how many names a question lists; of more it asks for all.
const maxNamed = 200

// anyOf selects by a label's values.
func anyOf(label string, names []string) []store.Matcher {
	if len(names) == 0 || len(names) > maxNamed {
		return nil
	}
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = regexp.QuoteMeta(n)
	}
	slices.Sort(quoted)
	return []store.Matcher{{Name: label, Op: store.Regexp, Value: strings.Join(slices.Compact(quoted), "|")}}
}

// named selects workloads by name.
func named(of []id) []store.Matcher {
	names := make([]string, len(of))
	for i, k := range of {
		names[i] = k.workload
	}
	slices.Sort(names)
	return anyOf("workload", slices.Compact(names))
}

// rares are the questions about kills, restarts and throttling.
func (l *learner) rares() []func(context.Context) error {
	g := l.asker.g
	kills := &rare{metric.OOMKills, metric.Namespace, "namespace", func(only []store.Matcher) []func(context.Context) error {
		return []func(context.Context) error{l.question(store.Query{Row: metric.OOMKills, Func: store.Increase}, store.Sum, only, g.step,
			func(u *usage, x store.Sample) { u.kills += x.V })}
	}}
	restarts := &rare{metric.Restarts, metric.Namespace, "namespace", func(only []store.Matcher) []func(context.Context) error {
		return []func(context.Context) error{l.question(store.Query{Row: metric.Restarts, Func: store.Increase}, store.Sum, only, g.step,
			func(u *usage, x store.Sample) { u.restarts = plus(u.restarts, &x.V) })}
	}}
	throttled := &rare{metric.CPUThrottled, metric.Workload, "workload", func(only []store.Matcher) []func(context.Context) error {
		return []func(context.Context) error{
			l.question(store.Query{Row: metric.CPUThrottledPeriods, Func: store.Rate}, store.Sum, only, g.step, func(u *usage, x store.Sample) { u.cfs[x.T] = u.cfs[x.T].plus(cfs{throttled: x.V}) }),
			l.question(store.Query{Row: metric.CPUPeriods, Func: store.Rate}, store.Sum, only, g.step, func(u *usage, x store.Sample) { u.cfs[x.T] = u.cfs[x.T].plus(cfs{all: x.V}) }),
		}
	}}
	return []func(context.Context) error{kills.ask(l), restarts.ask(l), throttled.ask(l)}
}
