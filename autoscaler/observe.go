package autoscaler

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// notServed is what the brain is told of metrics that one machine does not have.
const notServed = "not served here: only Resource and ContainerResource metrics are"

// observe collects what the decision rests on. at is when the pass was due, now when it began. unknown says why the target's pods are not
// known yet, so that there is nothing to rest on; nil where they are.
func (l *Loop) observe(ctx context.Context, t *target, p *policy.Policy, now, at time.Time) (in policy.Input, unknown error) {
	in = policy.Input{Now: now, Policy: p, Options: *l.opts.brain, State: t.state}
	var sc Scale
	var pods []*cluster.Pod
	err := l.call(ctx, t, func(ctx context.Context) (err error) {
		sc, err = l.opts.Scaler.Scale(ctx, t.key)
		return err
	})
	if err == nil {
		pods, err = l.opts.Inventory.Pods(t.key)
	}
	if errors.Is(err, cluster.ErrNotYet) {
		l.log.Debug("waits until the pods are known", "target", t.key.String(), "err", err)
		return in, err
	}
	if err != nil {
		text := err.Error()
		if errors.Is(err, cluster.ErrNoTarget) {
			text = fmt.Sprintf("there is no %s %q in namespace %q", t.key.Kind, t.key.Name, t.key.Namespace)
		}
		in.Target.SpecReplicas = cluster.DesiredReplicas(t.shown.Desired) // as last seen
		in.Target.Problem = &policy.Problem{Reason: policy.FailedGetScale, Message: text}
		return in, nil
	}
	in.Target.SpecReplicas, in.Target.StatusReplicas, t.trouble = sc.Desired, sc.Observed, sc.Trouble
	if t.counted >= 0 && t.counted != sc.Desired {
		t.changed = now
	}
	t.counted, in.Changed = sc.Desired, t.changed
	if len(pods) == 0 && sc.Desired > 0 && l.opts.NoPods != nil {
		_ = l.call(ctx, t, func(ctx context.Context) error {
			in.Target.NoPods = l.opts.NoPods(ctx, t.key)
			return nil
		})
	}
	in.Pods = make([]cluster.Pod, len(pods))
	for i, pod := range pods {
		in.Pods[i] = *pod
	}
	seen := map[string]bool{}
	for _, name := range p.Resources() {
		if _, ok := metric.OfResource(string(name)); !ok {
			in.Errors.Usage = fmt.Sprintf("resource %q is not measured: only cpu and memory are", name)
			continue
		}
		l.windows(&in, t, name, pods, now, at, seen)
	}
	l.others(ctx, &in, t, pods)
	problem := l.second(ctx, &in, t, pods, seen)
	for i := range in.Pods {
		if pod := &in.Pods[i]; !seen[pod.Name] && !pod.Deleting && pod.Gap == "" { // whoever runs the pod knows best why it does not run
			if pod.Gap, pod.GapSince = l.opts.Observer.Gap(now, pod); pod.Gap == "" {
				pod.Gap = problem
			}
		}
	}
	return in, nil
}

// others adds the metrics that are not what pods use.
func (l *Loop) others(ctx context.Context, in *policy.Input, t *target, pods []*cluster.Pod) {
	questions := in.Policy.Questions()
	switch {
	case len(questions) == 0:
		return
	case l.opts.Meter == nil:
		in.Errors.PodsMetrics, in.Errors.ObjectMetrics, in.Errors.ExternalMetrics = notServed, notServed, notServed
		return
	}
	var readings []policy.Reading
	_ = l.call(ctx, t, func(ctx context.Context) error {
		readings = l.opts.Meter.Read(ctx, t.key, questions, pods, t.changed)
		return nil
	})
	in.Answer(readings)
}

// settles is for how long after a pod is ready the newest second of all is not looked at by itself: what has gone to it from another may be in the seconds of both.
const settles = 3 * time.Second

// windows adds the usage of one resource over windows of several lengths, and the newest second to its history. A window is left out
// while the pods have not been seen for that long, so that none pretends to be longer than it is; the shortest is always there.
func (l *Loop) windows(in *policy.Input, t *target, name corev1.ResourceName, pods []*cluster.Pod, now, at time.Time, seen map[string]bool) {
	windows := policy.Windows(in.Policy.Window(), in.Policy.StableWindow())
	h := t.history(name, windows)
	second := l.opts.Observer.Usage(now, pods, name, time.Second)
	h.add(at, second, in.Pods) // without those that no collector tells of: they are not seen each second
	moving := slices.ContainsFunc(in.Pods, func(p cluster.Pod) bool {
		return p.Ready == corev1.ConditionTrue && now.Sub(p.ReadyTransition) < settles
	})
	if moving {
		h.Moving(at)
	}
	noise := h.Noise(now)
	by := make(map[string]*cluster.Pod, len(in.Pods))
	for i := range in.Pods {
		by[in.Pods[i].Name] = &in.Pods[i]
	}
	after := map[string]cluster.PodUsage{}
	sinceReady(after, by, second)
	for i, w := range windows {
		usage := l.opts.Observer.Usage(now, pods, name, w)
		if i > 0 && !policy.Covers(longest(usage), w) {
			break
		}
		sinceReady(after, by, usage)
		for k, u := range usage {
			if whole(u) && u.Source == "" {
				seen[u.Pod] = true
			}
			pod := by[u.Pod]
			if mine, ok := after[u.Pod]; ok {
				usage[k], u = mine, mine
				if life := mine.Timestamp.Sub(pod.ReadyTransition); life < w-time.Second && moves(name) {
					usage[k], u.Window = scaled(mine, life.Seconds()/w.Seconds()), life
				}
			}
			if pod != nil && whole(u) && u.Source == "" && moves(name) {
				h.left.saw(pod, u)
			}
		}
		in.Looks = append(in.Looks, policy.Look{Metric: name, Window: w, Noise: noise[i].StdErr, NoiseKnown: noise[i].Known, Usage: usage})
	}
	if n, spike, known := h.Newest(now); known && in.Policy.Window() > time.Second && !moving {
		in.Newest = append(in.Newest, policy.Look{Metric: name, Window: time.Second, Noise: n, NoiseKnown: true, Spike: spike, Usage: second})
	}
	h.left.close(in.Pods, now.Add(-in.Policy.StableWindow()))
	for i := range in.Looks {
		if l := &in.Looks[i]; l.Metric == name {
			l.Departed = h.left.within(l.Window, now)
		}
	}
}

// second fills in from the second source of usage what the Observer does not know, or not by a collector. Where there are such pods the
// decision rests on Input.Usage alone: what collectors say of their pods over the longest window, and of the rest two readings of a kubelet,
// or the second source. An error matters to the decision only where nothing else is known; otherwise it is returned, as a gap's reason.
func (l *Loop) second(ctx context.Context, in *policy.Input, t *target, pods []*cluster.Pod, seen map[string]bool) (problem string) {
	usage := slices.DeleteFunc(joined(in.Looks, true), func(u cluster.PodUsage) bool { return seen[u.Pod] || u.Source == "" || !whole(u) })
	unseen := slices.DeleteFunc(slices.Clone(pods), func(p *cluster.Pod) bool {
		return seen[p.Name] || p.Deleting || slices.ContainsFunc(usage, func(u cluster.PodUsage) bool { return u.Pod == p.Name })
	})
	if l.opts.Usage != nil && len(unseen) > 0 && len(in.Policy.Resources()) > 0 {
		var more []cluster.PodUsage
		err := l.call(ctx, t, func(ctx context.Context) (err error) {
			more, err = l.opts.Usage.PodUsage(ctx, t.key, unseen)
			return err
		})
		switch {
		case err == nil:
			usage = append(usage, slices.DeleteFunc(slices.Clone(more), func(u cluster.PodUsage) bool { return seen[u.Pod] })...)
		case len(seen) == 0 && len(usage) == 0:
			in.Errors.Usage = err.Error()
		default:
			problem = err.Error()
		}
	}
	if len(usage) == 0 {
		return problem
	}
	for _, u := range usage {
		seen[u.Pod] = true
	}
	known := slices.DeleteFunc(joined(in.Looks, false), func(u cluster.PodUsage) bool { // what lacks a part gives way to what may not
		return slices.ContainsFunc(usage, func(x cluster.PodUsage) bool { return x.Pod == u.Pod })
	})
	in.Usage, in.Looks, in.Newest = slices.Concat(known, usage), nil, nil
	t.departed(in, usage)
	return problem
}

// joined is what the Observer knows of each pod over the longest window, or the shortest, all resources together.
func joined(looks []policy.Look, shortest bool) (out []cluster.PodUsage) {
	index := map[string]int{}
	for i, l := range looks {
		switch {
		case shortest && i > 0 && looks[i-1].Metric == l.Metric:
			continue // a shorter one came before
		case !shortest && i+1 < len(looks) && looks[i+1].Metric == l.Metric:
			continue // a longer one follows
		}
		for _, u := range l.Usage {
			k, ok := index[u.Pod]
			if !ok {
				index[u.Pod] = len(out)
				u.Containers = slices.Clone(u.Containers)
				out = append(out, u)
				continue
			}
			for _, c := range u.Containers {
				if j := slices.IndexFunc(out[k].Containers, func(x cluster.ContainerUsage) bool { return x.Name == c.Name }); j >= 0 {
					out[k].Containers[j].Usage = slices.Concat(out[k].Containers[j].Usage, c.Usage)
				}
			}
		}
	}
	return out
}

// sinceReady notes of each pod the longest sample, of windows that come from the shortest to the longest, that lies wholly
// after the pod turned ready. In a window that reaches back further that one stands for the pod, of CPU with the part of the window
// that it covers: so the pods' sum is the mean of their total over the window, as the rule wants it (evidence). Nothing is lowered that the longest window in which all were
// ready does not allow, too.
// Otherwise a pod that carries load would count as one that still starts, and be left out of the longest window, on which
// shrinking is decided, for its first minute; or, with its full usage, what moved to it from others would count
// twice.
func sinceReady(longest map[string]cluster.PodUsage, by map[string]*cluster.Pod, usage []cluster.PodUsage) {
	for _, u := range usage {
		if p := by[u.Pod]; p != nil && !u.Timestamp.Add(-u.Window).Before(p.ReadyTransition) {
			longest[u.Pod] = u
		}
	}
}

// moves says whether what a pod uses of a resource may have been another's before, and may be another's after it. What a pod holds of memory is its own.
func moves(name corev1.ResourceName) bool { return name == corev1.ResourceCPU }

// whole says whether a pod's usage lacks no container's part.
func whole(u cluster.PodUsage) bool {
	return !slices.ContainsFunc(u.Containers, func(c cluster.ContainerUsage) bool { return len(c.Usage) == 0 })
}

// add notes the total of one second. While a pod that should be seen is not, or only in part, the total is not known.
func (h *history) add(at time.Time, usage []cluster.PodUsage, pods []cluster.Pod) {
	seen, total := map[string]bool{}, 0.0
	for _, u := range usage {
		seen[u.Pod] = whole(u) && u.Source == ""
		for _, c := range u.Containers {
			for _, r := range c.Usage {
				total += r.Milli.Float()
			}
		}
	}
	if len(usage) == 0 {
		total = math.NaN()
	}
	for i := range pods {
		p := &pods[i]
		if !seen[p.Name] && missed(p, at) {
			total = math.NaN()
		}
	}
	h.Add(at, total)
	h.at = at
}

func longest(usage []cluster.PodUsage) (w time.Duration) {
	for _, u := range usage {
		w = max(w, u.Window)
	}
	return w
}

// scaled is the part of a sample that is in a window which it covers in part only.
func scaled(u cluster.PodUsage, part float64) cluster.PodUsage {
	all := u.Containers
	u.Containers = make([]cluster.ContainerUsage, len(all))
	for i, c := range all {
		u.Containers[i] = cluster.ContainerUsage{Name: c.Name, Usage: slices.Clone(c.Usage)}
		for k, used := range c.Usage {
			u.Containers[i].Usage[k].Milli = cluster.Milli(math.Ceil(float64(used.Milli) * part))
		}
	}
	return u
}
