package policy

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// benchTime is the time of the benchmarks' passes.
var benchTime = time.Date(2026, 1, 1, 0, 10, 0, 0, time.UTC)

// tenPods is a target of n ready pods of 500m CPU at a load of percent of their request, with usage, seven looks and the
// memory of a target that was seen for long.
func tenPods(n, percent int) Input {
	p, err := Compile(Spec{MaxReplicas: int32(2 * n)})
	if err != nil {
		panic(err) // the specification is this file's own
	}
	in := Input{Now: benchTime, Policy: p, Options: DefaultOptions(), Target: Target{SpecReplicas: cluster.DesiredReplicas(n), StatusReplicas: cluster.ObservedReplicas(n)}}
	for i := range n {
		in.Pods = append(in.Pods, cluster.Pod{
			Name: fmt.Sprintf("web-%d", i), Phase: corev1.PodRunning, Ready: corev1.ConditionTrue,
			StartTime: benchTime.Add(-time.Hour), ReadyTransition: benchTime.Add(-time.Hour),
			Containers: []cluster.Container{{Name: "c", Requests: cluster.Resources{{Name: corev1.ResourceCPU, Milli: 500}, {Name: corev1.ResourceMemory, Milli: 64 << 30}}}},
		})
	}
	for _, w := range Windows(DefaultWindow, DefaultStableWindow) {
		in.Looks = append(in.Looks, Look{Metric: corev1.ResourceCPU, Window: w, Noise: 0.2, NoiseKnown: true, Usage: usageOf(in.Pods, w, percent)})
	}
	in.Usage = usageOf(in.Pods, 15*time.Second, percent)
	in.State = &State{}
	for i := range 20 {
		in.State.Recommendations = append(in.State.Recommendations, Recommendation{At: benchTime.Add(-time.Duration(20-i) * 15 * time.Second), Replicas: cluster.DesiredReplicas(n)})
	}
	return in
}

// usageOf is a sample of each pod at a load of percent of 500m.
func usageOf(pods []cluster.Pod, window time.Duration, percent int) (out []cluster.PodUsage) {
	for i := range pods {
		out = append(out, cluster.PodUsage{Pod: pods[i].Name, Timestamp: benchTime.Add(-time.Second), Window: window,
			Containers: []cluster.ContainerUsage{{Name: "c", Usage: cluster.Resources{{Name: corev1.ResourceCPU, Milli: cluster.Milli(5 * percent)}, {Name: corev1.ResourceMemory, Milli: 20 << 30}}}}})
	}
	return out
}

// cpuTime is what this process has used so far, the collection of garbage included.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkDecide10Pods measures whole decisions, message included, for a target of ten pods: with seven looks and
// nothing to do, with seven looks and a step to answer, and in the HPA's way. It counts CPU seconds, so that other work
// on the machine does not matter: decisions/cpu-s is what one core can do.
func BenchmarkDecide10Pods(b *testing.B) {
	for _, c := range []struct {
		name    string
		percent int
		compat  Compat
	}{{"looks-hold", 78, ""}, {"looks-up", 160, ""}, {"looks-down", 30, ""}, {"hpa-hold", 78, CompatHPA}, {"hpa-up", 160, CompatHPA}} {
		b.Run(c.name, func(b *testing.B) {
			in := tenPods(10, c.percent)
			in.Options.Compat = c.compat
			b.ReportAllocs()
			begin := cpuTime(b)
			for b.Loop() {
				Decide(in)
			}
			b.ReportMetric(float64(b.N)/(cpuTime(b)-begin).Seconds(), "decisions/cpu-s")
		})
	}
}
