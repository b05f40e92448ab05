package policy

import (
	"math"
	"slices"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"plimsoll.dev/plimsoll/autoscaler/policy/cron"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// Defaults of a Spec.
const (
	DefaultWindow       = 3 * time.Second
	DefaultStableWindow = 60 * time.Second
	DefaultConfidence   = 4.0
	DefaultMin          = 1
	DefaultCPU          = 80 // percent of request, when there are no metrics
)

// Policy is a Spec that was checked, with defaults filled in and quantities turned into integers. It does not change
// and may be shared. Only Compile makes one.
type Policy struct {
	min, max       cluster.DesiredReplicas
	mode           Mode
	raiseOnly      bool
	window, stable time.Duration
	confidence     float64
	tolerance      *float64 // nil: that of the options
	metrics        []metric
	behavior       *behavior
	schedules      []schedule
	toZero         bool // has an Object or External metric
}

// metric is one entry of spec.metrics.
type metric struct {
	source    autoscalingv2.MetricSourceType
	name      string
	container string
	selector  string                                     // of the metric's series; "" for all
	object    string                                     // that an Object metric describes, as objectOf has it
	described *autoscalingv2.CrossVersionObjectReference // the same as it was given
	broken    string                                     // why it can never be evaluated, although the API server accepts it; "" if it can
	target    autoscalingv2.MetricTargetType
	percent   int32         // Utilization
	milli     cluster.Milli // Value, AverageValue
}

// byPod says whether the metric is of what pods use of a resource.
func (m *metric) byPod() bool {
	return m.source == autoscalingv2.ResourceMetricSourceType || m.source == autoscalingv2.ContainerResourceMetricSourceType
}

// resource is the metric's name as a resource's.
func (m *metric) resource() corev1.ResourceName { return corev1.ResourceName(m.name) }

// behavior is spec.behavior with its defaults.
type behavior struct{ up, down rules }

// rules are those of one direction.
type rules struct {
	window    time.Duration // negative: that of the options
	tolerance *float64
	policies  []ratePolicy
	choose    autoscalingv2.ScalingPolicySelect
	longest   time.Duration // the longest period
}

// ratePolicy is one speed limit.
type ratePolicy struct {
	percent bool
	value   int32
	period  time.Duration
}

// schedule is one entry of spec.schedules.
type schedule struct {
	start, end cron.Line
	zone       *time.Location
	min, max   *cluster.DesiredReplicas
	text       string
}

// Min is the fewest replicas, schedules aside.
func (p *Policy) Min() cluster.DesiredReplicas { return p.min }

// Max is the most replicas, schedules aside.
func (p *Policy) Max() cluster.DesiredReplicas { return p.max }

// Mode says what becomes of decisions.
func (p *Policy) Mode() Mode { return p.mode }

// Window is the shortest window that a decision to grow may rest on.
func (p *Policy) Window() time.Duration { return p.window }

// StableWindow is the longest window, which a decision to shrink rests on.
func (p *Policy) StableWindow() time.Duration { return p.stable }

// Utilizations are the loads that the policy keeps as shares of requests.
func (p *Policy) Utilizations() []cluster.Utilization {
	var out []cluster.Utilization
	for i := range p.metrics {
		if m := &p.metrics[i]; m.target == autoscalingv2.UtilizationMetricType {
			out = append(out, cluster.Utilization{Resource: m.resource(), Container: m.container, Share: float64(m.percent) / 100})
		}
	}
	return out
}

// Resources are the resources that the policy's metrics need usage for, each once.
func (p *Policy) Resources() []corev1.ResourceName {
	var out []corev1.ResourceName
	for i := range p.metrics {
		m := &p.metrics[i]
		if m.byPod() && !slices.Contains(out, m.resource()) {
			out = append(out, m.resource())
		}
	}
	return out
}

// Compile checks a specification. Its errors are *FieldError and name the field and the value.
func Compile(s Spec) (*Policy, error) {
	p := &Policy{min: DefaultMin, max: cluster.DesiredReplicas(s.MaxReplicas), mode: s.Mode, raiseOnly: s.RaiseOnly, window: DefaultWindow, stable: DefaultStableWindow, confidence: DefaultConfidence}
	if s.MinReplicas != nil {
		p.min = cluster.DesiredReplicas(*s.MinReplicas)
	}
	if p.mode == "" {
		p.mode = Auto
	}
	if s.Window != nil {
		p.window = s.Window.Duration
	}
	if s.StableWindow != nil {
		p.stable = s.StableWindow.Duration
	} else if p.stable < p.window {
		p.stable = p.window
	}
	if s.Confidence != nil {
		p.confidence = *s.Confidence
	}
	var err error
	if p.metrics, err = compileMetrics(s.Metrics); err != nil {
		return nil, err
	}
	p.toZero = hasWhole(p.metrics)
	if err := p.checkScalars(&s); err != nil {
		return nil, err
	}
	if p.tolerance, err = compileTolerance("tolerance", s.Tolerance); err != nil {
		return nil, err
	}
	if p.behavior, err = compileBehavior(s.Behavior); err != nil {
		return nil, err
	}
	if p.schedules, err = p.compileSchedules(s.Schedules); err != nil {
		return nil, err
	}
	return p, nil
}

// checkScalars checks the fields that stand alone.
func (p *Policy) checkScalars(s *Spec) error {
	switch {
	case p.min < 0:
		return fieldErr("minReplicas", p.min, "must not be negative")
	case p.min == 0 && !p.toZero:
		return fieldErr("minReplicas", p.min, "needs a metric of type Object or External, which can be seen without pods; set at least 1")
	case p.max < 1:
		return fieldErr("maxReplicas", p.max, "must be at least 1")
	case p.max < p.min:
		return fieldErr("maxReplicas", p.max, "must be at least minReplicas, which is %d", p.min)
	case p.mode != Auto && p.mode != DryRun && p.mode != Paused:
		return fieldErr("mode", p.mode, "must be Auto, DryRun or Paused")
	case p.window < time.Second:
		return fieldErr("window", p.window, "must be at least 1s")
	case p.window > MaxStableWindow:
		return fieldErr("window", p.window, "must be at most %s", MaxStableWindow)
	case p.stable < p.window:
		return fieldErr("stableWindow", p.stable, "must be at least window, which is %s", p.window)
	case p.stable > MaxStableWindow:
		return fieldErr("stableWindow", p.stable, "must be at most %s", MaxStableWindow)
	case !(p.confidence >= 0) || p.confidence > 100:
		return fieldErr("confidence", p.confidence, "must be a number from 0 to 100 (standard errors)")
	case s.Forecast != nil:
		return fieldErr("forecast", "", "is reserved for a later version: leave it out")
	}
	return nil
}

// compileTolerance checks a tolerance and turns it into a float as the HPA does.
func compileTolerance(field string, q *resource.Quantity) (*float64, error) {
	if q == nil {
		return nil, nil
	}
	f := q.AsApproximateFloat64()
	if !(f >= 0) || math.IsInf(f, 0) {
		return nil, fieldErr(field, q.String(), "must be a ratio of at least 0, such as 0.1")
	}
	return &f, nil
}
