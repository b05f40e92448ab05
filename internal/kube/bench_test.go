package kube

import (
	"fmt"
	"runtime"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// BenchmarkBytes tells how many bytes an inventory of 30,000 pods of two containers, owned by 3,000 ReplicaSets of as many Deployments on 1,000
// nodes, has for each pod, all that comes with it counted.
func BenchmarkBytes(b *testing.B) {
	const pods, sets, nodes = 30_000, 3_000, 1_000
	for b.Loop() {
		v, err := New(Options{Config: &rest.Config{Host: "http://127.0.0.1:1"}})
		if err != nil {
			b.Fatal(err)
		}
		before := heap()
		for i := range sets {
			m := someSet(i, 0)
			m.Name, m.UID, m.OwnerReferences[0].UID = fmt.Sprint("web-", i, "-6d4cf56db6"), types.UID(uuid("set", i)), types.UID(uuid("deployment", i))
			if err := v.watches[1].Add(m); err != nil {
				b.Fatal(err)
			}
		}
		for i := range pods {
			if err := v.watches[0].Add(usualPod(i, i%sets, i%nodes)); err != nil {
				b.Fatal(err)
			}
		}
		each := float64(heap()-before) / pods
		all := v.All()
		if len(all) != pods || all[0].Owner.Kind != "Deployment" {
			b.Fatalf("%d pods of %v", len(all), all[0].Owner)
		}
		b.ReportMetric(each, "bytes/pod")
		b.ReportMetric(float64(heap()-before)/pods-each, "bytes/pod-listed")
		runtime.KeepAlive(v)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func uuid(kind string, i int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", len(kind), i) }

// usualPod is a pod as an API server sends it, but for what nobody keeps.
func usualPod(i, set, node int) *corev1.Pod {
	name := fmt.Sprintf("web-%d-6d4cf56db6-%05d", set, i)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprint("team-", set%100), Name: name, UID: types.UID(uuid("pod", i)), Labels: map[string]string{"app.kubernetes.io/name": fmt.Sprint("web-", set), "app.kubernetes.io/part-of": "shop",
			"pod-template-hash": "6d4cf56db6"}, OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: fmt.Sprint("web-", set, "-6d4cf56db6"), UID: types.UID(uuid("set", set)), Controller: new(true)}}},
		Spec:   corev1.PodSpec{NodeName: fmt.Sprintf("ip-10-0-%d-%d.eu-central-1.compute.internal", node/250, node%250)},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, StartTime: &metav1.Time{}, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	for j, c := range []string{"app", "proxy"} {
		list := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")}
		image := "registry.example/shop/" + c + ":1.2.3"
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: c, Image: image, Resources: corev1.ResourceRequirements{Requests: list, Limits: list}})
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: c, Image: image, ContainerID: fmt.Sprintf("containerd://%064x", 2*i+j), Ready: true, Started: new(true),
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}})
	}
	return p
}
