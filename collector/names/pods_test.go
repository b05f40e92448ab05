package names

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// node is a Pods of a map: what the API server has told so far.
type node map[string]*cluster.Pod

func (n node) Pod(uid string) *cluster.Pod {
	if p := n[uid]; p != nil {
		return p
	}
	for _, p := range n {
		if p.CgroupUID == uid {
			return p
		}
	}
	return nil
}

var web = cluster.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}

func podOf(uid, name string, owner cluster.Target, containers ...cluster.Container) *cluster.Pod {
	return &cluster.Pod{UID: uid, Namespace: "shop", Name: name, Owner: owner, Containers: containers}
}

// TestPodPaths: a pod's container is found below every root, by both drivers, in all classes of quality of service, by whichever runtime; what
// only groups them, the pod's own cgroup and what is inside a container are not measured.
func TestPodPaths(t *testing.T) {
	static := strings.Repeat("ab", 16)
	all := node{uid: podOf(uid, "web-1", web, cluster.Container{Name: "app", ID: idA, Image: "web:2"}),
		"mirror": {UID: "mirror", CgroupUID: static, Namespace: "kube-system", Name: "etcd-n1", Owner: cluster.Target{APIVersion: "v1", Kind: "Node", Name: "n1"}, Containers: []cluster.Container{{Name: "etcd", ID: idB}}}}
	f := func(path string, want metric.Entity) {
		t.Helper()
		got, ok := childless(t, Options{Pods: all}).Name(path)
		if want != none {
			want.ID = path
		}
		if ok != (want != none) || ok && *got != want {
			t.Errorf("%s: got %+v, want %+v", path, got, want)
		}
	}
	app := func(runtime string) metric.Entity {
		e := named("shop", "Deployment", "web", "web-1", "app", runtime)
		e.Image = "web:2"
		return e
	}
	u := strings.ReplaceAll(uid, "-", "_")
	for _, root := range []string{"", "/kubelet", "/node2", "/plimsoll-e2e/node1", "/k3s"} {
		for _, class := range []string{"", "/burstable", "/besteffort"} {
			above := root + "/kubepods" + class + "/pod" + uid
			f(above+"/"+idA, app("containerd"))
			f(above+"/crio-"+idA, app("cri-o"))
			f(above+"/crio-conmon-"+idA, none)
			f(above, none)
			f(above+"/"+idA+"/init", none)
			f(above+"/"+idA+"/kubepods/pod"+uid+"/"+idA, none)
			f(root+"/kubepods"+class, none)
		}
	}
	for _, slice := range []string{"/kubepods.slice/kubepods", "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods", "/a.slice/a-b.slice/a-b-kubepods.slice/a-b-kubepods"} {
		for _, class := range []string{"", "-burstable", "-besteffort"} {
			above := slice
			if class != "" {
				above = slice + class + ".slice/" + slice[strings.LastIndex(slice, "/")+1:] + class
			}
			above += "-pod" + u + ".slice"
			f(above+"/cri-containerd-"+idA+".scope", app("containerd"))
			f(above+"/crio-"+idA+".scope", app("cri-o"))
			f(above+"/docker-"+idA+".scope", app("docker"))
			f(above, none)
			f(above+"/cri-containerd-"+idA+".scope/sub", none)
		}
	}
	etcd := named("kube-system", "Node", "n1", "etcd-n1", "etcd", "containerd")
	f("/kubepods/burstable/pod"+static+"/"+idB, etcd)
	f("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"+static+".slice/cri-containerd-"+idB+".scope", etcd)
	f("/kubepods/pod"+uid+"/"+idB, none) // the pause container, as far as the pod goes
	f("/kubepods/pod"+strings.Replace(uid, "1", "2", 1)+"/"+idA, none)
	// What is not of Kubernetes has its name, in a namespace that Kubernetes cannot have.
	f("/docker/"+idB, named("docker@node", "Docker", idB[:12], idB[:12], idB[:12], "docker"))
	f("/system.slice/kubelet.service", named("system@node", "Unit", "kubelet.service", "kubelet.service", "kubelet.service", "systemd"))
	f("/node2/x", named("cgroup@node", "Cgroup", "node2", "node2/x", "x", "cgroup"))
}

// TestEveryKindOfContainer: init containers, sidecars and ephemeral ones have their names as the others do.
func TestEveryKindOfContainer(t *testing.T) {
	p := podOf(uid, "web-1", web, cluster.Container{Name: "app", ID: idOf(1)}, cluster.Container{Name: "log", ID: idOf(2)})
	p.InitContainers = []cluster.Container{{Name: "init", ID: idOf(3)}, {Name: "mesh", ID: idOf(4), Always: true}}
	p.Ephemeral = []cluster.Container{{Name: "debugger", ID: idOf(5)}}
	n, ended := childless(t, Options{Pods: node{uid: p}}), ""
	n.exists = func(path string) bool { return path != ended }
	for i, want := range []string{"app", "log", "init", "mesh", "debugger"} {
		e, ok := n.Name("/kubepods/pod" + uid + "/" + idOf(i+1))
		if !ok || e.Container != want || n.Container(idOf(i+1)) != e {
			t.Errorf("got %+v, by its id %+v, want %s", e, n.Container(idOf(i+1)), want)
		}
	}
	app, _ := n.Name("/kubepods/pod" + uid + "/" + idOf(1))
	if ended = app.ID; n.Container(idOf(1)) != nil {
		t.Error("a container that has ended is spoken of because its pod has")
	}
	anew := *p
	anew.UID = strings.Replace(uid, "1", "2", 1)
	if n.Last(p, &p.Containers[0]) != app || n.Last(&anew, &p.Containers[0]) != nil || n.Last(p, &cluster.Container{Name: "x"}) != nil {
		t.Error("it was measured last, and no other")
	}
	if absent := n.Absent(p, &p.Containers[0]); !identity.Same(absent, app) || identity.KeyOf(absent).InCluster() != identity.KeyOf(app) {
		t.Errorf("without a cgroup it is %+v, not %+v", absent, app)
	}
	if e := n.Container(idOf(6)); e != nil {
		t.Errorf("nobody's id is %+v", e)
	}
}

// TestPodsAreWaitedFor: a pod of which nothing is told yet is not measured by an id, however long that takes, and another node's never is.
func TestPodsAreWaitedFor(t *testing.T) {
	all := node{}
	n := childless(t, Options{Pods: all})
	path, pause := "/kubepods/pod"+uid+"/"+idA, "/kubepods/pod"+uid+"/"+idB
	f := func(path, want string) {
		t.Helper()
		e, ok := n.Name(path)
		got := ""
		if ok {
			got = e.WorkloadKind + "/" + e.Workload + "/" + e.Pod + "/" + e.Container
		}
		if got != want || n.Waits(path) != (want == "") {
			t.Errorf("%s: got %q, want %q; it waits: %v", path, got, want, n.Waits(path))
		}
	}
	f(path, "")
	another := "/node2/kubepods/pod" + strings.Replace(uid, "1", "2", 1) + "/" + idOf(9)
	f(another, "")
	all[uid] = podOf(uid, "web-1", web) // its container has just been made, the kubelet has not told its id
	f(path, "")
	all[uid] = podOf(uid, "web-1", cluster.Target{Kind: "ReplicaSet", Name: "web-7d"}, cluster.Container{Name: "app", ID: idA})
	f(path, "ReplicaSet/web-7d/web-1/app")
	f(pause, "")
	first, _ := n.Name(path)
	all[uid] = podOf(uid, "web-1", cluster.Target{Kind: "ReplicaSet", Name: "web-7d"}, cluster.Container{Name: "app", ID: idA, Restarts: 1})
	if again, _ := n.Name(path); again != first {
		t.Error("the pointer changed with something that is no name")
	}
	all[uid] = podOf(uid, "web-1", web, cluster.Container{Name: "app", ID: idA}) // whose ReplicaSet was not told at first
	f(path, "Deployment/web/web-1/app")
	delete(all, uid) // it is gone, its cgroup stands for a moment more
	f(path, "Deployment/web/web-1/app")
	f(pause, "")
	f(another, "")
}

// TestOneOfAName: a container that is started again, and a pod that is made anew under its name while what was there before still runs, have their
// names alone, the newest first, and the one before never gets them back.
func TestOneOfAName(t *testing.T) {
	all := node{uid: podOf(uid, "web-1", web, cluster.Container{Name: "app", ID: idOf(1)})}
	n := childless(t, Options{Pods: all})
	other := strings.Replace(uid, "1", "2", 1)
	paths := []string{"/kubepods/pod" + uid + "/" + idOf(1), "/kubepods/pod" + uid + "/" + idOf(2), "/kubepods/burstable/pod" + other + "/" + idOf(3)}
	f := func(want int) {
		t.Helper()
		for _, p := range paths {
			n.Name(p)
		}
		for i, p := range paths {
			e, ok := n.Name(p)
			if ok != (i == want) || ok && (e.ID != p || e.Pod != "web-1" || e.Container != "app") {
				t.Errorf("%s: got %+v, want the names at %d", p, e, want)
			}
		}
	}
	f(0)
	all[uid] = podOf(uid, "web-1", web, cluster.Container{Name: "app", ID: idOf(2), Restarts: 1})
	f(1)
	all[uid] = podOf(uid, "web-1", web, cluster.Container{Name: "app", ID: idOf(1)}) // an old state, from another API server
	f(1)
	delete(all, uid)
	f(1)
	all[other] = podOf(other, "web-1", web, cluster.Container{Name: "app", ID: idOf(3)})
	f(2)
	delete(all, other)
	f(2)
}

// TestForgedPodCgroups: who may make cgroups in a container's tree or elsewhere does not take a pod's names.
func TestForgedPodCgroups(t *testing.T) {
	all := node{uid: podOf(uid, "web-1", web, cluster.Container{Name: "app", ID: idA})}
	n := childless(t, Options{Pods: all})
	path := "/kubepods/pod" + uid + "/" + idA
	for _, forged := range []string{"/batch" + path, "/docker/" + idB + path, "/kubepods/pod" + strings.Replace(uid, "1", "2", 1) + "/" + idB + path} {
		n.Name(forged)
		if got, ok := n.Name(path); !ok || got.Container != "app" {
			t.Errorf("beside %s the container is %+v", forged, got)
		}
		if got, ok := n.Name(forged); ok && got.Namespace == "shop" {
			t.Errorf("%s is %+v", forged, got)
		}
	}
}

// TestNamesFromOutside: an owner may be called anything by whoever makes a pod.
func TestNamesFromOutside(t *testing.T) {
	p := podOf(uid, "web-1", cluster.Target{Kind: "K\x1b[2J", Name: strings.Repeat("x", 64<<10)}, cluster.Container{Name: "app", ID: idA, Image: "i\n" + strings.Repeat("y", 64<<10)})
	e, ok := childless(t, Options{Pods: node{uid: p}}).Name("/kubepods/pod" + uid + "/" + idA)
	if !ok || len(e.Workload) > maxName || len(e.Image) > maxName || strings.ContainsAny(e.WorkloadKind+e.Image, "\x1b\n") {
		t.Errorf("got %+v", e)
	}
}

// TestPodsInAnyOrder: whatever the API server tells and the machine makes in whichever order, each pod's container that is measured has the names
// that were told of its own UID and id, no two have one name, and what is told and stands is measured.
func TestPodsInAnyOrder(all *testing.T) {
	rapid.Check(all, func(t *rapid.T) {
		told := node{}
		n := childless(all, Options{Pods: told})
		type life struct{ pod, uid, container, id string }
		var stand []life                // cgroups, which go later than their containers
		current := map[[2]string]life{} // pod and container -> what runs
		serial := 0
		tell := func(pod string) { // as the API server has it now
			for u, p := range told {
				if p.Name == pod {
					delete(told, u)
				}
			}
			var p *cluster.Pod
			for _, l := range current {
				if l.pod == pod {
					if p == nil {
						p = podOf(l.uid, pod, web)
						told[l.uid] = p
					}
					p.Containers = append(p.Containers, cluster.Container{Name: l.container, ID: l.id})
				}
			}
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			pod := fmt.Sprint("web-", rapid.IntRange(0, 2).Draw(t, "pod"))
			container := rapid.SampledFrom([]string{"app", "log"}).Draw(t, "container")
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0: // a pod made anew under its name, perhaps while the one before still stands
				serial++
				for k := range current {
					if k[0] == pod {
						delete(current, k)
					}
				}
				u := fmt.Sprintf("%08d-9d40-4c1a-8a55-0123456789ab", serial)
				current[[2]string{pod, container}] = life{pod, u, container, idOf(serial)}
				stand = append(stand, current[[2]string{pod, container}])
			case 1: // a container started again
				if l, ok := current[[2]string{pod, container}]; ok {
					serial++
					l.id = idOf(serial)
					current[[2]string{pod, container}] = l
					stand = append(stand, l)
				}
			case 2:
				tell(pod)
			case 3:
				if len(stand) > 0 {
					i := rapid.IntRange(0, len(stand)-1).Draw(t, "gone")
					stand = append(stand[:i:i], stand[i+1:]...)
				}
			case 4:
				n.sweep()
			}
			seen := map[identity.Key]life{}
			for tick := range 2 { // in the first the one before may be asked about before the one after it
				clear(seen)
				for _, l := range stand {
					e, ok := n.Name("/kubepods/pod" + l.uid + "/" + l.id)
					if !ok {
						continue
					}
					if e.Pod != l.pod || e.Container != l.container || e.Workload != "web" || !strings.Contains(e.ID, l.id) {
						t.Fatalf("%+v is named %+v", l, *e)
					}
					if other, twice := seen[identity.KeyOf(e)]; twice && tick == 1 {
						t.Fatalf("%+v and %+v have one name", l, other)
					}
					seen[identity.KeyOf(e)] = l
				}
			}
			for _, l := range stand {
				p := told.Pod(l.uid)
				if p == nil || withID(p, l.id) == nil {
					continue
				}
				e, ok := n.Name("/kubepods/pod" + l.uid + "/" + l.id)
				if !ok {
					t.Fatalf("%+v was told and stands, and is not measured", l)
				}
				if d := cmp.Diff(seen[identity.KeyOf(e)].id, l.id); d != "" {
					t.Fatalf("%+v: %s", l, d)
				}
			}
		}
	})
}

// Of a container whose pod is known it is known whether it is in its node's network.
func TestHostNetwork(t *testing.T) {
	host := podOf(uid, "web-1", web, cluster.Container{Name: "app", ID: idA})
	host.HostNetwork = true
	other := strings.Replace(uid, uid[:1], "f", 1)
	n := childless(t, Options{Pods: node{uid: host, other: podOf(other, "web-2", web, cluster.Container{Name: "app", ID: idB})}})
	for path, want := range map[string]bool{"/kubepods/pod" + uid + "/" + idA: true, "/kubepods/pod" + other + "/" + idB: false, "/system.slice/ssh.service": false} {
		if n.HostNetwork(path) {
			t.Errorf("%s: known before it was asked for", path)
		}
		if _, named := n.Name(path); !named || n.HostNetwork(path) != want {
			t.Errorf("%s: named %v, in its node's network %v, want %v", path, named, n.HostNetwork(path), want)
		}
	}
}
