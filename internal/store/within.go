package store

import (
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/scope"
)

// namespaceLabel is the label of the namespace that a series is of.
const namespaceLabel = "namespace"

// NamespacesOf is the matcher of the namespaces that a scope sees; all says that all match. What has no namespace, of machines and of the whole
// cluster, is seen by whoever sees machines.
func NamespacesOf(s scope.Scope) (m Matcher, all bool) {
	pattern, except, all := s.Pattern()
	m = Matcher{Name: namespaceLabel, Op: Regexp, Value: pattern}
	if except {
		m.Op = NotRegexp
	}
	return m, all
}

// Within narrows a query to what a scope sees; sees is false where that is nothing of the query's level.
func (q Query) Within(s scope.Scope) (narrowed Query, sees bool) {
	switch {
	case s.Nothing(), (q.Level == metric.Node || q.Level == metric.Cluster) && !s.Nodes():
		return q, false
	case q.Level == metric.Node || q.Level == metric.Cluster:
		return q, true
	}
	if m, all := NamespacesOf(s); !all {
		q.Matchers = append(q.Matchers[:len(q.Matchers):len(q.Matchers)], m)
	}
	return q, true
}
