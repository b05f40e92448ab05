// Package kubelet asks the kubelets of nodes that have no collector for what their containers use, and puts it into the live picture, marked
// with where it came from. It reads /metrics/resource as metrics-server does, every few seconds, so that a cluster has values before it has
// collectors, and where none can run.
//
// The page has names and no UIDs. A value is taken for a pod when the inventory has that pod on that node, with a container of that name, and the
// container began after the pod did; one that began later than the last is its successor.
package kubelet
