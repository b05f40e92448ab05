// Package sim runs the brain in a closed loop against simulated services, in simulated seconds: it says how fast a step is
// answered and how many pods a steady load keeps, for Plimsoll's rule and for the HPA's at its usual 15 seconds.
//
// A service is a compound Poisson process: requests arrive at random, each needs CPU time drawn from a gamma distribution,
// and what a pod cannot do in a second (its limit) waits. The load is shared evenly among the ready pods.
package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

const (
	// Request is what each pod asks for, in cores.
	Request = 0.5
	// Limit is what each pod can use, in cores.
	Limit = 1.0
	// Target is the load that is asked for, in percent of the request.
	Target = 70
	// shape is that of the gamma distribution of service times.
	shape = 2.0
	// tick is one step of the simulation.
	tick = time.Second
)

// Service is what is simulated.
type Service struct {
	Mean  time.Duration // CPU time of one request, on average
	Pods  int           // that carry the load at its base exactly at the target
	Ready time.Duration // from asking for a pod until it works
	Load  func(t time.Duration) float64
}

// Rule is who decides.
type Rule struct {
	Name   string
	Every  time.Duration // between two decisions
	Scrape time.Duration // between two samples of the metrics API; 0: looks of every second
	Compat policy.Compat
}

// The two rules that are compared.
var (
	Plimsoll = Rule{Name: "plimsoll", Every: time.Second}
	Stock    = Rule{Name: "stock HPA", Every: 15 * time.Second, Scrape: 15 * time.Second, Compat: policy.CompatHPA}
)

// Outcome is what one run gave.
type Outcome struct {
	Desired []int     // replicas asked for, by second
	Ideal   []float64 // replicas that the true load would need, not rounded, by second
	Over    int       // seconds in which the true load was above the ready pods' requests
	Changes int       // decisions that changed the count
}

// pod is one simulated pod.
type pod struct {
	name  string
	start time.Time
	ready time.Time
	used  []float64 // core-seconds by second since start
}

// world is one run.
type world struct {
	svc     Service
	rule    Rule
	rng     *rand.Rand
	policy  *policy.Policy
	options policy.Options
	begin   time.Time
	pods    []*pod
	born    int
	queue   float64 // core-seconds that wait
	state   *policy.State
	history *policy.History
	usage   []cluster.PodUsage // of the last scrape
	// scrapePhase and passPhase are when scrapes and passes come, which have no relation with each other or the step.
	scrapePhase, passPhase time.Duration
}

// Run simulates a service under a rule for a time, after a minute of warming up that is not in the outcome.
func Run(svc Service, rule Rule, length time.Duration, seed uint64) (Outcome, error) {
	w, err := newWorld(svc, rule, seed)
	if err != nil {
		return Outcome{}, err
	}
	var out Outcome
	for t := -warm; t < length; t += tick {
		now := w.begin.Add(warm + t)
		true_ := svc.Load(t) * float64(svc.Pods) * Request * Target / 100
		w.work(now, true_)
		before := len(w.pods)
		w.decide(now, t)
		if t < 0 {
			continue
		}
		if len(w.pods) != before {
			out.Changes++
		}
		out.Desired = append(out.Desired, len(w.pods))
		out.Ideal = append(out.Ideal, true_/(Request*Target/100))
		if true_ > float64(w.ready(now))*Request {
			out.Over++
		}
	}
	return out, nil
}

// warm is long enough for the noise to be known and the memory to be full.
const warm = 6 * time.Minute

func newWorld(svc Service, rule Rule, seed uint64) (*world, error) {
	percent := int32(Target)
	p, err := policy.Compile(policy.Spec{MaxReplicas: int32(20 * svc.Pods), Metrics: []autoscalingv2.MetricSpec{{
		Type: autoscalingv2.ResourceMetricSourceType,
		Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU,
			Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &percent}},
	}}})
	if err != nil {
		return nil, fmt.Errorf("cannot compile the policy: %w", err)
	}
	w := &world{svc: svc, rule: rule, rng: rand.New(rand.NewPCG(seed, 7)), policy: p, options: policy.DefaultOptions(),
		begin:   time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		history: policy.NewHistory(policy.Windows(p.Window(), p.StableWindow()))}
	w.options.Compat = rule.Compat
	w.scrapePhase, w.passPhase = time.Duration(w.rng.IntN(15))*time.Second, time.Duration(w.rng.IntN(15))*time.Second
	for range svc.Pods {
		w.add(w.begin.Add(-time.Hour), 0)
	}
	return w, nil
}

// add starts a pod.
func (w *world) add(now time.Time, ready time.Duration) {
	w.born++
	w.pods = append(w.pods, &pod{name: fmt.Sprintf("pod-%d", w.born), start: now, ready: now.Add(ready)})
}

// ready counts the pods that work.
func (w *world) ready(now time.Time) (n int) {
	for _, p := range w.pods {
		if !p.ready.After(now) {
			n++
		}
	}
	return n
}

// work lets one second pass that ends at now, with a load of cores.
func (w *world) work(now time.Time, cores float64) {
	mean := w.svc.Mean.Seconds()
	for range w.poisson(cores / mean) {
		w.queue += w.gamma(shape) * mean / shape
	}
	n := w.ready(now)
	done := math.Min(w.queue, float64(n)*Limit)
	w.queue -= done
	for _, p := range w.pods {
		x := 0.0
		if !p.ready.After(now) && n > 0 {
			x = done / float64(n)
		}
		p.used = append(p.used, x)
	}
	w.history.Add(now, done)
}

// scale makes the number of pods what was decided: the newest go first.
func (w *world) scale(now time.Time, to int) {
	for len(w.pods) < to {
		w.add(now, w.svc.Ready)
	}
	w.pods = w.pods[:max(to, 1)]
}
