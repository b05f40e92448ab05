package hpa

import (
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"

	"plimsoll.dev/plimsoll/internal/cluster"
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
