package metricsapi

import (
	"context"
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/metrics/pkg/apis/metrics"

	"plimsoll.dev/plimsoll/aggregator/live"
)

// objects makes a list of the library's objects.
func (l *podList) objects() *metrics.PodMetricsList {
	out := &metrics.PodMetricsList{Items: make([]metrics.PodMetrics, len(l.rows))}
	for i := range l.rows {
		out.Items[i] = l.object(i)
	}
	return out
}

func (l *podList) object(i int) metrics.PodMetrics {
	row := &l.rows[i]
	out := metrics.PodMetrics{ObjectMeta: metav1.ObjectMeta{Name: row.pod.Name, Namespace: row.pod.Namespace, Labels: row.pod.Labels, CreationTimestamp: metav1.NewTime(l.asked)},
		Timestamp: metav1.NewTime(row.at), Window: metav1.Duration{Duration: row.window}, Containers: make([]metrics.ContainerMetrics, len(row.used))}
	for k := range row.used {
		out.Containers[k] = metrics.ContainerMetrics{Name: row.used[k].Name, Usage: usage(&row.used[k])}
	}
	return out
}

// usage is what was used in Kubernetes' quantities.
func usage(x *live.Used) corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewScaledQuantity(nanoCores(x.CPU), resource.Nano),
		corev1.ResourceMemory: *resource.NewQuantity(wholeBytes(x.Memory), resource.BinarySI),
	}
}

// nanoCores cuts off what is less than a billionth of a core.
func nanoCores(cores float64) int64 { return whole(cores * 1e9) }

func wholeBytes(bytes float64) int64 { return whole(bytes) }

// whole is a whole number that is not negative and fits.
func whole(v float64) int64 {
	switch {
	case !(v > 0):
		return 0
	case v >= math.MaxInt64:
		return math.MaxInt64
	}
	return int64(v)
}

// GetObjectKind implements runtime.Object. The version is that of whoever encodes the list.
func (l *podList) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object. A list is never changed.
func (l *podList) DeepCopyObject() runtime.Object { return l }

type objectsKey struct{}

// wantsObjects says whether the library looks into the objects of the answer itself.
func wantsObjects(ctx context.Context) bool { return ctx.Value(objectsKey{}) != nil }
