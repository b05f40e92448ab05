package api

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/scope"
)

// asking is a pod with one container that asks for something.
func asking(name, node string, cpu, memory cluster.Milli) *cluster.Pod {
	return &cluster.Pod{Namespace: "shop", Name: name, Node: node, Owner: cluster.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}, Phase: "Running",
		Status:     cluster.Status{State: "Running", Since: noon.Add(-time.Hour)},
		Containers: []cluster.Container{{Name: "app", Restarts: 2, Requests: cluster.Resources{{Name: "cpu", Milli: cpu}, {Name: "memory", Milli: memory}}}}}
}

// A machine's answer has the pods on it with what they use and ask for, those too of which nothing was heard, and what the cluster says of the machine.
func TestOneMachine(t *testing.T) {
	node := item(metric.Entity{Level: metric.Node, Node: "n1", ID: "/"}, val{metric.CPUUsage, "", 1, .5}, val{metric.CPUAllocatable, "", 1.9, 0}, val{metric.CPURequest, "", .35, 0})
	web := container("shop", "Deployment", "web", "web-1", "containerd", "/kubepods/a", val{metric.CPUUsage, "", 9, .2}, val{metric.CPURequest, "", .25, 0}, val{metric.MemoryWorkingSet, "", 50 * mib, 0})
	web.Entity.Container = "app"
	unit := container("system@node", "Unit", "ssh.service", "ssh.service", "systemd", "/system.slice/ssh.service", val{metric.CPUUsage, "", 9, .1})
	s := snapshotOf([]*live.Item{node}, []*live.Item{web, unit})
	done := asking("done", "n1", 500, 0)
	done.Phase = "Succeeded"
	starts := asking("web-2", "n1", 100, 64*mib*1000)
	starts.Phase, starts.Status.State = "Pending", "ContainerCreating"
	starts.Overhead = cluster.Resources{{Name: "cpu", Milli: 50}}
	starts.InitContainers = []cluster.Container{{Name: "once", Requests: cluster.Resources{{Name: "cpu", Milli: 900}}}, {Name: "side", Always: true, Requests: cluster.Resources{{Name: "cpu", Milli: 10}}}}
	runs := asking("web-1", "n1", 250, 0)
	runs.InitContainers = []cluster.Container{{Name: "once"}, {Name: "side", Always: true, Restarts: 3, Started: noon}}
	runs.Ephemeral = []cluster.Container{{Name: "looked", Done: true}, {Name: "debugger", Started: noon}}
	know(s, runs, starts, asking("web-3", "n2", 100, 0), done)
	nodes := []*cluster.Node{{Name: "n1", Ready: "True", MaxPods: 110, Allocatable: cluster.Resources{{Name: "memory", Milli: 1000 * 1000 * mib}}, Conditions: []cluster.NodeCondition{
		{Type: "MemoryPressure", Status: "False", Reason: "KubeletHasSufficientMemory"}, {Type: "Ready", Status: "True", Reason: "KubeletReady", Message: "kubelet is posting ready status", Since: noon.Add(-time.Hour)}}},
		{Name: "n2", Ready: "Unknown"}}
	a := newAPI(t, func(o *Options) {
		o.Pictures, o.Nodes = pictures(func(time.Time) *live.Snapshot { return s }), func() []*cluster.Node { return nodes }
	})
	ask := func(name string) (m Machine) {
		t.Helper()
		rec := get(served(a), "/plimsoll/v1/nodes/"+name)
		if err := json.Unmarshal(rec.Body.Bytes(), &m); err != nil || rec.Code != 200 {
			t.Fatalf("%d %v: %s", rec.Code, err, rec.Body)
		}
		return m
	}
	m := ask("n1")
	var rows []string
	for _, p := range m.Pods {
		gap := ""
		if p.Gap != nil {
			gap = p.Gap.Reason
		}
		rows = append(rows, strings.Join([]string{p.Title, p.WorkloadKind + "/" + p.Workload, p.State, gap, strings.Join(p.Containers, "+")}, " "))
	}
	want := []string{"shop/web-1 Deployment/web Running  app+side+debugger", "shop/web-2 Deployment/web ContainerCreating starting app+side", "ssh.service Unit/ssh.service   ssh.service"}
	if !slices.Equal(rows, want) {
		t.Fatalf("pods: got\n%q\nwant\n%q", rows, want)
	}
	one, two := m.Pods[0], m.Pods[1]
	if *one.CPU != .2 || *one.CPURequest != .25 || *one.WorkingSet != 50*mib || *one.Restarts != 5 || !one.Since.Equal(noon.Add(-time.Hour)) {
		t.Errorf("web-1: %+v", one)
	}
	if two.CPU != nil || *two.CPURequest != .95 || *two.MemoryRequest != 64*mib {
		t.Errorf("web-2, of which nothing was heard: %+v asks for %g CPU", two, or(two.CPURequest, -1))
	}
	if *m.CPURoom.Allocatable != 1.9 || *m.CPURoom.Requests != .35 || *m.MemoryRoom.Allocatable != 1000*mib || *m.MemoryRoom.Requests != 64*mib || *m.MaxPods != 110 {
		t.Errorf("room: %+v %+v, %v pods", m.CPURoom, m.MemoryRoom, m.MaxPods)
	}
	if len(m.Conditions) != 2 || m.Conditions[0].Type != "Ready" || !m.Conditions[0].Since.Equal(noon.Add(-time.Hour)) || m.Conditions[1].Status != "False" || m.Conditions[1].Since != nil {
		t.Errorf("conditions: %+v", m.Conditions)
	}
	if m := ask("n2"); len(m.Pods) != 1 || m.Pods[0].Gap == nil || m.Gap.Reason != "unread" || *m.CPURoom.Requests != .1 || m.CPURoom.Allocatable != nil {
		t.Errorf("a machine of which nothing was heard: %+v", m)
	}
	if rec := get(served(a), "/plimsoll/v1/nodes/n3"); rec.Code != 404 || !strings.Contains(rec.Body.String(), `"n3"`) {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
	if rec := get(served(a), "/plimsoll/v1/nodes/n1?limit=1"); rec.Code != 400 {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
	if rec := get(seenBy(a, scope.Of(false, false, "shop")), "/plimsoll/v1/nodes/n1"); rec.Code != 403 {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
	rec := get(seenBy(a, scope.Of(true, false, "other")), "/plimsoll/v1/nodes/n2")
	if strings.Contains(rec.Body.String(), "web-3") || !strings.Contains(rec.Body.String(), `"requests":null`) {
		t.Errorf("who does not see the namespace is told: %s", rec.Body)
	}
}
