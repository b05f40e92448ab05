package kube

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"pgregory.net/rapid"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// TestAnyOrder tells an inventory of pods and controllers in any order, with updates, deletions and lists anew, and compares it with what is so.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, err := New(Options{Config: &rest.Config{Host: "http://127.0.0.1:1"}, Targets: true})
		if err != nil {
			t.Fatal(err)
		}
		pods, sets, workloads := v.watches[0], v.watches[1], v.watches[3]
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, w := range v.watches {
			must(w.Replace(nil, "0"))
		}
		truth, owned, above := map[types.UID]*corev1.Pod{}, map[types.UID]*metav1.PartialObjectMetadata{}, map[types.UID]*metav1.PartialObjectMetadata{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n := rapid.IntRange(0, 5).Draw(t, "which")
			switch rapid.IntRange(0, 7).Draw(t, "step") {
			case 0: // a pod, perhaps anew under its name
				p := somePod(n, types.UID(fmt.Sprint("pod-", n, "-", rapid.IntRange(0, 1).Draw(t, "again"))), rapid.IntRange(-1, 2).Draw(t, "set"))
				for id, old := range truth {
					if old.Name == p.Name && id != p.UID {
						delete(truth, id)
					}
				}
				truth[p.UID] = p
				must(pods.Add(p))
			case 1:
				for id, p := range truth {
					if p.Name == fmt.Sprint("web-", n) {
						delete(truth, id)
						must(pods.Delete(p))
					}
				}
			case 2, 3:
				m := someSet(n%3, rapid.IntRange(-1, 1).Draw(t, "deployment"))
				owned[m.UID] = m
				must(sets.Add(m))
			case 4:
				var list []any
				for _, p := range truth {
					list = append(list, p)
				}
				must(pods.Replace(list, "1"))
			case 5:
				var list []any
				for _, m := range owned {
					list = append(list, m)
				}
				must(sets.Replace(list, "1"))
			case 6:
				m := someWorkload(n%2, rapid.IntRange(-1, 1).Draw(t, "gadget"))
				above[m.UID] = m
				must(workloads.Add(m))
			case 7: // a Deployment goes before its ReplicaSets and pods, which stay what they were
				var list []any
				for _, m := range above {
					list = append(list, m)
				}
				must(workloads.Replace(list, "1"))
			}
		}
		want := map[string]cluster.Target{}
		for id, p := range truth {
			want[string(id)] = ownerIn(p, owned)
		}
		got := map[string]cluster.Target{}
		for _, p := range v.All() {
			got[p.UID] = p.Owner
			if v.Pod(p.UID) != p {
				t.Fatalf("pod %s is another one by its UID", p.UID)
			}
			if p.Owner.Kind == "" {
				continue
			}
			of, err := v.Pods(p.Owner)
			must(err)
			if !slices.Contains(of, p) {
				t.Fatalf("pod %s is not among those of its owner %v", p.UID, p.Owner)
			}
			for _, g := range []string{"g-0", "g-1"} {
				of, err := v.Pods(cluster.Target{APIVersion: "test/v2", Kind: "Gadget", Namespace: "shop", Name: g})
				must(err)
				m := above[types.UID(p.Owner.Name)]
				if want := m != nil && len(m.OwnerReferences) > 0 && m.OwnerReferences[0].Name == g; slices.Contains(of, p) != want {
					t.Fatalf("pod %s of %v is among those of %s: got %v, want %v", p.UID, p.Owner, g, !want, want)
				}
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("pods and their owners: %s", d)
		}
		must(pods.Replace(nil, "2"))
		last := rapid.Bool().Draw(t, "Deployments go last")
		if !last {
			must(workloads.Replace(nil, "2"))
		}
		must(sets.Replace(nil, "2"))
		if last {
			must(workloads.Replace(nil, "2"))
		}
		if len(v.pods)+len(v.names)+len(v.spaces)+len(v.below)+len(v.targets)+len(v.owners) != 0 {
			t.Fatalf("of nothing there is left: %d pods, %d names, below %v, targets %v, owners %v", len(v.pods), len(v.names), v.below, v.targets, v.owners)
		}
	})
}

// Before all pods, ReplicaSets and Jobs have been told of, the pods of a target are not known: none would be a lie. The nodes make no difference.
func TestPodsNotYet(t *testing.T) {
	v, err := New(Options{Config: &rest.Config{Host: "http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	web := cluster.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "d-0"}
	lists := [][]any{{somePod(0, "pod-0", 0)}, {someSet(0, 0)}, nil}
	for i, list := range lists {
		if of, err := v.Pods(web); !errors.Is(err, cluster.ErrNotYet) {
			t.Errorf("after %d lists: got %d pods, %v", i, len(of), err)
		}
		v.watches[i].tried(errors.New("connection refused"), false) // away is no better than late
		if err := v.NotYet(); !errors.Is(err, ErrNotSynced) || !strings.Contains(err.Error(), "has not told of all "+v.watches[i].name+" (connection refused): ") {
			t.Errorf("after %d lists: got %v", i, err)
		}
		if err := v.watches[i].Replace(list, "1"); err != nil {
			t.Fatal(err)
		}
	}
	if of, err := v.Pods(web); err != nil || len(of) != 1 {
		t.Errorf("got %d pods, %v, want 1", len(of), err)
	}
	if err := v.NotYet(); !errors.Is(err, ErrNotSynced) || !strings.Contains(err.Error(), "nodes") {
		t.Errorf("without nodes: got %v", err)
	}
	if err := v.watches[3].Replace(nil, "1"); err != nil {
		t.Fatal(err)
	}
	v.watches[0].tried(errors.New("connection refused"), false)
	if of, err := v.Pods(web); err != nil || len(of) != 1 || v.NotYet() != nil {
		t.Errorf("while the API server is away: got %d pods, %v, %v: what was known stays", len(of), err, v.NotYet())
	}
}

// Why a target has no pods is told by what owns those that its selector chooses.
func TestNoPods(t *testing.T) {
	v, err := New(Options{Config: &rest.Config{Host: "http://127.0.0.1:1"}, Targets: true})
	if err != nil {
		t.Fatal(err)
	}
	labelled := func(n, set int) *corev1.Pod {
		p := somePod(n, types.UID(fmt.Sprint("pod-", n)), set)
		p.Labels = map[string]string{"app": p.Name}
		return p
	}
	other, ended := labelled(0, 0), labelled(5, 0)
	other.Namespace, other.UID = "art", "pod-other"
	ended.Name, ended.Labels, ended.Status.Phase = "ended", map[string]string{"app": "web-1"}, corev1.PodSucceeded
	for i, list := range [][]any{{other, ended, labelled(0, 0), labelled(1, 1), labelled(2, 2), labelled(3, -1)}, {someSet(0, 0), someSet(1, 1), someSet(2, -1)}, nil, {someWorkload(0, 0), someWorkload(1, -1)}} {
		if err := v.watches[i].Replace(list, "1"); err != nil {
			t.Fatal(err)
		}
	}
	for selector, want := range map[string]string{
		"app=web-0": `no pod of the selector "app=web-0" belongs to Widget shop/w by its controllers: web-0 is owned by ReplicaSet rs-0, owned by Deployment d-0, owned by Gadget g-0, whose own controller is not known`,
		"app=web-1": `no pod of the selector "app=web-1" belongs to Widget shop/w by its controllers: web-1 is owned by ReplicaSet rs-1, owned by Deployment d-1, which nothing owns`,
		"app=web-2": `no pod of the selector "app=web-2" belongs to Widget shop/w by its controllers: web-2 is owned by ReplicaSet rs-2, which nothing owns`,
		"app=web-3": `no pod of the selector "app=web-3" belongs to Widget shop/w by its controllers: web-3 is owned by nothing`,
		"app=none":  `no pod belongs to Widget shop/w by its controllers, and none has the labels of its selector "app=none"`,
		"":          `no pod belongs to Widget shop/w by its controllers`,
		"((":        `no pod belongs to Widget shop/w by its controllers`,
	} {
		if got := v.NoPods(cluster.Target{APIVersion: "test/v1", Kind: "Widget", Namespace: "shop", Name: "w"}, selector); got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", selector, got, want)
		}
	}
	for _, w := range v.watches[4:] {
		if err := w.Replace(nil, "1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.watches[2].Replace(nil, "1"); err != nil {
		t.Fatal(err)
	}
	if got := v.NoPods(cluster.Target{APIVersion: "test/v2", Kind: "Gadget", Namespace: "shop", Name: "g-0"}, "app=web-0"); got != "" {
		t.Errorf("of a target whose pods have come meanwhile: %s", got)
	}
}

// What is above a workload is a target of its pods, which keep the workload's name. A kind that may not be watched leaves the rest known.
func TestAbove(t *testing.T) {
	v, err := New(Options{Config: &rest.Config{Host: "http://127.0.0.1:1"}, Targets: true})
	if err != nil {
		t.Fatal(err)
	}
	p := somePod(1, "pod-1", -1) // an operator's StatefulSet
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", UID: "db", Controller: new(true)}}
	db := someWorkload(0, 1)
	db.Name, db.UID = "db", "db"
	lists := map[string][]any{"pods": {somePod(0, "pod-0", 0), p}, "replicasets": {someSet(0, 0)}, "deployments": {someWorkload(0, 0)}, "statefulsets": {db}}
	gadget := cluster.Target{APIVersion: "test/v1", Kind: "Gadget", Namespace: "shop", Name: "g-0"}
	for _, w := range v.watches {
		if w.name == "cronjobs" || w.name == "nodes" {
			continue
		}
		if of, err := v.Pods(gadget); !errors.Is(err, cluster.ErrNotYet) {
			t.Errorf("before all %s are known: got %d pods, %v", w.name, len(of), err)
		}
		if err := w.Replace(lists[w.name], "1"); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range v.watches {
		if w.name == "cronjobs" {
			w.tried(apierrors.NewForbidden(schema.GroupResource{Group: "batch", Resource: "cronjobs"}, "", errors.New("no right")), false)
		}
	}
	if err := v.NotYet(); !strings.Contains(fmt.Sprint(err), "all nodes") {
		t.Errorf("what is above workloads is waited for: %v", err)
	}
	for name, owner := range map[string]string{"g-0": "shop/Deployment/d-0", "g-1": "shop/StatefulSet/db"} {
		gadget.Name = name
		if of, err := v.Pods(gadget); err != nil || len(of) != 1 || of[0].Owner.String() != owner {
			t.Errorf("%s: got %v, %v, want one pod of %s", name, of, err, owner)
		}
	}
	if _, err := v.Since(); !apierrors.IsForbidden(err) {
		t.Errorf("that a kind is refused is not told: %v", err)
	}
}

func somePod(n int, uid types.UID, set int) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprint("web-", n), UID: uid, ResourceVersion: fmt.Sprint(rand.Int())}}
	if set >= 0 {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: fmt.Sprint("rs-", set), UID: types.UID(fmt.Sprint("rs-", set)), Controller: new(true)}}
	}
	return p
}

func someSet(n, deployment int) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprint("rs-", n), UID: types.UID(fmt.Sprint("rs-", n))}}
	if deployment >= 0 {
		m.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: fmt.Sprint("d-", deployment), UID: types.UID(fmt.Sprint("d-", deployment)), Controller: new(true)}}
	}
	return m
}

func someWorkload(n, gadget int) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprint("d-", n), UID: types.UID(fmt.Sprint("d-", n))}}
	if gadget >= 0 {
		m.OwnerReferences = []metav1.OwnerReference{{APIVersion: "test/v1", Kind: "Gadget", Name: fmt.Sprint("g-", gadget), UID: types.UID(fmt.Sprint("g-", gadget)), Controller: new(true)}}
	}
	return m
}

func ownerIn(p *corev1.Pod, owned map[types.UID]*metav1.PartialObjectMetadata) cluster.Target {
	var out cluster.Target
	for ref := metav1.GetControllerOf(p); ref != nil; {
		out = cluster.Target{APIVersion: ref.APIVersion, Kind: ref.Kind, Namespace: "shop", Name: ref.Name}
		m := owned[ref.UID]
		if m == nil {
			break
		}
		ref = metav1.GetControllerOf(m)
	}
	return out
}

// TestStatus says in one word what kubectl says.
func TestStatus(t *testing.T) {
	waiting := func(reason string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: "c", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}
	}
	running := corev1.ContainerStatus{Name: "c", Ready: true, Started: new(true), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	done := func(code int32, reason string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: "c", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason}}}
	}
	for want, p := range map[string]*corev1.Pod{
		"Pending":               {Status: corev1.PodStatus{Phase: corev1.PodPending}},
		"ContainerCreating":     {Status: corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{waiting("ContainerCreating")}}},
		"CrashLoopBackOff":      {Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{waiting("CrashLoopBackOff")}}},
		"Running":               {Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{running}}},
		"NotReady":              {Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{done(0, "Completed"), running}}},
		"OOMKilled":             {Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{done(137, "OOMKilled")}}},
		"ExitCode:3":            {Status: corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{done(3, "")}}},
		"Evicted":               {Status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}},
		"Init:0/2":              {Spec: corev1.PodSpec{InitContainers: make([]corev1.Container, 2)}, Status: corev1.PodStatus{Phase: corev1.PodPending, InitContainerStatuses: []corev1.ContainerStatus{running, waiting("PodInitializing")}}},
		"Init:CrashLoopBackOff": {Spec: corev1.PodSpec{InitContainers: make([]corev1.Container, 1)}, Status: corev1.PodStatus{Phase: corev1.PodPending, InitContainerStatuses: []corev1.ContainerStatus{waiting("CrashLoopBackOff")}}},
		"SchedulingGated":       {Status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: "False", Reason: "SchedulingGated"}}}},
		"Terminating":           {ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &metav1.Time{}}, Status: corev1.PodStatus{Phase: corev1.PodRunning}},
		"Unknown":               {ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &metav1.Time{}}, Status: corev1.PodStatus{Phase: corev1.PodRunning, Reason: "NodeLost"}},
	} {
		if got := statusOf(p).State; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
