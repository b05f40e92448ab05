package kube

import (
	"maps"
	"time"
)

// left is the name of a pod, "namespace/name", and a node that it was on.
type left struct{ pod, node string }

// A node's collector goes on telling of a pod that was deleted for as long as the pod's cgroups stand: until its kubelet has ended it, which a kubelet that was
// away does once it is back.
const (
	lately   = 24 * time.Hour   // a name is known by where its pods were, while another pod has it
	nameless = 10 * time.Minute // and while none has it
	maxLeft  = 100_000          // names and nodes
)

// leaves notes that a pod is not on its node any more.
func (v *Inventory) leaves(pod, node string, now time.Time) {
	if node == "" || v.opts.Node != "" { // nobody asks the inventory of one node
		return
	}
	if now.Sub(v.swept) >= time.Minute {
		v.swept = now
		maps.DeleteFunc(v.left, func(l left, at time.Time) bool {
			age := now.Sub(at)
			return age >= lately || age >= nameless && v.names[l.pod] == ""
		})
	}
	if len(v.left) < maxLeft {
		v.left[left{pod, node}] = now
	}
}

// Left says whether a pod of a name was on a node until lately.
func (v *Inventory) Left(namespace, pod, node string) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	at, was := v.left[left{namespace + "/" + pod, node}]
	return was && time.Since(at) < lately
}
