package kube

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestPodOf keeps what a pod asks for as a whole, and why a container of it waits.
func TestPodOf(t *testing.T) {
	amount := func(cpu string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), "example.com/gpu": resource.MustParse("1")}
	}
	p := podOf(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u", Annotations: map[string]string{mirrorOf: "0a1b"}},
		Spec: corev1.PodSpec{Resources: &corev1.ResourceRequirements{Requests: amount("1"), Limits: amount("2")}, Overhead: amount("50m"), Containers: []corev1.Container{{Name: "app"}, {Name: "log"}}},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "log", ContainerID: "containerd://22", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Unix(7, 0)}}},
			{Name: "app", ContainerID: "containerd://11", RestartCount: 3, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}}}}})
	if p.CgroupUID != "0a1b" || len(p.Requests) != 1 || p.Requests[0].Milli != 1000 || len(p.Limits) != 1 || p.Limits[0].Milli != 2000 || len(p.Overhead) != 1 || p.Overhead[0].Milli != 50 {
		t.Errorf("got %+v", p)
	}
	if c := p.Containers[0]; c.ID != "11" || c.Restarts != 3 || c.Waiting != "CrashLoopBackOff" || !c.Started.IsZero() {
		t.Errorf("got %+v", c)
	}
	if c := p.Containers[1]; c.ID != "22" || c.Waiting != "" || c.Started.Unix() != 7 {
		t.Errorf("got %+v", c)
	}
}
