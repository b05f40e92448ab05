// Package hpa holds the brain against the HPA controller of Kubernetes: worlds drawn at random are put before both, pass after
// pass, and what they do with them must be the same. It is a module of its own because of what the controller drags in.
package hpa

import (
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// passes is how many passes each world is followed for, each a sync period after the one before.
const passes = 8

// outcome is what a pass did, as both tell it.
type outcome struct {
	Replicas   int32
	Conditions map[string]string
	Metrics    []string // utilization, average, value
	Rescale    string   // why the count was changed
}

// TestSameAsController: PLIMSOLL_TEST_WORLDS says how many worlds (3000), PLIMSOLL_TEST_SEED which (1).
func TestSameAsController(t *testing.T) {
	worlds, seed := number(t, "PLIMSOLL_TEST_WORLDS", 3000), number(t, "PLIMSOLL_TEST_SEED", 1)
	seen := map[string]int{}
	for i := range worlds {
		synctest.Test(t, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("seed %d, world %d", seed, i) // the first shows enough
				}
			}()
			r := rand.New(rand.NewPCG(uint64(seed), uint64(i)))
			w := newWorld(r)
			sync := time.Duration(pick(r, 0.7, 1, 5, 15, 15, 15, 60, 299, 300) * float64(time.Second))
			follow(t, w, sync, passes, func(_ int, at time.Time) { w.change(at) }, seen)
		})
	}
	t.Log(seen)
	// A generator that has gone lame compares nothing.
	for _, word := range []string{"Up CPUAboveTarget", "Up FromZero", "Up CurrentBelowMin", "Down AllMetricsBelowTarget", "Down CurrentAboveMax", "Hold ScalingDisabled", "Hold FailedGetScale", "Hold ScaleUpStabilized", "Hold ScaleDownStabilized",
		"Hold WithinTolerance", "Hold GapsInTheWay", "Hold FailedGetResourceMetric", "Hold FailedGetContainerResourceMetric", "Hold FailedGetPodsMetric", "Hold FailedGetObjectMetric", "Hold FailedGetExternalMetric"} {
		if worlds >= 3000 && seen[word] == 0 {
			t.Errorf("no pass ended with %s", word)
		}
	}
}

// follow takes one world through the controller and the brain, and changes it before each pass.
func follow(t *testing.T, w *world, sync time.Duration, passes int, change func(pass int, at time.Time), seen map[string]int) {
	at := time.Now()
	change(0, at)
	var state *policy.State
	var c *controller
	defer func() {
		if c != nil {
			c.end()
		}
	}()
	for pass := range passes {
		in := w.input(t, at, state)
		d := policy.Decide(in)
		if pass%4 == 0 { // writing and reading takes longer than deciding
			w.checkCase(t, at, state, &d)
		}
		w.forget()
		before := w.scale.Spec.Replicas
		if c == nil {
			c = start(t, w, sync) // from here on the world is the controller's, until all is still
		} else {
			c.rescale = ""
			c.refresh(t)
		}
		time.Sleep(time.Until(at) + time.Millisecond)
		synctest.Wait()
		if diff := cmp.Diff(c.outcome(before), ours(d)); diff != "" {
			t.Errorf("pass %d at %s: the controller (-) and the brain (+) differ:\n%s\n%s\ninput: %+v", pass, at, diff, d.Message, in)
			return
		}
		seen[string(d.Action)+" "+string(d.Reason)]++
		w.counts = append(w.counts, w.scale.Spec.Replicas)
		state = &d.State
		at = at.Add(sync)
		change(pass+1, at)
	}
}

// outcome is what the controller's newest pass left in the world, in which there were so many replicas before.
func (c *controller) outcome(before int32) outcome {
	o := outcome{Replicas: c.w.scale.Spec.Replicas, Conditions: map[string]string{}, Rescale: c.rescale}
	for _, k := range c.w.hpa.Status.Conditions {
		o.Conditions[string(k.Type)] = string(k.Status) + " " + k.Reason
	}
	if c.w.hidden {
		return o // the metrics in the status are those of an earlier pass
	}
	for _, m := range c.w.hpa.Status.CurrentMetrics {
		o.Metrics = append(o.Metrics, currentOf(m, c.w.scale.Status.Replicas))
	}
	switch rose := o.Replicas > before; {
	case before == 0 && (o.Rescale == "" && rose || o.Rescale == "Current number of replicas below Spec.MinReplicas"):
		o.Rescale = fromZero
	case strings.HasSuffix(o.Rescale, " above target"):
		o.Rescale = "above target"
	case rose && (o.Rescale == "" || o.Rescale == "All metrics below target"):
		o.Rescale = remembered
	}
	return o
}

// currentOf is what the status says of one metric, "failed" for one of which it says nothing.
func currentOf(m autoscalingv2.MetricStatus, replicas int32) string {
	var v autoscalingv2.MetricValueStatus
	switch {
	case m.Resource != nil:
		v = m.Resource.Current
	case m.ContainerResource != nil:
		v = m.ContainerResource.Current
	case m.Pods != nil:
		v = m.Pods.Current
	case m.Object != nil:
		v = m.Object.Current
	case m.External != nil:
		v = m.External.Current
	default:
		return "failed"
	}
	var utilization string
	if v.AverageUtilization != nil {
		utilization = strconv.Itoa(int(*v.AverageUtilization))
	}
	// An average over no replicas is not a number in the controller's status; the brain leaves it out.
	none := (m.Object != nil || m.External != nil) && replicas == 0 && v.AverageValue != nil && v.AverageValue.MilliValue() == math.MinInt64
	var average, value policy.Amount
	if v.AverageValue != nil && !none {
		average = policy.Amount{Milli: cluster.Milli(v.AverageValue.MilliValue()), Known: true}
	}
	if v.Value != nil {
		value = policy.Amount{Milli: cluster.Milli(v.Value.MilliValue()), Known: true}
	}
	return reading(utilization, average, value)
}

func reading(utilization string, average, value policy.Amount) string {
	out := utilization + "%"
	for _, a := range []policy.Amount{average, value} {
		if out += ", "; a.Known {
			out += strconv.FormatInt(int64(a.Milli), 10)
		}
	}
	return out
}

// ours is what the brain decided, in the controller's words.
func ours(d policy.Decision) outcome {
	o := outcome{Replicas: int32(d.Desired), Conditions: map[string]string{}}
	for _, c := range d.Conditions {
		o.Conditions[c.Type] = c.Status + " " + string(c.Reason)
	}
	for _, m := range d.Metrics {
		if m.Error != "" {
			o.Metrics = append(o.Metrics, "failed")
			continue
		}
		var utilization string
		if m.Utilization.Known {
			utilization = strconv.Itoa(int(m.Utilization.N))
		}
		o.Metrics = append(o.Metrics, reading(utilization, m.AverageValue, m.Value))
	}
	if d.Action != policy.Hold {
		o.Rescale = rescale(d.Reason)
	}
	return o
}

// Two reasons for a count that goes up although the load does not ask for it. The controller then gives none, or says of the first
// that all metrics are below target, and of the second that the count is below the minimum.
const (
	remembered = "an earlier recommendation"
	fromZero   = "back from zero"
)

// rescale is the reason that the controller's event gives for a change.
func rescale(why policy.Reason) string {
	switch why {
	case policy.AllBelowTarget:
		return "All metrics below target"
	case policy.CurrentAboveMax:
		return "Current number of replicas above Spec.MaxReplicas"
	case policy.CurrentBelowMin:
		return "Current number of replicas below Spec.MinReplicas"
	case policy.FromZero:
		return fromZero
	case policy.HighestRecent:
		return remembered
	}
	return "above target"
}

// number reads a setting of the test.
func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s %q is not a whole number", variable, text)
	}
	return n
}
