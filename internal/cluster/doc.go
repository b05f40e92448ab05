// Package cluster has the words that everybody uses of what is scaled and measured: targets, pods and their containers, what pods
// use, decisions, and the Inventory that knows which pods there are. It is a leaf: it computes nothing and reads nothing. On one machine
// the process supervisor is the inventory; in Kubernetes informers are.
package cluster
