package sim

import (
	"math"
	"time"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// decide scrapes and decides when it is time to.
func (w *world) decide(now time.Time, t time.Duration) {
	since := t + warm
	if w.rule.Scrape > 0 && (since+w.scrapePhase)%w.rule.Scrape == 0 {
		w.usage = w.sample(now, w.rule.Scrape)
	}
	if (since+w.passPhase)%w.rule.Every != 0 {
		return
	}
	in := policy.Input{Now: now, Policy: w.policy, Options: w.options, State: w.state}
	in.Target = policy.Target{SpecReplicas: cluster.DesiredReplicas(len(w.pods)), StatusReplicas: cluster.ObservedReplicas(len(w.pods))}
	for _, p := range w.pods {
		in.Pods = append(in.Pods, w.describe(p, now))
	}
	if w.rule.Scrape > 0 {
		in.Usage = w.usage
	} else {
		in.Looks = w.looks(now)
		if n, spike, known := w.history.Newest(now); known {
			in.Newest = []policy.Look{{Metric: corev1.ResourceCPU, Window: time.Second, Noise: n, NoiseKnown: true, Spike: spike, Usage: w.sample(now, time.Second)}}
		}
	}
	d := policy.Decide(in)
	w.state = &d.State
	w.scale(now, int(d.Desired))
}

// describe is a pod as the API would show it.
func (w *world) describe(p *pod, now time.Time) cluster.Pod {
	out := cluster.Pod{Name: p.name, Phase: corev1.PodRunning, Ready: corev1.ConditionTrue, ReadyTransition: p.ready, StartTime: p.start,
		Containers: []cluster.Container{{Name: "c", Requests: cluster.Resources{{Name: corev1.ResourceCPU, Milli: cluster.MilliOfFloat(Request)}}}}}
	if p.ready.After(now) {
		out.Ready, out.ReadyTransition = corev1.ConditionFalse, p.start
	}
	return out
}

// looks are those of every second, with their noise.
func (w *world) looks(now time.Time) (out []policy.Look) {
	for _, n := range w.history.Noise(now) {
		out = append(out, policy.Look{Metric: corev1.ResourceCPU, Window: n.Window, Noise: n.StdErr, NoiseKnown: n.Known, Usage: w.sample(now, n.Window)})
	}
	return out
}

// sample is each pod's mean over the last window, or over its life if that is shorter.
func (w *world) sample(now time.Time, window time.Duration) (out []cluster.PodUsage) {
	for _, p := range w.pods {
		n := min(len(p.used), int(window/time.Second))
		if n == 0 {
			continue
		}
		sum := 0.0
		for _, x := range p.used[len(p.used)-n:] {
			sum += x
		}
		milli := cluster.Milli(math.Round(sum / float64(n) * 1000))
		out = append(out, cluster.PodUsage{Pod: p.name, Timestamp: now, Window: time.Duration(n) * time.Second,
			Containers: []cluster.ContainerUsage{{Name: "c", Usage: cluster.Resources{{Name: corev1.ResourceCPU, Milli: milli}}}}})
	}
	return out
}
