// Package scope says what of a cluster a caller sees: all of it, or some of its namespaces and perhaps its machines. It travels in a
// request's context, and whoever answers shows nothing beyond it. A context without one sees nothing.
package scope

import (
	"context"
	"regexp"
	"slices"
	"strings"
)

// The rights that open something, as a sentence names them.
const (
	PodsRight  = `verb "list" on "pods" of API group "metrics.k8s.io"`
	NodesRight = `verb "list" on "nodes" of API group "metrics.k8s.io"`
)

// machine ends the namespaces of what is no pod's, such as a machine's units.
const machine = "@node"

// Scope is what is seen. It is comparable: callers with equal ones may share an answer. The zero Scope sees nothing.
type Scope struct {
	whole, every, nodes, cut bool
	list                     string // the namespaces, in order, each with a line end before and after it
}

// Whole sees everything, Plimsoll's own troubles included.
func Whole() Scope { return Scope{whole: true} }

// Of sees these namespaces, or every one, and nodes: the machines, what on them is no pod's, and the sums of the cluster.
func Of(nodes, every bool, namespaces ...string) Scope {
	s := Scope{nodes: nodes, every: every}
	if !every && len(namespaces) > 0 {
		list := slices.Compact(slices.Sorted(slices.Values(namespaces)))
		s.list = "\n" + strings.Join(list, "\n") + "\n"
	}
	return s
}

// Cut is the scope of which it is known that it may lack namespaces: there were too many to ask about.
func (s Scope) Cut() Scope {
	s.cut = !s.whole && !s.every
	return s
}

// IsCut says whether namespaces may be lacking.
func (s Scope) IsCut() bool { return s.cut }

// IsWhole says whether everything is seen.
func (s Scope) IsWhole() bool { return s.whole }

// All says whether no namespace and no machine is hidden.
func (s Scope) All() bool { return s.whole || s.every && s.nodes }

// Nothing says whether nothing is seen.
func (s Scope) Nothing() bool { return !s.whole && !s.every && !s.nodes && s.list == "" }

// Nodes says whether machines, and sums of the cluster, are seen.
func (s Scope) Nodes() bool { return s.whole || s.nodes }

// Namespaces are those that are seen, where not every one is.
func (s Scope) Namespaces() []string { return strings.Fields(s.list) }

// Sees says whether what is in a namespace is seen; what is in none belongs to the machines.
func (s Scope) Sees(namespace string) bool {
	switch {
	case s.whole:
		return true
	case namespace == "" || strings.HasSuffix(namespace, machine):
		return s.nodes
	case s.every:
		return true
	}
	return strings.Contains(s.list, "\n"+namespace+"\n") && !strings.Contains(namespace, "\n")
}

// Filter is Sees for many things.
func (s Scope) Filter() func(namespace string) bool {
	known := map[string]bool{}
	return func(namespace string) bool {
		sees, ok := known[namespace]
		if !ok {
			sees = s.Sees(namespace)
			known[namespace] = sees
		}
		return sees
	}
}

// Pattern is an RE2 expression that matches the whole name of a namespace that is seen, or with except of one that is not: Sees in words.
// all says that every one matches, and that there is none.
func (s Scope) Pattern() (pattern string, except, all bool) {
	switch {
	case s.All():
		return "", false, true
	case s.every:
		return "(?s:.*" + machine + ")?", true, false
	}
	var names []string
	for _, n := range s.Namespaces() {
		names = append(names, regexp.QuoteMeta(n))
	}
	if s.nodes {
		names = append(names, "(?s:.*"+machine+")", "")
	}
	if len(names) == 0 {
		return "(?s:.*)", true, false
	}
	return strings.Join(names, "|"), false, false
}

type key struct{}

// With returns a context for which From returns s.
func With(ctx context.Context, s Scope) context.Context { return context.WithValue(ctx, key{}, s) }

// From returns the scope of a context; without one nothing is seen.
func From(ctx context.Context) Scope {
	s, _ := ctx.Value(key{}).(Scope)
	return s
}
