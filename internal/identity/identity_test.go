package identity

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/metric"
)

func whole(l metric.Level) *metric.Entity {
	return &metric.Entity{Level: l, Node: "n1", Namespace: "shop", WorkloadKind: "Docker", Workload: "web", Pod: "web-1", Container: "app",
		ID: "/docker/1", Runtime: "docker", Image: "web:1"}
}

// TestLabels: the history is labelled by names only, and by those that a level has.
func TestLabels(t *testing.T) {
	for level, want := range map[metric.Level][]string{
		metric.Container: {"container", "namespace", "node", "pod", "workload", "workload_kind"},
		metric.Pod:       {"namespace", "node", "pod", "workload", "workload_kind"},
		metric.Workload:  {"namespace", "workload", "workload_kind"},
		metric.Namespace: {"namespace"},
		metric.Node:      {"node"},
		metric.Cluster:   nil,
		77:               nil,
	} {
		var got []string
		for _, l := range Labels(whole(level)) {
			got = append(got, l.Name)
			if Value(whole(level), l.Name) != l.Value {
				t.Errorf("%v: label %q has two values", level, l.Name)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%v: want -, got +:\n%s", level, d)
		}
		if d := cmp.Diff(want, Names(level)); d != "" {
			t.Errorf("names of %v: want -, got +:\n%s", level, d)
		}
	}
	if n := len(Labels(&metric.Entity{})); n != 0 {
		t.Errorf("an empty entity has %d labels", n)
	}
	if v := Value(whole(metric.Container), "id"); v != "" {
		t.Errorf("the cgroup is the label id, %q", v)
	}
}

// TestWire: what the live picture needs comes back as it was, in order of name.
func TestWire(t *testing.T) {
	e := whole(metric.Container)
	ls := Wire(e)
	if !slices.IsSortedFunc(ls, func(a, b metric.Label) int { return cmpString(a.Name, b.Name) }) {
		t.Errorf("labels are not sorted: %v", ls)
	}
	got := OfWire(e.Level, func(name string) string {
		for _, l := range ls {
			if l.Name == name {
				return l.Value
			}
		}
		return ""
	})
	if d := cmp.Diff(*e, got); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
}

func cmpString(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

// TestKeys: a thing's names are its key; cgroup and image are not in it, nor is the node of what is unique in the cluster.
func TestKeys(t *testing.T) {
	f := func(same bool, change func(*metric.Entity)) {
		t.Helper()
		a, b := whole(metric.Container), whole(metric.Container)
		change(b)
		if got := KeyOf(a) == KeyOf(b); got != same {
			t.Errorf("%+v and %+v: same key %v, want %v", *a, *b, got, same)
		}
	}
	f(true, func(e *metric.Entity) { e.ID, e.Image, e.Runtime = "/docker/2", "web:2", "" })
	f(true, func(e *metric.Entity) { e.Workload, e.WorkloadKind = "", "" }) // not every reader knows it
	f(false, func(e *metric.Entity) { e.Node = "n2" })
	f(false, func(e *metric.Entity) { e.Namespace = "other" })
	f(false, func(e *metric.Entity) { e.Pod = "web-2" })
	f(false, func(e *metric.Entity) { e.Container = "sidecar" })
	f(false, func(e *metric.Entity) { e.Level = metric.Pod })
	a, b := whole(metric.Container), whole(metric.Container)
	if a.ID, b.ID, b.Node = "", "", "n2"; KeyOf(a) == KeyOf(b) || KeyOf(a).InCluster() != KeyOf(b).InCluster() {
		t.Error("what says nothing of its cgroup has one key on two machines, or two in a cluster")
	}
	a.ID, b.ID, b.Node = "/kubepods/1", "/kubepods/2", "n2"
	if KeyOf(a) != KeyOf(b) {
		t.Error("a pod of Kubernetes has a key on each node")
	}
	if got, want := PodKey("", "shop", "web-1"), KeyOf(&metric.Entity{Level: metric.Pod, Namespace: "shop", Pod: "web-1"}); got != want {
		t.Errorf("got pod %v of a container, want %v", got, want)
	}
	a, b = &metric.Entity{ID: "/a", Container: "c"}, &metric.Entity{ID: "/b", Container: "c"}
	if KeyOf(a) == KeyOf(b) {
		t.Error("containers without a pod share a key")
	}
}

func TestFollows(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	f := func(last, next time.Time, want int) {
		t.Helper()
		if got := Follows(last, next); got != want {
			t.Errorf("Follows(%v, %v) = %d, want %d", last, next, got, want)
		}
	}
	f(at, at, 0)
	f(at, at.Add(time.Second), 0)
	f(at, at.Add(1001*time.Millisecond), 1)
	f(at, at.Add(-2*time.Second), -1)
	f(time.Time{}, at, 0)
	f(at, time.Time{}, 0)
}
