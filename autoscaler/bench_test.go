package autoscaler

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// BenchmarkPass is one pass over a target of ten pods, with a fake observer: looks, decision, status.
func BenchmarkPass(b *testing.B) {
	w := newWorld(10, func(time.Duration) float64 { return 3.5 })
	l, err := New(Options{Node: "n1", Observer: w, Inventory: w, Scaler: w, Policies: []Policy{compiled(b, plain)}})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now().Add(-2 * time.Hour)
	for _, p := range w.pods {
		p.start = now.Add(-time.Hour)
	}
	target := l.targets[web]
	step := func() {
		now = now.Add(time.Second)
		for _, p := range w.pods {
			p.samples = append(p.samples, sample{now, 0.35})
			if len(p.samples) > 100 {
				p.samples = p.samples[1:]
			}
		}
		l.pass(b.Context(), target, now, now)
	}
	for range 300 {
		step()
	}
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
	if s := l.Scaled(now)[0]; s.Last.Reason != "AtTarget" && s.Last.Reason != "WithinTolerance" {
		b.Fatalf("last decision: %+v", s.Last)
	}
}

// fleet is a fake of many targets, of ten pods each, that costs nearly nothing itself.
type fleet struct {
	pods []*cluster.Pod
}

func newFleet() fleet {
	var f fleet
	for i := range 10 {
		f.pods = append(f.pods, &cluster.Pod{Name: fmt.Sprintf("web-%d", i), Phase: corev1.PodRunning, Ready: corev1.ConditionTrue,
			StartTime: time.Now().Add(-time.Hour), ReadyTransition: time.Now().Add(-time.Hour),
			Containers: []cluster.Container{{Name: "web", Requests: cluster.Resources{{Name: corev1.ResourceCPU, Milli: 500}}}}})
	}
	return f
}

func (f fleet) Usage(now time.Time, pods []*cluster.Pod, name corev1.ResourceName, d time.Duration) []cluster.PodUsage {
	out := make([]cluster.PodUsage, len(pods))
	for i, p := range pods {
		out[i] = cluster.PodUsage{Pod: p.Name, Timestamp: now, Window: d, Containers: []cluster.ContainerUsage{{Name: "web",
			Usage: cluster.Resources{{Name: name, Milli: 350 + cluster.Milli(now.UnixNano()>>20%11)}}}}}
	}
	return out
}

func (f fleet) Gap(time.Time, *cluster.Pod) (string, time.Time) { return "", time.Time{} }
func (f fleet) All() []*cluster.Pod                             { return f.pods }
func (f fleet) Pods(cluster.Target) ([]*cluster.Pod, error)     { return f.pods, nil }
func (f fleet) Scale(context.Context, cluster.Target) (Scale, error) {
	return Scale{Desired: 10, Observed: 10}, nil
}
func (f fleet) SetScale(context.Context, cluster.Target, cluster.DesiredReplicas, cluster.DesiredReplicas) error {
	return nil
}

// BenchmarkThousand lets a loop look after 1,000 targets each second, in real time; what counts is the share of a core.
func BenchmarkThousand(b *testing.B) {
	f := newFleet()
	l, err := New(Options{Node: "n1", Observer: f, Inventory: f, Scaler: f, Log: &memory{}, Policies: others(b, 999, plain)})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	time.Sleep(70 * time.Second) // all windows are there
	before, began := cpuTime(b), time.Now()
	for b.Loop() {
		time.Sleep(time.Second)
	}
	b.ReportMetric((cpuTime(b)-before).Seconds()/time.Since(began).Seconds(), "cores")
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
