package live

import (
	"cmp"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Known is a pod that the inventory knows, and what the picture has of it.
type Known struct {
	Pod  *cluster.Pod
	Item *Item // nil: nothing was heard of it
}

// Part says whether a pod is a part of the sums, which there are of some rows, of what it belongs to, and whether they have all of it. Each pod is one that exists: one that is done is none, nor one that is
// being deleted and has no values any more. All of it is there where every container that is to run has values: not of a pod of which nothing was heard, that has not
// started, or that waits for its next life, nor of one with a container that does so beside others. Of what no inventory knows, Pod is nil.
func (k Known) Part(rows metric.Set) (is, whole bool) {
	it := k.Item
	ran := it != nil && !it.Ended
	switch {
	case k.Pod == nil && !ran, k.Pod != nil && (k.Pod.Finished() || k.Pod.Deleting && (!ran || !it.Any())):
		return false, false
	case !ran, k.rests():
		return true, false
	}
	return true, !it.Silent() && it.Any() && it.Lacks.And(&rows) == metric.Set{} && (it.Gap == nil || it.Gap.Reason == metric.GapStarting)
}

// rests says whether a container of a pod that the picture has does not run and will, as far as whoever runs it says so. One that is about to begin as all do is told with its pod.
func (k Known) rests() bool {
	if k.Pod == nil || k.Pod.Deleting {
		return false
	}
	for i := range k.Pod.Containers {
		c := &k.Pod.Containers[i]
		if c.Rests() != "" && !c.Begins() && !slices.ContainsFunc(k.Item.Items, func(m *Item) bool { return m.Entity.Container == c.Name }) {
			return true
		}
	}
	return slices.ContainsFunc(k.Item.Items, func(m *Item) bool { return m.WaitsFor() != nil })
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
	return len(it.Items) > 0 && !slices.ContainsFunc(it.Items, func(m *Item) bool { return belongs(m.Entity, unixMilli(m.Start), pod) })
}

func compareToPod(it *Item, pod *cluster.Pod) int {
	return cmp.Or(strings.Compare(it.Entity.Namespace, pod.Namespace), strings.Compare(it.Entity.Pod, pod.Name))
}

// WaitsFor is the gap of a container that does not run at present, with the word of whoever runs it for what it waits for; nil where it runs, or nobody says so.
func (it *Item) WaitsFor() *cluster.Gap {
	if it.Parent == nil || it.Parent.Pod == nil || it.Silent() {
		return nil
	}
	return rest(it.Parent.Pod, it.Entity.Container, it.Gap, it.Ended, it.Own.Has(metric.MemoryWorkingSet))
}

// rest is the gap of a pod's container that has one, in the words of whoever runs it, where the container rests; nil where these say nothing of the gap.
func rest(pod *cluster.Pod, name string, gap *cluster.Gap, ended, measured bool) *cluster.Gap {
	c := pod.Container(name)
	if c == nil || gap == nil || c.Rests() == "" || pod.Deleting {
		return nil
	}
	switch since := pod.Status.Since; {
	case ended || gap.Reason == metric.GapWaiting || gap.Reason == metric.GapStale:
		return &cluster.Gap{Since: gap.Since, Reason: metric.GapWaiting, Detail: c.Rests()}
	case c.ID != "" && !measured: // it was never measured
		if since.IsZero() {
			since = gap.Since
		}
		return &cluster.Gap{Since: since.UTC(), Reason: metric.GapWaiting, Detail: c.Rests()}
	}
	return nil
}
