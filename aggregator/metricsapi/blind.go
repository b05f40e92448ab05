package metricsapi

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// blind is the answer to a list that would be empty though pods that it asks for, or that are on the nodes that it asks for, run on nodes that are Ready: not one
// value of that kind is known in the whole cluster, and who gets an empty list takes it for the truth. Where there is some value, an empty list is a part like another.
func (a *API) blind(now time.Time, kind string, asked func(*cluster.Pod) bool) error {
	all, ready, runs := a.opts.Inventory.All(), map[string]bool{}, 0
	valued := false
	for _, n := range a.opts.Inventory.Nodes() {
		ready[n.Name] = n.Ready == corev1.ConditionTrue
		if kind == "node" && !valued {
			_, valued = a.opts.Picture.NodeUsed(now, n.Name, a.opts.Window)
		}
	}
	for _, p := range all {
		if p.Phase == corev1.PodRunning && ready[p.Node] && asked(p) {
			runs++
		}
	}
	if runs == 0 || valued {
		return nil
	}
	if kind == "pod" {
		a.opts.Picture.PodsUsed(now, all, a.opts.Window, func(i int, used []live.Used) { valued = valued || all[i].Phase == corev1.PodRunning && len(used) > 0 })
	}
	if valued {
		return nil
	}
	return apierrors.NewServiceUnavailable(fmt.Sprintf("no value of any %s is known at present, though %d of the pods that this is about run on nodes that are Ready: neither collectors nor kubelets tell of them", kind, runs))
}
