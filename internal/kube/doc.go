// Package kube is the door to Kubernetes: it says which pods and nodes there are and what they belong to, from watches of the API server. It keeps
// of each object what is asked for and no more. The API server may be away: what was known stays, and Since says how old it is.
package kube
