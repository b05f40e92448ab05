package collector

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"plimsoll.dev/plimsoll/collector/host"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// namerFunc is a Namer that is a function.
type namerFunc func(path string) (*metric.Entity, bool)

func (f namerFunc) Name(path string) (*metric.Entity, bool) { return f(path) }
func (f namerFunc) Waits(path string) bool                  { return path == "/docker/nameless" }

func TestMeasured(t *testing.T) {
	p := NewPods("n1", "plimsoll", host.Host{}, 1, namerFunc(func(path string) (*metric.Entity, bool) {
		return nil, path == "/" || strings.HasPrefix(path, "/docker/") && path != "/docker/nameless" && strings.Count(path, "/") == 2
	}), nil)
	f := func(path string, want bool, controllers ...string) {
		t.Helper()
		if got := p.measured(procfs.Cgroup{Path: path, Controllers: controllers}); got != want {
			t.Errorf("measured(%q of %q) = %v, want %v", path, controllers, got, want)
		}
	}
	f("/docker/1", true) // version 2
	f("/docker/1", true, "cpu", "cpuacct")
	f("/docker/1", true, "cpuacct")
	f("/docker/1/part/of/it", true)
	f("/docker/1", false, "cpuset")
	f("/docker/1", false, "name=systemd")
	f("/docker/nameless", true) // its runtime has not answered yet
	f("/", false)
	f("/", false, "cpu")
	f("/user.slice", false)
}

// Plimsoll measures itself unless a container that is measured holds it.
func TestSelf(t *testing.T) {
	self, err := procfs.Self()
	if err != nil {
		t.Fatal(err)
	}
	all, err := self.Cgroups()
	if err != nil {
		t.Fatal(err)
	}
	var p *Pods
	for _, every := range []bool{false, true} {
		p = NewPods("n1", "plimsoll", host.Host{}, os.Getpid(), namerFunc(func(string) (*metric.Entity, bool) { return nil, every }), nil)
		held := false
		for _, c := range all {
			held = held || p.measured(c)
		}
		if got := p.Processes(); (len(got) == 0) != held {
			t.Errorf("with every cgroup measured %v: %d processes, and its cgroups are %+v", every, len(got), all)
		}
	}
	gone := NewPods("n1", "plimsoll", host.Host{}, 1<<30, p.names, nil)
	if gone.inContainer() {
		t.Error("a process that there is not is in a container")
	}
}

// pods is an Inventory of a list.
type pods []*cluster.Pod

func (p pods) All() []*cluster.Pod                         { return p }
func (p pods) Pods(cluster.Target) ([]*cluster.Pod, error) { return p, nil }

// What a container asks for of other resources is no memory.
func TestRequestsOfOtherResources(t *testing.T) {
	e := &metric.Entity{Level: metric.Container, Namespace: "demo", Pod: "web-1", Container: "web"}
	known := pods{{Namespace: "demo", Name: "web-1", Containers: []cluster.Container{{Name: "web", Cgroup: "/x", PID: 7, Restarts: 2, Requests: cluster.Resources{
		{Name: "memory", Milli: 64e3}, {Name: "ephemeral-storage", Milli: 1e9}, {Name: "cpu", Milli: 250}, {Name: "nvidia.com/gpu", Milli: 1000}}}}}}
	got, gaps := NewPods("n1", "plimsoll", host.Host{}, 1, namerFunc(func(string) (*metric.Entity, bool) { return e, true }), known).Read(time.Now())
	if len(got) != 1 || len(gaps) != 0 {
		t.Fatalf("got %+v, %+v", got, gaps)
	}
	values := map[metric.ID]float64{}
	for _, p := range got[0].Points {
		values[p.ID] = p.V
	}
	if len(got[0].Points) != 3 || values[metric.CPURequest] != .25 || values[metric.MemoryRequest] != 64 || values[metric.Restarts] != 2 {
		t.Errorf("got %v", got[0].Points)
	}
}
