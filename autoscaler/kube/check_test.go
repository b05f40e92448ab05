package kube

import (
	"strings"
	"testing"
)

// A policy that can never work is not in force, also where an API server has taken it, and says which field it is.
func TestPoliciesThatCannotWork(t *testing.T) {
	f := func(spec, want string) {
		t.Helper()
		s := settle([]*Declared{scp(t, "one", 1, spec)}, nil, false, nil)[0]
		if want == "" && s.policy == nil || want != "" && (s.policy != nil || s.reason != "InvalidPolicy" || s.why != "This ScalePolicy cannot be used: spec."+want+".") {
			t.Errorf("%s: got %q, want %q", spec, s.why, want)
		}
	}
	of := func(apiVersion, kind, name string) string {
		return "{scaleTargetRef: {apiVersion: " + apiVersion + ", kind: " + kind + ", name: " + name + "}, maxReplicas: 5}"
	}
	const target = "target: {type: AverageValue, averageValue: 1}"
	selected := func(selector string) string {
		return "{" + ofWeb + ", metrics: [{type: External, external: {metric: {name: queue, selector: " + selector + "}, " + target + "}}]}"
	}
	f(of("apps/v1", "Deploy/ment", "web"), `scaleTargetRef.kind "Deploy/ment" must be the name of a kind, such as Deployment`)
	f(of("apps/v1", "Deployment", "../x"), `scaleTargetRef.name "../x" `+nameWords.want)
	f(of("a/b/c", "Deployment", "web"), `scaleTargetRef.apiVersion "a/b/c" must be a version, or a group and a version, such as apps/v1`)
	f("{scaleTargetRef: {kind: Deployment, name: web}, maxReplicas: 5}", `scaleTargetRef.apiVersion "" must be a version, or a group and a version, such as apps/v1`)
	f("{"+ofWeb+", metrics: [{type: Resource, resource: {name: disk, "+target+"}}]}", `metrics[0].resource.name "disk" is not measured: cpu and memory are`)
	f("{"+ofWeb+", metrics: [{type: ContainerResource, containerResource: {name: ephemeral-storage, container: c, "+target+"}}]}", `metrics[0].containerResource.name "ephemeral-storage" is not measured: cpu and memory are`)
	f("{"+ofWeb+", metrics: [{type: Object, object: {metric: {name: hits}, describedObject: {apiVersion: A/v1, kind: Service, name: web}, "+target+"}}]}", `metrics[0].object.describedObject.apiVersion "A/v1" must be a version, or a group and a version, such as apps/v1`)
	ofNamespace := func(name string) string {
		return "{" + ofWeb + ", metrics: [{type: Object, object: {metric: {name: hits}, describedObject: {apiVersion: v1, kind: Namespace, name: " + name + "}, " + target + "}}]}"
	}
	f(ofNamespace("other"), `metrics[0].object.describedObject.name "other" must be "shop", the policy's own namespace: metrics of another are not read`)
	f(ofNamespace("shop"), "")
	f(selected("{matchExpressions: [{key: a, operator: Foo}]}"), `metrics[0].external.metric.selector.matchExpressions[0].operator "Foo" must be In, NotIn, Exists or DoesNotExist`)
	f(selected("{matchExpressions: [{key: a, operator: In}]}"), `metrics[0].external.metric.selector.matchExpressions[0] "In" needs values with this operator`)
	f(selected("{matchExpressions: [{key: a, operator: Exists, values: [b]}]}"), `metrics[0].external.metric.selector.matchExpressions[0] "Exists" has no values with this operator`)
	f(selected("{matchExpressions: [{key: a b, operator: Exists}]}"), `metrics[0].external.metric.selector.matchExpressions[0].key "a b" `+keyWords.want)
	f(selected("{matchLabels: {a: b/c}}"), `metrics[0].external.metric.selector.matchLabels[a] "b/c" `+valueWords.want)
	f(selected("{matchExpressions: [{key: a, operator: In, values: ["+strings.Repeat("b,", 33)+"]}]}"), `metrics[0].external.metric.selector.matchExpressions[0].values "33" are more than 32`)
	f(selected("{matchExpressions: ["+strings.Repeat("{key: a, operator: Exists},", 17)+"]}"), `metrics[0].external.metric.selector "17" labels or expressions are more than 16`)
	f(of("apps/v1", "Deployment", strings.Repeat("a", 254)), `scaleTargetRef.name "`+strings.Repeat("a", 254)+`" `+nameWords.want)
	f(of("v1", "ReplicationController", "old"), "")
	f(of("argoproj.io/v1alpha1", "Rollout", "a.b-2"), "")
	f(selected("{matchLabels: {queue: orders, example.com/Tier_1: ''}, matchExpressions: [{key: a, operator: NotIn, values: [b]}]}"), "")
}
