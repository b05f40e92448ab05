package cluster

import (
	"cmp"
	"errors"
	"strings"
)

// APIVersion is the API group and version of Plimsoll's own kinds.
const APIVersion = "plimsoll.dev/v1alpha1"

// ProcessService is the kind of a service whose replicas are local processes, in APIVersion. Kubernetes' core kind Service is another one.
const ProcessService = "ProcessService"

// ErrNoTarget is a target that does not exist, or not any more. Callers test for it with errors.Is.
var ErrNoTarget = errors.New("no such target")

// ErrNotYet is what is asked of one who has not heard of all that there is since he began: an empty answer would say that there is nothing.
// Callers test for it with errors.Is.
var ErrNotYet = errors.New("not all are known yet")

// Target names what is scaled, and what owns pods.
type Target struct {
	APIVersion string `json:"apiVersion,omitempty"` // "apps/v1"; "" where it is not known
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
}

// String returns "namespace/kind/name".
func (t Target) String() string { return t.Namespace + "/" + t.Kind + "/" + t.Name }

// Group is the target's API group; "" is the core's, and of one whose API version is not known.
func (t Target) Group() string {
	group, _, found := strings.Cut(t.APIVersion, "/")
	if !found {
		return ""
	}
	return group
}

// CoreGroup is what the core's API group is called where a word must stand for it.
const CoreGroup = "core"

// GroupKind is "KIND.GROUP", by which people tell apart what has the same kind in several groups.
func (t Target) GroupKind() string { return t.Kind + "." + cmp.Or(t.Group(), CoreGroup) }
