package hpa

import (
	"math/rand/v2"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/kube"
)

// What is set aside for a pod is what the scheduler counts for it, and where that is not what its lasting containers ask for together, by its
// specification alone it was to be so.
func TestHeldIsWhatTheSchedulerCounts(t *testing.T) {
	apart := 0
	for seed := range uint64(20_000) {
		w := world{r: rand.New(rand.NewPCG(seed, 1)), weird: true}
		var p corev1.Pod
		w.drawRequests(&p)
		w.r.Shuffle(len(p.Spec.InitContainers), func(i, k int) {
			p.Spec.InitContainers[i], p.Spec.InitContainers[k] = p.Spec.InitContainers[k], p.Spec.InitContainers[i]
		})
		want, pod := resource.PodRequests(&p, resource.PodResourcesOptions{}), podOf(&p)
		for _, name := range []corev1.ResourceName{"cpu", "memory", "hugepages-2Mi"} {
			q, asked := want[name]
			held, ok := pod.Held(name)
			if ok != asked || held != cluster.MilliOf(q) {
				t.Fatalf("seed %d: %s is %v (%v), the scheduler has %v (%v): %+v", seed, name, held, ok, q.String(), asked, p.Spec)
			}
			var sum cluster.Milli
			for c := range pod.Lasting() {
				v, _ := c.Requests.Get(name)
				sum += v
			}
			if sum != held {
				apart++
				if _, told := pod.HeldApart(name).Get(name); !told {
					t.Fatalf("seed %d: %s is %v, the lasting containers ask for %v, and nothing in the specification says why: %+v", seed, name, held, sum, p.Spec)
				}
			}
		}
	}
	if apart < 1000 {
		t.Errorf("only %d amounts are not the sum of the lasting containers", apart)
	}
}

// Also while a resize is under way, deferred or refused, whether a kubelet tells of containers alone or of the pod as a whole; what the HPA goes by is then the
// specification all the same.
func TestHeldWhileResized(t *testing.T) {
	resized := 0
	for seed := range uint64(20_000) {
		w := world{r: rand.New(rand.NewPCG(seed, 2)), weird: true}
		var p corev1.Pod
		w.drawRequests(&p)
		w.drawResize(&p)
		pod := kube.PodOf(&p)
		want := resource.PodRequests(&p, resource.PodResourcesOptions{UseStatusResources: true, InPlacePodLevelResourcesVerticalScalingEnabled: true})
		asks := resource.PodRequests(&p, resource.PodResourcesOptions{})
		for _, name := range []corev1.ResourceName{"cpu", "memory"} {
			held, _ := pod.Held(name)
			if held != cluster.MilliOf(want[name]) {
				t.Fatalf("seed %d: %s is %v, the scheduler has %v: %+v", seed, name, held, want[name], p)
			}
			if got, _ := pod.Asks(name); got != cluster.MilliOf(asks[name]) {
				t.Fatalf("seed %d: %s is asked for by %v, the HPA has %v: %+v", seed, name, got, asks[name], p.Spec)
			}
			if cluster.MilliOf(want[name]) != cluster.MilliOf(asks[name]) {
				resized++
			}
		}
		for i := range p.Spec.Containers {
			if !slices.Equal(pod.Containers[i].Requests, resourcesOf(p.Spec.Containers[i].Resources.Requests)) {
				t.Fatalf("seed %d: container %d asks for %v: %+v", seed, i, pod.Containers[i].Requests, p.Spec)
			}
		}
	}
	if resized < 1000 {
		t.Errorf("only %d amounts are held that are not asked for", resized)
	}
}

// drawResize has a pod's node tell of its requests, or not, and of some other ones.
func (w *world) drawResize(p *corev1.Pod) {
	have := func(of corev1.ResourceList) corev1.ResourceList {
		if w.one(3) {
			return pick(w.r, nil, amounts("15m", "8Mi"), amounts("1505m", "1Gi"), corev1.ResourceList{"cpu": *of.Cpu()})
		}
		return of
	}
	tell := func(of []corev1.Container) (out []corev1.ContainerStatus) {
		for i := range of {
			s := corev1.ContainerStatus{Name: of[i].Name, AllocatedResources: have(of[i].Resources.Requests)}
			if !w.one(4) {
				s.Resources = &corev1.ResourceRequirements{Requests: have(of[i].Resources.Requests)}
			}
			if !w.one(6) {
				out = append(out, s)
			}
		}
		return out
	}
	p.Status.ContainerStatuses, p.Status.InitContainerStatuses = tell(p.Spec.Containers), tell(p.Spec.InitContainers)
	if w.one(3) {
		sum := resource.PodRequests(p, resource.PodResourcesOptions{})
		p.Status.AllocatedResources, p.Status.Resources = have(sum), &corev1.ResourceRequirements{Requests: have(sum)}
	}
	if reason := pick(w.r, "", corev1.PodReasonDeferred, corev1.PodReasonInfeasible); reason != "" {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodResizePending, Status: corev1.ConditionTrue, Reason: reason})
	}
}
