package kube

import (
	"maps"
	"slices"
	"time"
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// object is what a watch keeps of an object until it is put into the inventory.
type object struct {
	metav1.ObjectMeta // name, namespace and UID alone
	owner             *metav1.OwnerReference
	pod               *cluster.Pod
	node              *cluster.Node
	value             any // of a Table
}

func identityOf(m metav1.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: once(m.GetNamespace()), Name: m.GetName(), UID: m.GetUID()}
}

// once makes equal strings one: namespaces, nodes, images and labels are said by thousands of objects.
func once(s string) string { return unique.Make(s).Value() }

// controller copies the reference to an object's controller, so that nothing else of the object stays in memory.
func controller(m metav1.Object) *metav1.OwnerReference {
	ref := metav1.GetControllerOfNoCopy(m)
	if ref == nil {
		return nil
	}
	return &metav1.OwnerReference{APIVersion: once(ref.APIVersion), Kind: once(ref.Kind), Name: once(ref.Name), UID: types.UID(once(string(ref.UID)))}
}

func convertPod(o any) *object {
	p, ok := o.(*corev1.Pod)
	if !ok {
		return nil
	}
	out := &object{ObjectMeta: identityOf(p), owner: controller(p), pod: PodOf(p)}
	out.pod.Namespace, out.pod.Name, out.pod.Node = out.Namespace, out.Name, once(out.pod.Node)
	out.pod.Labels = labelsOnce(p.Labels)
	for _, list := range [][]cluster.Container{out.pod.Containers, out.pod.InitContainers, out.pod.Ephemeral} {
		for i := range list {
			list[i].Name, list[i].Image = once(list[i].Name), once(list[i].Image)
		}
	}
	return out
}

func labelsOnce(in map[string]string) map[string]string {
	out := make(map[string]string, len(in))
	for k, val := range in {
		out[once(k)] = once(val)
	}
	return out
}

// putPod takes a pod in, in the place of one of its UID, and of one of its name that has not been told to be gone.
func (v *Inventory) putPod(o *object) {
	key := o.Namespace + "/" + o.Name
	if before, ok := v.names[key]; ok && before != o.UID {
		v.forget(before)
	}
	if h := v.pods[o.UID]; h != nil {
		keepKills(o.pod, h.pod)
	}
	if h := v.pods[o.UID]; h != nil && sameOwner(h.owner, o.owner) {
		v.unlist(o.UID, h)
	} else if h != nil {
		v.forget(o.UID)
	}
	h := &held{pod: o.pod, owner: o.owner}
	v.pods[o.UID], v.names[key] = h, o.UID
	v.spaces[o.Namespace]++
	v.mirror(o.UID)
	if o.owner != nil {
		add(v.below, o.owner.UID, o.UID)
		h.unnamed = v.ask(o.Namespace, o.owner)
	}
	v.nameOwner(o.UID)
	v.changes.Add(1)
}

// keepKills has a pod keep the kills that were told of before: an API server tells of the newest alone.
func keepKills(now, before *cluster.Pod) {
	for i, list := range [...][]cluster.Container{now.Containers, now.InitContainers, now.Ephemeral} {
		was := [...][]cluster.Container{before.Containers, before.InitContainers, before.Ephemeral}[i]
		for k := range list {
			if at := slices.IndexFunc(was, func(c cluster.Container) bool { return c.Name == list[k].Name && len(c.Kills) > 0 }); at >= 0 {
				list[k].Kills = cluster.With(was[at].Kills, list[k].Kills)
			}
		}
	}
}

// mirror finds a pod by the UID in the names of its cgroups, if that is another one. Anybody may write on a pod that it mirrors another's: who has
// the UID keeps it.
func (v *Inventory) mirror(id types.UID) {
	if of := v.pods[id].pod.CgroupUID; of != "" && v.pods[v.cgroups[of]] == nil {
		v.cgroups[of] = id
	}
}

func add[K comparable](m map[K]map[types.UID]bool, k K, id types.UID) {
	if m[k] == nil {
		m[k] = map[types.UID]bool{}
	}
	m[k][id] = true
}

func remove[K comparable](m map[K]map[types.UID]bool, k K, id types.UID) {
	if delete(m[k], id); len(m[k]) == 0 {
		delete(m, k)
	}
}

func (v *Inventory) dropPod(o *object) {
	if v.pods[o.UID] != nil {
		v.forget(o.UID)
		v.changes.Add(1)
	}
}

func sameOwner(a, b *metav1.OwnerReference) bool {
	return a == b || a != nil && b != nil && a.UID == b.UID
}

// unlist takes a pod out of the lists by which it is found, but for what is below its controller.
func (v *Inventory) unlist(id types.UID, h *held) {
	if key := h.pod.Namespace + "/" + h.pod.Name; v.names[key] == id {
		delete(v.names, key)
		if v.spaces[h.pod.Namespace]--; v.spaces[h.pod.Namespace] == 0 {
			delete(v.spaces, h.pod.Namespace)
		}
	}
	if v.cgroups[h.pod.CgroupUID] == id {
		delete(v.cgroups, h.pod.CgroupUID)
	}
	for _, g := range h.above {
		remove(v.targets, g, id)
	}
}

func (v *Inventory) forget(id types.UID) {
	h := v.pods[id]
	v.unlist(id, h)
	delete(v.pods, id)
	v.leaves(h.pod.Namespace+"/"+h.pod.Name, h.pod.Node, time.Now())
	if of := h.pod.CgroupUID; of != "" && v.cgroups[of] == "" {
		for other := range v.pods {
			if v.pods[other].pod.CgroupUID == of {
				v.mirror(other)
			}
		}
	}
	if h.owner == nil {
		return
	}
	v.lose(h.owner.UID, id)
}

// lose takes an object from below its controller, which is forgotten with the last one if it is gone itself.
func (v *Inventory) lose(owner, id types.UID) {
	remove(v.below, owner, id)
	if len(v.below[owner]) > 0 {
		return
	}
	v.unask(owner)
	if o, known := v.owners[owner]; known && o.resource == "" {
		v.dropOwner(&object{ObjectMeta: metav1.ObjectMeta{UID: owner}})
	}
}

// keepPods forgets all pods but these.
func (v *Inventory) keepPods(uids map[types.UID]bool) {
	for id := range v.pods {
		if !uids[id] {
			v.forget(id)
			v.changes.Add(1)
		}
	}
}

// nameOwner walks from a pod to its last controller that is known, and names the pod's workload on the way. The pod that was handed out stays as it was.
func (v *Inventory) nameOwner(id types.UID) {
	h := v.pods[id]
	for _, g := range h.above {
		remove(v.targets, g, id)
	}
	h.above = h.above[:0]
	owner, named := cluster.Target{}, false
	for ref, step := h.owner, 0; ref != nil && step < maxSteps; step++ {
		t := cluster.Target{APIVersion: ref.APIVersion, Kind: ref.Kind, Namespace: h.pod.Namespace, Name: ref.Name}
		if !named {
			owner = t
		}
		h.above = append(h.above, groupOf(t))
		add(v.targets, groupOf(t), id)
		o := v.owners[ref.UID]
		ref, named = o.ref, named || o.workload
	}
	if h.unnamed {
		_, known := v.owners[h.owner.UID]
		h.unnamed = !known
		v.changes.Add(1)
	}
	if owner != h.pod.Owner {
		p := *h.pod
		p.Owner, h.pod = owner, &p
		v.changes.Add(1)
	}
}

func convertOwner(o any) *object {
	m, ok := o.(*metav1.PartialObjectMetadata)
	if !ok {
		return nil
	}
	return &object{ObjectMeta: identityOf(m), owner: controller(m)}
}

// putOwner takes in what an object that may own pods belongs to itself.
func (v *Inventory) putOwner(resource string, workload bool) func(*object) {
	return func(o *object) {
		before, known := v.owners[o.UID]
		if known && before.resource == resource && (before.ref == nil) == (o.owner == nil) && (before.ref == nil || before.ref.UID == o.owner.UID) {
			return
		}
		v.owners[o.UID] = owned{o.owner, resource, workload}
		if o.owner != nil {
			add(v.below, o.owner.UID, o.UID)
		}
		if before.ref != nil && !sameOwner(before.ref, o.owner) {
			v.lose(before.ref.UID, o.UID)
		}
		v.renameBelow(o.UID, maxSteps)
	}
}

// dropOwner forgets a controller once nothing is below it: its pods may be deleted after it, and stay what they were.
func (v *Inventory) dropOwner(o *object) {
	was := v.owners[o.UID]
	if len(v.below[o.UID]) > 0 {
		was.resource = ""
		v.owners[o.UID] = was
		return
	}
	delete(v.owners, o.UID)
	if was.ref != nil {
		v.lose(was.ref.UID, o.UID)
	}
}

// keepOwners forgets the controllers of a resource that a list no longer has.
func (v *Inventory) keepOwners(resource string) func(map[types.UID]bool) {
	return func(uids map[types.UID]bool) {
		for id, o := range v.owners {
			if o.resource == resource && !uids[id] {
				v.dropOwner(&object{ObjectMeta: metav1.ObjectMeta{UID: id}})
			}
		}
	}
}

// renameBelow names the owners of all pods below a controller anew.
func (v *Inventory) renameBelow(id types.UID, steps int) {
	for _, below := range slices.Collect(maps.Keys(v.below[id])) {
		if v.pods[below] != nil {
			v.nameOwner(below)
		} else if steps > 0 {
			v.renameBelow(below, steps-1)
		}
	}
}

func convertNode(o any) *object {
	n, ok := o.(*corev1.Node)
	if !ok {
		return nil
	}
	return &object{ObjectMeta: identityOf(n), node: nodeOf(n)}
}

func (v *Inventory) putNode(o *object) { v.nodes[o.Name] = o.node }

func (v *Inventory) dropNode(o *object) {
	if n := v.nodes[o.Name]; n != nil && n.UID == string(o.UID) {
		delete(v.nodes, o.Name)
	}
}

func (v *Inventory) keepNodes(uids map[types.UID]bool) {
	maps.DeleteFunc(v.nodes, func(_ string, n *cluster.Node) bool { return !uids[types.UID(n.UID)] })
}
