package names

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// inventory is a list of pods that may grow.
type inventory struct {
	mu   sync.Mutex
	pods []*cluster.Pod
}

func (i *inventory) All() []*cluster.Pod {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.pods
}

func (i *inventory) Pods(cluster.Target) ([]*cluster.Pod, error) { return nil, cluster.ErrNoTarget }

func (i *inventory) add(p *cluster.Pod) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.pods = append(i.pods, p)
}

// TestReplicasAreNamedByTheInventory: what lies in our folder is a replica once the inventory has it, and is not measured before.
func TestReplicasAreNamedByTheInventory(t *testing.T) {
	inv := &inventory{}
	n := childless(t, Options{Inventory: inv, Own: "plimsoll-4711"})
	path := "/plimsoll-4711/demo/web/web-1"
	if e, ok := n.Name(path); ok {
		t.Errorf("measured as %+v before the inventory has it", *e)
	}
	inv.add(&cluster.Pod{UID: "a", Namespace: "demo", Name: "web-1", Owner: cluster.Target{Kind: cluster.ProcessService, Namespace: "demo", Name: "web"},
		Containers: []cluster.Container{{Name: "web", Cgroup: path}}})
	got, ok := n.Name(path)
	if !ok {
		t.Fatal("not measured although the inventory has it")
	}
	want := named("demo", "ProcessService", "web", "web-1", "web", "process")
	want.ID = path
	if d := cmp.Diff(*got, want); d != "" {
		t.Errorf("entity (-got +want):\n%s", d)
	}
	if again, _ := n.Name(path); again != got {
		t.Error("the pointer changed")
	}
	inv.pods = nil // it has ended, its cgroup stands for a moment more
	if again, _ := n.Name(path); again != got {
		t.Error("it lost its name with its end")
	}
	if _, ok := n.Name("/plimsoll-4711/demo/web/forged"); ok {
		t.Error("a cgroup in our folder that nobody knows is measured")
	}
	other, ok := n.Name("/plimsoll-9/demo/web/web-1")
	if !ok || other.Namespace != "plimsoll-9" || identity.KeyOf(other) == identity.KeyOf(got) {
		t.Errorf("another Plimsoll's replica is %+v, %v", other, ok)
	}
}

// TestNamesComeBeforeSamples: a container is not measured until its runtime has told its name, its socket has failed, or two seconds.
func TestNamesComeBeforeSamples(t *testing.T) {
	a, b := "/docker/"+idA, "/system.slice/docker-"+idB+".scope"
	synctest.Test(t, func(t *testing.T) {
		n := childless(t, Options{Sockets: []string{"/run/docker.sock"}})
		if _, ok := n.Name(a); ok {
			t.Error("measured before the socket was asked")
		}
		if _, ok := n.Name("/system.slice/ssh.service"); !ok {
			t.Error("a unit waits for Docker's socket")
		}
		if _, ok := n.Name("/machine.slice/libpod-" + idA + ".scope"); !ok {
			t.Error("podman's container waits for Docker's socket")
		}
		n.replace(n.sockets[0], map[string]info{idA: {name: "web"}})
		n.note(n.sockets[0], nil, 1)
		if got := nameOf(n, a); got != "docker/web/web" {
			t.Errorf("got %q, want docker/web/web", got)
		}
		if _, ok := n.Name(b); ok {
			t.Error("a container that the socket has still to tell of is measured")
		}
		time.Sleep(wait)
		if got, want := nameOf(n, b), "docker/"+idB[:12]+"/"+idB[:12]; got != want {
			t.Errorf("after two seconds: got %q, want %q", got, want)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		n := childless(t, Options{Sockets: []string{"/run/docker.sock"}})
		n.Name(a)
		n.note(n.sockets[0], os.ErrNotExist, 0)
		if _, ok := n.Name(a); !ok {
			t.Error("not measured although the socket has failed")
		}
	})
}

// TestNoTwoCgroupsHaveOneName: whatever is measured, each has a key of its own, and the same one after a restart, in whichever order the
// cgroups were seen.
func TestNoTwoCgroupsHaveOneName(all *testing.T) {
	units := []string{"a.service", "b.service", "init.scope", "session-1.scope", "a@1.service", "a@2.service", `a\x2db.service`, "a-b.service", "user@1000.service",
		"user@1001.service", "system.slice", "app.slice", "session.slice", "system-a.slice", "app-a.slice", "user.slice", "user-1000.slice", "user-1001.slice", "machine.slice",
		"lxc.payload.web", "lxc", "web", "batch", "cgroup", "system", "docker", "default", "team", "plimsoll-1", "plimsoll-2", "demo", "web-1", "kubepods", "libpod_parent",
		strings.Repeat("x", 300), strings.Repeat("x", 299) + "y", "a\x01", "a", "\xff", "\xfe"}
	rapid.Check(all, func(t *rapid.T) {
		var paths []string
		for range rapid.IntRange(2, 40).Draw(t, "paths") {
			p := ""
			for range rapid.IntRange(1, 5).Draw(t, "depth") {
				p += "/" + rapid.SampledFrom(units).Draw(t, "part")
			}
			switch rapid.IntRange(0, 8).Draw(t, "end") {
			case 0:
				p += "/" + anID(t)
			case 1:
				p += "/docker-" + anID(t) + ".scope"
			case 2:
				p = "/docker/" + anID(t)
			case 3:
				p = "/system.slice/libpod-" + anID(t) + ".scope"
			}
			paths = append(paths, p)
		}
		told := map[string]info{}
		for i, project := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"", "shop", "system", "docker@user-1000", "cgroup", "user-1000"}), 0, 4, rapid.ID).Draw(t, "projects") {
			told[idOf(i+1)] = info{name: fmt.Sprint("web-", i), project: project, service: "web"}
		}
		naming := func(order []string) map[string]identity.Key {
			n := childless(all, Options{})
			n.replace(newSocket("/run/docker.sock"), told)
			for _, p := range order {
				n.Name(p)
			}
			out := map[string]identity.Key{}
			for _, p := range order {
				if e, ok := n.Name(p); ok && e.Level == metric.Container {
					out[p] = identity.KeyOf(e)
				}
			}
			return out
		}
		got := naming(paths)
		by := map[identity.Key]string{}
		for p, k := range got {
			if other, twice := by[k]; twice {
				t.Fatalf("%q and %q are both %+v", p, other, k)
			}
			by[k] = p
			if k = identity.PodKey(k.Node, k.Namespace, k.Of); k.Namespace != "kubernetes" { // whose pods have several containers
				if other, twice := by[k]; twice {
					t.Fatalf("%q and %q are both of pod %+v", p, other, k)
				}
				by[k] = p
			}
		}
		if d := cmp.Diff(got, naming(rapid.Permutation(paths).Draw(t, "order"))); d != "" {
			t.Fatalf("names follow from the order: %s", d)
		}
	})
}

// anID draws a container's id, often one of few.
func anID(t *rapid.T) string {
	return idOf(rapid.IntRange(1, rapid.SampledFrom([]int{3, 1e6}).Draw(t, "few")).Draw(t, "id"))
}

func idOf(i int) string { return fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, i))) }
