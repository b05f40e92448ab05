package live

import (
	"testing"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Of a container that does not run the picture says what whoever runs it says, before what there is of samples: to whoever asks for the pod's gap, and in a snapshot.
func TestWhatACrashedContainerWaitsForComesFirst(t *testing.T) {
	for _, c := range []struct {
		name      string
		container cluster.Container
		deleting  bool
		want      string
	}{
		{"waits", cluster.Container{ID: "1", Restarts: 4, Waiting: "CrashLoopBackOff"}, false, "CrashLoopBackOff"},
		{"has ended", cluster.Container{ID: "1", Restarts: 4, Ended: "exit status 3"}, false, "exit status 3"},
		{"is about to be measured", cluster.Container{ID: "1", Restarts: 4}, false, "it was not measured so far"},
		{"starts as all do", cluster.Container{Waiting: "ContainerCreating"}, false, "it was not measured so far"},
		{"is deleted", cluster.Container{ID: "1", Waiting: "CrashLoopBackOff"}, true, "it was not measured so far"},
	} {
		c.container.Name = "c"
		pod := &cluster.Pod{Namespace: "demo", Name: "crash", Node: "n1", Phase: "Running", Status: cluster.Status{Since: sec(-30)}, Containers: []cluster.Container{c.container}, Deleting: c.deleting}
		p := newPicture(t, Options{Inventory: inventory{pod}})
		waits := c.want != "it was not measured so far"
		if why, since := p.Gap(sec(0), pod); waits && (why != c.want || !since.Equal(sec(-30))) || !waits && why != "" {
			t.Errorf("%s, nothing heard: got %q since %v", c.name, why, since)
		}
		e := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "demo", Pod: "crash", Container: "c", ID: "/kubepods/pod1/c"}
		for i := range 2 {
			at := sec(float64(i))
			apply(t, p, whole(at, cpu(node("n1"), at, float64(i), 1), metric.Group{Entity: e, Points: []metric.Point{{ID: metric.Restarts, T: at.UnixMilli(), V: 4}, {ID: metric.MemoryRequest, T: at.UnixMilli(), V: 64}}}))
		}
		why, since := p.Gap(sec(1), pod)
		it := only(t, p.Snapshot(sec(1)).Containers)
		if why != c.want || waits && !since.Equal(sec(-30)) {
			t.Errorf("%s: got %q since %v, want %q", c.name, why, since, c.want)
		}
		if g := it.WaitsFor(); (g != nil) != waits || waits && (g.Detail != c.want || g.Reason != metric.GapWaiting || !g.Since.Equal(sec(-30))) {
			t.Errorf("%s: the snapshot says %+v, want %q", c.name, g, c.want)
		}
	}
}
