// Package policy is the brain of the autoscaler: Decide is given what is known about a target and returns a
// Decision with its reason, the steps that led to it, and the state that the next pass needs. It is pure: no
// clock, no I/O, no goroutine, and it changes nothing that it is given.
//
// The algorithm is that of the HorizontalPodAutoscaler of Kubernetes 1.37, fed with the same pods over windows of several
// lengths and believed as far as the load stands clear of its own noise. Every rule in which it means to be better
// than the HPA is a named switch; Options.Compat turns them all off.
package policy
