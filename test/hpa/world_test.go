package hpa

import (
	"fmt"
	"math/rand/v2"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	custom "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	external "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"
	metrics "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
)

// world is all that one pass of the controller reads, and what it writes.
type world struct {
	r        *rand.Rand
	weird    bool           // its pods are in every state there is, else well
	exact    bool           // its loads lie on the edges of the tolerance
	edited   bool           // somebody edits its behavior all the time
	edge     bool           // its numbers lie on the edges of integers
	begin    time.Time      // of the first pass
	flags    policy.Options // of the controller
	written  autoscalingv2.HorizontalPodAutoscalerSpec
	hpa      *autoscalingv2.HorizontalPodAutoscaler // what was written, with defaults, and the controller's status
	scale    *autoscalingv1.Scale
	pods     []*corev1.Pod
	usage    []metrics.PodMetrics
	custom   map[series][]custom.MetricValue
	object   map[series]custom.MetricValue
	external map[series][]external.ExternalMetricValue
	errs     policy.Errors
	hidden   bool    // its scale cannot be read
	counts   []int32 // that the controller left after each pass
}

// series is what the custom and external APIs are asked for.
type series struct{ metric, selector, object string }

func seriesOf(id autoscalingv2.MetricIdentifier, of *autoscalingv2.CrossVersionObjectReference) series {
	s := series{metric: id.Name}
	if id.Selector != nil {
		s.selector = metav1.FormatLabelSelector(id.Selector)
	}
	if of != nil {
		s.object = of.Kind + "/" + of.Name
	}
	return s
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }
func (w *world) one(in int) bool          { return w.r.IntN(in) == 0 }

// newWorld draws an HPA and a target; draw fills in the rest.
func newWorld(r *rand.Rand) *world {
	w := &world{r: r, weird: r.IntN(3) == 0, exact: r.IntN(4) == 0, edge: r.IntN(6) == 0, edited: r.IntN(6) == 0, begin: time.Now()}
	w.flags = policy.DefaultOptions()
	w.flags.Compat = policy.CompatHPA
	if w.one(3) {
		w.flags.Tolerance = pick(r, 0, 0.05, 0.25)
		w.flags.DownscaleStabilization = pick(r, 0, 500*time.Millisecond, time.Second, 1500*time.Millisecond, 15400*time.Millisecond, time.Minute)
		w.flags.CPUInitializationPeriod = pick(r, 0, 30*time.Second, time.Minute)
		w.flags.InitialReadinessDelay = pick(r, 0, 10*time.Second, time.Minute)
	}
	w.scale = &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}}
	w.scale.Spec.Replicas = int32(r.IntN(10))
	w.scale.Status = autoscalingv1.ScaleStatus{Replicas: w.scale.Spec.Replicas, Selector: "app=web"}
	w.drawHPA()
	return w
}

// change draws what the world looks like at the next pass.
func (w *world) change(at time.Time) {
	w.scale.Status.Replicas = w.scale.Spec.Replicas
	if w.one(4) {
		w.scale.Status.Replicas = int32(w.r.IntN(12))
	}
	if w.one(15) {
		w.scale.Spec.Replicas = int32(w.r.IntN(12)) // somebody else's hand
	}
	if w.one(20) || w.scale.Spec.Replicas == 0 && w.one(4) {
		w.limits()
	}
	if w.one(10) || w.edited && w.one(2) {
		w.behave()
	}
	w.hidden = w.one(25) || at.Equal(w.begin) && w.one(5)
	w.errs = policy.Errors{}
	for _, e := range []*string{&w.errs.Usage, &w.errs.PodsMetrics, &w.errs.ObjectMetrics, &w.errs.ExternalMetrics} {
		if w.one(15) {
			*e = "the server is on fire"
		}
	}
	w.drawPods(at.Truncate(time.Second)) // what is written down knows whole seconds
	w.drawMetrics(at.Truncate(time.Second))
}

// drawPods draws the pods and their usage.
func (w *world) drawPods(at time.Time) {
	w.pods, w.usage = nil, nil
	n := int(min(w.scale.Spec.Replicas, 300))
	if w.one(5) {
		n = w.r.IntN(14)
	}
	hot := pick(w.r, 0.1, 0.3, 0.5, 0.8, 1, 1.2, 1.5, 2, 3)
	for i := range n {
		p := w.drawPod(fmt.Sprintf("p%d", i), at)
		w.pods = append(w.pods, p)
		if !w.one(9) || !w.weird && !w.one(4) {
			w.usage = append(w.usage, w.drawUsage(p, hot, at))
		}
	}
	if w.weird && w.one(10) {
		w.usage = append(w.usage, metrics.PodMetrics{
			ObjectMeta: metav1.ObjectMeta{Name: "stranger", Namespace: namespace}, Timestamp: metav1.Time{Time: at}, Window: metav1.Duration{Duration: 15 * time.Second},
			Containers: []metrics.ContainerMetrics{{Name: "c", Usage: amounts("222m", "9Mi")}},
		})
	}
	w.r.Shuffle(len(w.usage), func(i, j int) { w.usage[i], w.usage[j] = w.usage[j], w.usage[i] })
}

func (w *world) drawPod(name string, at time.Time) *corev1.Pod {
	ago := func(seconds int) metav1.Time { return metav1.Time{Time: at.Add(-time.Duration(seconds) * time.Second)} }
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{"app": "web"}}}
	p.Status.Phase = corev1.PodRunning
	started := 3600
	if w.weird || w.one(4) {
		started = pick(w.r, 3600, 301, 300, 299, 60, 31, 20)
	}
	start := ago(started)
	p.Status.StartTime = &start
	ready := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: ago(started - pick(w.r, 0, 5, 10, 29, 30, 31, 40))}
	if w.one(6) {
		ready.LastTransitionTime = ago(pick(w.r, 5, 15, 25, 34, 35, 36))
	}
	p.Status.Conditions = []corev1.PodCondition{ready}
	w.drawRequests(p)
	if !w.weird {
		return p
	}
	p.Status.Conditions[0].Status = pick(w.r, corev1.ConditionTrue, corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown)
	p.Status.Phase = pick(w.r, corev1.PodRunning, corev1.PodRunning, corev1.PodRunning, corev1.PodPending, corev1.PodFailed, corev1.PodSucceeded, corev1.PodUnknown)
	if w.one(12) {
		p.Status.Conditions = nil
	}
	if w.one(12) {
		p.Status.StartTime = nil
	}
	if w.one(12) {
		p.DeletionTimestamp = &metav1.Time{Time: at}
	}
	return p
}

// drawRequests gives a pod its containers: one and, in a weird world, a second one, a sidecar, an init container, requests of
// the pod's own, and now and then none or nothing.
func (w *world) drawRequests(p *corev1.Pod) {
	container := func(name string, of corev1.ResourceList) corev1.Container {
		return corev1.Container{Name: name, Resources: corev1.ResourceRequirements{Requests: of}}
	}
	main := amounts("100m", "100Mi")
	if !w.exact {
		main = pick(w.r, main, main, amounts("250m", "64Mi"), amounts("1", "1Gi"), amounts("0.0001", "1Ki"))
	}
	if w.weird && w.one(30) {
		main = pick(w.r, nil, amounts("0", "0"), corev1.ResourceList{"memory": resource.MustParse("10Mi")})
	}
	p.Spec.Containers = []corev1.Container{container("c", main)}
	if !w.weird {
		return
	}
	if w.one(4) {
		p.Spec.Overhead = amounts("120m", "20Mi")
		if w.one(3) {
			p.Spec.Overhead = corev1.ResourceList{"cpu": resource.MustParse("50m")}
		}
	}
	if w.one(4) {
		p.Spec.Containers = append(p.Spec.Containers, container("d", amounts("30m", "7Mi")))
	}
	if w.one(5) {
		always := corev1.ContainerRestartPolicyAlways
		sidecar := container("s", amounts("10m", "7Mi"))
		sidecar.RestartPolicy = &always
		p.Spec.InitContainers = append(p.Spec.InitContainers, sidecar)
	}
	if w.one(5) {
		p.Spec.InitContainers = append(p.Spec.InitContainers, container("i", amounts("900m", "1Mi")))
	}
	if w.one(8) {
		text := pick(w.r, [2]string{"cpu", "700m"}, [2]string{"memory", "200Mi"}, [2]string{"hugepages-2Mi", "2Mi"}, [2]string{"example.com/disk", "2"})
		p.Spec.Resources = &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceName(text[0]): resource.MustParse(text[1])}}
	}
}

// drawUsage draws a sample of a pod: about hot times what it asks for.
func (w *world) drawUsage(p *corev1.Pod, hot float64, at time.Time) metrics.PodMetrics {
	u := metrics.PodMetrics{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: namespace}}
	u.Timestamp = metav1.Time{Time: at.Add(-time.Duration(pick(w.r, 0, 5, 15, 30)) * time.Second)}
	u.Window = metav1.Duration{Duration: time.Duration(pick(w.r, 10, 15, 30)) * time.Second}
	for _, c := range p.Spec.Containers {
		if c.Name != "c" && w.one(5) {
			continue
		}
		milli := c.Resources.Requests.Cpu().AsApproximateFloat64() * 1e9 * hot * (0.5 + w.r.Float64())
		bytes := c.Resources.Requests.Memory().AsApproximateFloat64() * hot * (0.7 + 0.6*w.r.Float64())
		if w.exact {
			milli, bytes = 1e8*pick(w.r, 0.45, 0.5, 0.54, 0.55, 0.56, 0.9, 1.1), float64(100<<20)*pick(w.r, 0.9, 1, 1.1)
		}
		u.Containers = append(u.Containers, metrics.ContainerMetrics{Name: c.Name, Usage: amounts(fmt.Sprintf("%dn", int64(milli)), fmt.Sprint(int64(bytes)))})
	}
	switch {
	case w.weird && w.one(30):
		u.Containers[0].Usage = corev1.ResourceList{"memory": resource.MustParse("5Mi")}
	case w.weird && w.one(40):
		u.Containers = nil
	case w.one(100):
		u.Containers[0].Usage = amounts("1k", "1Gi")
	case w.edge && w.one(6): // beyond what a count, a percentage or a sum has room for
		u.Containers[0].Usage = amounts(pick(w.r, "1", "3G", "90T"), pick(w.r, "30T", "100T", "5000T"))
	}
	return u
}

// drawMetrics draws the values of the metrics that are not resources.
func (w *world) drawMetrics(at time.Time) {
	w.custom, w.object, w.external = map[series][]custom.MetricValue{}, map[series]custom.MetricValue{}, map[series][]external.ExternalMetricValue{}
	hot := pick(w.r, 0, 0.1, 0.45, 0.5, 0.55, 0.9, 1, 1.1, 1.2, 3)
	whole := func() resource.Quantity {
		switch {
		case w.edge && w.one(3): // the controller's count wraps round, and its sums
			return resource.MustParse(pick(w.r, "1e15", "9e15", "3e9", "65e9", "-9e15", "-3e9"))
		case w.one(60):
			return resource.MustParse(pick(w.r, "1e9", "1e-9"))
		case w.one(12):
			return milli(-30000 * hot * w.r.Float64())
		}
		return milli(pick(w.r, 0, 30000*hot, 10000*hot*float64(w.scale.Spec.Replicas), 60000*hot*w.r.Float64()))
	}
	for _, m := range w.hpa.Spec.Metrics {
		switch {
		case m.Pods != nil:
			id := seriesOf(m.Pods.Metric, nil)
			w.custom[id] = nil
			for _, p := range w.pods {
				if w.one(6) {
					continue
				}
				value := milli(20000 * hot)
				if !w.exact {
					value = milli(20000 * hot * (0.7 + 0.6*w.r.Float64()))
				}
				if w.edge && w.one(4) {
					value = whole()
				}
				w.custom[id] = append(w.custom[id], custom.MetricValue{DescribedObject: corev1.ObjectReference{Name: p.Name}, Timestamp: metav1.Time{Time: at}, Value: value})
			}
			if w.one(20) {
				w.custom[id] = append(w.custom[id], custom.MetricValue{DescribedObject: corev1.ObjectReference{Name: "stranger"}, Timestamp: metav1.Time{Time: at}, Value: milli(77000)})
			}
		case m.Object != nil && !w.one(15):
			w.object[seriesOf(m.Object.Metric, &m.Object.DescribedObject)] = custom.MetricValue{Timestamp: metav1.Time{Time: at}, Value: whole()}
		case m.External != nil:
			id := seriesOf(m.External.Metric, nil)
			w.external[id] = nil
			for range w.r.IntN(4) {
				w.external[id] = append(w.external[id], external.ExternalMetricValue{Value: whole()})
			}
		}
	}
}

func amounts(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{"cpu": resource.MustParse(cpu), "memory": resource.MustParse(memory)}
}

func milli(of float64) resource.Quantity {
	return *resource.NewMilliQuantity(int64(of), resource.DecimalSI)
}
