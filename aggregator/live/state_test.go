package live

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// lines are groups as the history has them.
func lines(in []metric.Group) []string {
	var out []string
	for _, g := range in {
		for _, x := range g.Points {
			row, text := metric.Get(x.ID), ""
			for _, l := range identity.Labels(g.Entity) {
				text += " " + l.Name + "=" + l.Value
			}
			if g.Entity.Level == row.Levels[0] {
				for _, l := range row.Fixed {
					text += " " + l.Name + "=" + l.Value
				}
			}
			if x.Sub != "" {
				text += " " + row.Sub + "=" + x.Sub
			}
			if !row.Has(g.Entity.Level) {
				text += " (not at this level)"
			}
			out = append(out, fmt.Sprintf("%s%s %g", row.At(g.Entity.Level), text, x.V))
		}
	}
	slices.Sort(out)
	return out
}

// TestStates follows two pods and their nodes through their lives.
func TestStates(t *testing.T) {
	nodes := []*cluster.Node{{Name: "n1", Pool: "blue", Ready: "True"}}
	var unsynced error
	s := NewStates(func() []*cluster.Node { return nodes }, func() error { return unsynced })
	web := func(p cluster.Pod) *cluster.Pod {
		p.UID, p.Namespace, p.Name, p.Node, p.Owner = "1", "shop", "web-1", "n1", cluster.Target{Kind: "Deployment", Name: "web"}
		return &p
	}
	running, pending := cluster.Pod{Phase: "Running", Ready: "True"}, cluster.Pod{Phase: "Pending"}
	f := func(pods []*cluster.Pod, only string, want ...string) {
		t.Helper()
		snap := &Snapshot{}
		for _, p := range pods {
			snap.Known = append(snap.Known, Known{Pod: p})
		}
		got := slices.DeleteFunc(lines(s.Of(snap, t0)), func(l string) bool { return !strings.Contains(l, only) })
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("want -, got +:\n%s", d)
		}
	}
	unsynced = errors.New("not all are known yet")
	f([]*cluster.Pod{web(running)}, "")
	unsynced = nil
	unscheduled := web(pending)
	unscheduled.Node = ""
	f([]*cluster.Pod{unscheduled}, "pod",
		"cluster_pods_pending 1",
		"kube_pod_status_phase namespace=shop pod=web-1 workload=web workload_kind=Deployment phase=Pending 1",
		"namespace_pods_pending namespace=shop 1",
		"workload_pods_pending namespace=shop workload=web workload_kind=Deployment 1")
	starting := web(cluster.Pod{Phase: "Pending", Ready: "False"})
	starting.Containers = []cluster.Container{{Name: "app", Waiting: "ContainerCreating"}}
	f([]*cluster.Pod{starting}, "kube_pod",
		"kube_pod_container_status_waiting_reason container=app namespace=shop node=n1 pod=web-1 workload=web workload_kind=Deployment reason=ContainerCreating 1",
		"kube_pod_status_phase namespace=shop node=n1 pod=web-1 workload=web workload_kind=Deployment phase=Pending 1",
		"kube_pod_status_phase namespace=shop pod=web-1 workload=web workload_kind=Deployment phase=Pending 0",
		"kube_pod_status_ready namespace=shop node=n1 pod=web-1 workload=web workload_kind=Deployment condition=true 0")
	job := &cluster.Pod{UID: "2", Namespace: "shop", Name: "job-1", Node: "n1", Phase: "Running", Ready: "True"}
	f([]*cluster.Pod{web(running), job}, "",
		"cluster_containers_waiting reason=ContainerCreating 0",
		"cluster_nodes 1", "cluster_nodes_disk_pressure 0", "cluster_nodes_memory_pressure 0", "cluster_nodes_network_unavailable 0", "cluster_nodes_pid_pressure 0",
		"cluster_nodes_ready 1", "cluster_nodes_unschedulable 0",
		"cluster_pods_pending 0", "cluster_pods_ready 2", "cluster_pods_running 2",
		"kube_node_labels node=n1 label_pool=blue 1",
		"kube_node_spec_unschedulable node=n1 0",
		"kube_node_status_condition node=n1 condition=DiskPressure status=true 0", "kube_node_status_condition node=n1 condition=MemoryPressure status=true 0",
		"kube_node_status_condition node=n1 condition=NetworkUnavailable status=true 0", "kube_node_status_condition node=n1 condition=PIDPressure status=true 0",
		"kube_node_status_condition node=n1 condition=Ready status=true 1",
		"kube_pod_container_status_waiting_reason container=app namespace=shop node=n1 pod=web-1 workload=web workload_kind=Deployment reason=ContainerCreating 0",
		"kube_pod_status_phase namespace=shop node=n1 pod=job-1 phase=Running 1",
		"kube_pod_status_phase namespace=shop node=n1 pod=web-1 workload=web workload_kind=Deployment phase=Pending 0",
		"kube_pod_status_phase namespace=shop node=n1 pod=web-1 workload=web workload_kind=Deployment phase=Running 1",
		"kube_pod_status_ready namespace=shop node=n1 pod=job-1 condition=true 1",
		"kube_pod_status_ready namespace=shop node=n1 pod=web-1 workload=web workload_kind=Deployment condition=true 1",
		"namespace_containers_waiting namespace=shop reason=ContainerCreating 0",
		"namespace_pods_pending namespace=shop 0", "namespace_pods_ready namespace=shop 2", "namespace_pods_running namespace=shop 2",
		"node_pods_pending node=n1 0", "node_pods_ready node=n1 2", "node_pods_running node=n1 2",
		"pool_nodes pool=blue 1", "pool_nodes_disk_pressure pool=blue 0", "pool_nodes_memory_pressure pool=blue 0", "pool_nodes_network_unavailable pool=blue 0", "pool_nodes_pid_pressure pool=blue 0",
		"pool_nodes_ready pool=blue 1", "pool_nodes_unschedulable pool=blue 0",
		"pool_pods_pending pool=blue 0", "pool_pods_ready pool=blue 2", "pool_pods_running pool=blue 2",
		"workload_containers_waiting namespace=shop workload=web workload_kind=Deployment reason=ContainerCreating 0",
		"workload_pods_pending namespace=shop workload=web workload_kind=Deployment 0",
		"workload_pods_ready namespace=shop workload=web workload_kind=Deployment 1",
		"workload_pods_running namespace=shop workload=web workload_kind=Deployment 1")
	done := *job
	done.Phase, done.Ready = "Succeeded", "False"
	f([]*cluster.Pod{&done}, "kube_pod",
		"kube_pod_status_phase namespace=shop node=n1 pod=job-1 phase=Running 0",
		"kube_pod_status_phase namespace=shop node=n1 pod=job-1 phase=Succeeded 1",
		"kube_pod_status_phase namespace=shop node=n1 pod=web-1 workload=web workload_kind=Deployment phase=Running 0",
		"kube_pod_status_ready namespace=shop node=n1 pod=job-1 condition=true 0",
		"kube_pod_status_ready namespace=shop node=n1 pod=web-1 workload=web workload_kind=Deployment condition=true 0")
	nodes = []*cluster.Node{{Name: "n1", Pool: "green", Ready: "Unknown", Unschedulable: true, Pressure: []string{"DiskPressure", "Custom"}}}
	f([]*cluster.Pod{&done}, "kube_node",
		"kube_node_labels node=n1 label_pool=blue 0", "kube_node_labels node=n1 label_pool=green 1",
		"kube_node_spec_unschedulable node=n1 1",
		"kube_node_status_condition node=n1 condition=DiskPressure status=true 1", "kube_node_status_condition node=n1 condition=MemoryPressure status=true 0",
		"kube_node_status_condition node=n1 condition=NetworkUnavailable status=true 0", "kube_node_status_condition node=n1 condition=PIDPressure status=true 0",
		"kube_node_status_condition node=n1 condition=Ready status=true 0")
	nodes = nil
	f(nil, "kube_node", "kube_node_labels node=n1 label_pool=green 0", "kube_node_spec_unschedulable node=n1 0", "kube_node_status_condition node=n1 condition=DiskPressure status=true 0")
	f(nil, "")
	if len(s.lines) != 0 {
		t.Errorf("%d lines are kept of a cluster that is empty", len(s.lines))
	}
}

// TestStatesAreUnderThePicturesNames: a pod that was heard has the names of its other rows, whatever the inventory says it belongs to.
func TestStatesAreUnderThePicturesNames(t *testing.T) {
	s := NewStates(func() []*cluster.Node { return nil }, func() error { return nil })
	heard := &metric.Entity{Level: metric.Pod, Node: "n1", Namespace: "shop", WorkloadKind: "ReplicaSet", Workload: "web-1", Pod: "web-1-a"}
	pod := &cluster.Pod{UID: "1", Namespace: "shop", Name: "web-1-a", Node: "n1", Phase: "Running", Owner: cluster.Target{Kind: "Deployment", Name: "web"}}
	groups := s.Of(&Snapshot{Known: []Known{{Pod: pod, Item: &Item{Entity: heard}}}}, t0)
	want := []string{"cluster_pods_running 1", "kube_pod_status_phase namespace=shop node=n1 pod=web-1-a workload=web-1 workload_kind=ReplicaSet phase=Running 1", "namespace_pods_running namespace=shop 1",
		"node_pods_running node=n1 1", "workload_pods_running namespace=shop workload=web-1 workload_kind=ReplicaSet 1"}
	if d := cmp.Diff(want, lines(groups)); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
	if !slices.ContainsFunc(groups, func(g metric.Group) bool { return g.Entity == heard }) {
		t.Error("its entity is another one than the picture's")
	}
}

// TestWaitingReasons: whoever runs containers may call what they wait for as they like; the labels stay few and short.
func TestWaitingReasons(t *testing.T) {
	s := NewStates(func() []*cluster.Node { return nil }, func() error { return nil })
	seen := map[string]bool{}
	for i := range 1000 {
		p := &cluster.Pod{UID: "1", Namespace: "shop", Name: "web", Phase: "Pending", Containers: []cluster.Container{
			{Name: "a", Waiting: fmt.Sprint("Reason", i)}, {Name: "b", Waiting: strings.Repeat("x", 1<<16)}, {Name: "c", Waiting: "Reason1"}}}
		for _, l := range lines(s.Of(&Snapshot{Known: []Known{{Pod: p}}}, t0.Add(time.Duration(i)*time.Second))) {
			if _, reason, ok := strings.Cut(l, "reason="); ok {
				seen[strings.Fields(reason)[0]] = true
			}
		}
	}
	if len(seen) != 41 || !seen["Other"] || !seen["Reason1"] {
		t.Errorf("got %d reasons", len(seen))
	}
}

// BenchmarkStates says what 30,000 pods on 1,000 nodes cost each time the history is written, and what is kept of a pod.
func BenchmarkStates(b *testing.B) {
	var nodes []*cluster.Node
	snap := &Snapshot{}
	for n := range 1000 {
		node := fmt.Sprint("node-", n)
		nodes = append(nodes, &cluster.Node{Name: node, Pool: fmt.Sprint("pool-", n%4), Ready: "True"})
		for i := range 30 {
			pod := &cluster.Pod{Namespace: fmt.Sprint("ns-", i), Name: fmt.Sprint("pod-", n), Node: node, Phase: "Running", Ready: "True", Owner: cluster.Target{Kind: "Deployment", Name: fmt.Sprint("web-", n%100)}}
			snap.Known = append(snap.Known, Known{Pod: pod, Item: &Item{Entity: &metric.Entity{Level: metric.Pod, Node: node, Namespace: pod.Namespace, WorkloadKind: "Deployment", Workload: pod.Owner.Name, Pod: pod.Name}}})
		}
	}
	before := heapBytes()
	s := NewStates(func() []*cluster.Node { return nodes }, func() error { return nil })
	s.Of(snap, t0)
	held := float64(heapBytes() - before)
	began := cpuTime()
	for b.Loop() {
		s.Of(snap, t0)
	}
	b.ReportMetric(float64((cpuTime()-began).Milliseconds())/float64(b.N), "cpu-ms")
	b.ReportMetric(held/float64(len(snap.Known)), "B/pod")
}
