package kube

import (
	"errors"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// Of what the API server tells of, no count is read; a write goes over the version that was told, and over no count that somebody else has set.
func TestCountsAreTold(t *testing.T) {
	s := &scaleServer{version: 1, count: 2}
	scales := scalesOf(t, s)
	c := countsOf(scales.typed, deployments, scales.log)
	scales.counts = map[schema.GroupVersionKind]*counts{deployments: c}
	web := func(uid string) *appsv1.Deployment {
		return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: types.UID(uid), ResourceVersion: fmt.Sprint(s.version)},
			Spec: appsv1.DeploymentSpec{Replicas: new(int32(s.count))}, Status: appsv1.DeploymentStatus{Replicas: 3}}
	}
	requests := func(f func()) int {
		before := len(s.asked)
		f()
		return len(s.asked) - before
	}
	is := func(what string, want cluster.DesiredReplicas, asks int) {
		t.Helper()
		n := requests(func() {
			if n, observed, err := scales.Scale(t.Context(), webTarget); err != nil || n != want || observed != 3 {
				t.Errorf("%s: %d, %d, %v, want %d", what, n, observed, err, want)
			}
		})
		if n != asks {
			t.Errorf("%s: %d requests, want %d", what, n, asks)
		}
	}
	set := func(what string, from, to cluster.DesiredReplicas, want error, count int) {
		t.Helper()
		if err := scales.SetScale(t.Context(), webTarget, from, to); !errors.Is(err, want) || s.count != count {
			t.Errorf("%s: %v, count %d, want %v and %d", what, err, s.count, want, count)
		}
	}
	is("nothing is told yet", 2, 2) // the kind, the scale
	if err := c.watch.Replace([]any{web("")}, ""); err != nil {
		t.Fatal(err)
	}
	is("told", 2, 0)
	if n := requests(func() { set("written", 2, 4, nil, 4) }); n != 1 {
		t.Errorf("%d requests of a write", n)
	}
	is("what was written, before it is told", 4, 0)
	_ = c.watch.Update(web(""))
	is("told of what was written", 4, 0)
	if len(scales.read) != 0 {
		t.Errorf("readings that nobody needs: %v", scales.read)
	}
	s.version++ // another field; it is not told of yet
	set("over another field", 4, 6, nil, 6)
	s.version, s.count = s.version+1, 9
	set("over another's count", 6, 7, ErrRecounted, 9)
	is("another's count, before it is told", 9, 0)
	set("decided anew", 9, 7, nil, 7)
	_ = c.watch.Update(web(""))
	is("told of it all", 7, 0)
	set("an old decision", 9, 3, ErrRecounted, 7)
	_ = c.watch.Add(web("another")) // in its place
	_ = c.watch.Delete(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}})
	is("made anew", 7, 0)
	_ = c.watch.Delete(web("another"))
	if n := requests(func() {
		if _, _, err := scales.Scale(t.Context(), webTarget); !errors.Is(err, cluster.ErrNoTarget) {
			t.Errorf("gone: %v", err)
		}
	}); n != 0 || len(c.byName)+len(c.names) != 0 {
		t.Errorf("gone: %d requests, left are %v and %v", n, c.byName, c.names)
	}
	c.watch.tried(errors.New("the API server tells nothing"), true)
	is("nothing is told any more", 7, 1)
}

// Another kind than those that are watched is read.
func TestOtherKindsAreRead(t *testing.T) {
	scales := scalesOf(t, &scaleServer{version: 1, count: 2})
	if c := countsOf(scales.typed, schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "ReplicaSet"}, nil); c != nil {
		t.Error("ReplicaSets are watched")
	}
	if o := convertCount(&appsv1.StatefulSet{}); o.value.(*count).desired != 1 {
		t.Errorf("a count that is left out is %v", o.value)
	}
}
