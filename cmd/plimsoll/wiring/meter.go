package wiring

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/kube"
	"plimsoll.dev/plimsoll/internal/kube/metrics"
)

// meter has the loop read the cluster's metrics APIs.
type meter struct {
	reader    *metrics.Reader
	selectors *kube.Selectors
}

// newMeter makes it, with what reads as a part of the process.
func newMeter(e *environment, config *kube.API, scales *kube.Scales) (meter, error) {
	r, err := metrics.New(metrics.Options{Config: config, Logger: e.named("metrics"), Registerer: e.registry})
	if err != nil {
		return meter{}, err
	}
	e.life.Runs("metrics", r.Run)
	return meter{r, kube.NewSelectors(scales)}, nil
}

// Read implements autoscaler.Meter.
func (m meter) Read(ctx context.Context, t cluster.Target, questions []policy.Question, pods []*cluster.Pod, changed time.Time) []policy.Reading {
	out := make([]policy.Reading, len(questions))
	asked := make([]metrics.Question, len(questions))
	for i := range questions {
		q, err := m.question(ctx, t, &questions[i])
		if err != nil {
			out[i].Problem = err.Error()
			continue
		}
		m.reader.Expect(q)
		asked[i] = q
	}
	var own map[string]bool // by the target, whatever else the selector chooses
	for i, q := range asked {
		if out[i].Problem != "" {
			continue
		}
		a, err := m.reader.Ask(ctx, q, changed)
		if err != nil {
			out[i].Problem = err.Error()
			continue
		}
		out[i].Values, out[i].At, out[i].Read = a.Values, a.At, a.Read
		if own == nil && len(a.Pods) > 0 {
			own = make(map[string]bool, len(pods))
			for _, p := range pods {
				own[p.Name] = true
			}
		}
		for _, v := range a.Pods {
			if own[v.Pod] {
				out[i].Pods = append(out[i].Pods, policy.PodValue{Pod: v.Pod, Value: v.Value, Timestamp: v.At, Window: v.Window})
			}
		}
	}
	return out
}

// question is what a policy's metric asks of the APIs. Pods are asked for by the target's own selector, as the HPA's controller does: adapters make a
// query of the names of all pods that are asked for.
func (m meter) question(ctx context.Context, t cluster.Target, q *policy.Question) (out metrics.Question, err error) {
	out = metrics.Question{API: metrics.External, Namespace: t.Namespace, Metric: q.Metric, Selector: q.Selector}
	switch {
	case q.Type == "Pods":
		out.API = metrics.Pods
		out.Of, err = m.selectors.Of(ctx, t)
	case q.Object != nil:
		gv, _ := schema.ParseGroupVersion(q.Object.APIVersion) // the policy was checked; the version does not matter
		out.API, out.Object, out.Name = metrics.Object, schema.GroupKind{Group: gv.Group, Kind: q.Object.Kind}, q.Object.Name
	}
	return out, err
}

// PodUsage implements autoscaler.UsageReader. What is older than the pod is of another one that had its name.
func (m meter) PodUsage(ctx context.Context, t cluster.Target, pods []*cluster.Pod) (out []cluster.PodUsage, err error) {
	a, err := m.reader.Ask(ctx, metrics.Question{API: metrics.Usage, Namespace: t.Namespace}, time.Time{})
	if err != nil {
		return nil, err
	}
	for _, p := range pods {
		if u, ok := a.Usage[p.Name]; ok && !u.Timestamp.Before(p.StartTime) {
			out = append(out, u)
		}
	}
	return out, nil
}

// blind is the Observer of a process that measures nothing itself.
type blind struct{}

// Usage implements autoscaler.Observer.
func (blind) Usage(time.Time, []*cluster.Pod, cluster.ResourceName, time.Duration) []cluster.PodUsage {
	return nil
}

// Gap implements autoscaler.Observer.
func (blind) Gap(time.Time, *cluster.Pod) (string, time.Time) { return "", time.Time{} }
