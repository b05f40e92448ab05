package live

import (
	"cmp"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// Known is a pod that the inventory knows, and what the picture has of it.
type Known struct {
	Pod  *cluster.Pod
	Item *Item // nil: nothing was heard of it
}

// knownPods finds the pods of an inventory among items, which are in order of name, and tells each item its pod. A name on another node is
// another pod, and so is what was there before the pod was made under its name. An inventory in the same order is gone through beside them; in any other each pod is looked up.
func knownPods(pods []*cluster.Pod, items []*Item) []Known {
	out := make([]Known, len(pods))
	next := 0
	for i, pod := range pods {
		out[i].Pod = pod
		if next == len(items) || compareToPod(items[next], pod) != 0 {
			next, _ = slices.BinarySearchFunc(items, pod, compareToPod)
		}
		for ; next < len(items) && compareToPod(items[next], pod) == 0; next++ {
			if it := items[next]; (it.Entity.Node == pod.Node || it.Entity.Node == "" || pod.Node == "") && !it.precedes(pod) {
				out[i].Item, it.Pod = it, pod
			}
		}
	}
	return out
}

// precedes says whether all that an item has is of a pod that had its name before.
func (it *Item) precedes(pod *cluster.Pod) bool {
	return it.Gap != nil && len(it.Items) > 0 && !slices.ContainsFunc(it.Items, func(m *Item) bool { return belongs(m.Entity, unixMilli(m.Start), pod) })
}

func compareToPod(it *Item, pod *cluster.Pod) int {
	return cmp.Or(strings.Compare(it.Entity.Namespace, pod.Namespace), strings.Compare(it.Entity.Pod, pod.Name))
}
