package kube

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// TestPodOf keeps what a pod asks for as a whole, and why a container of it waits.
func TestPodOf(t *testing.T) {
	amount := func(cpu string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), "example.com/gpu": resource.MustParse("1")}
	}
	p := PodOf(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u", Annotations: map[string]string{mirrorOf: "0a1b"}},
		Spec: corev1.PodSpec{HostNetwork: true, Resources: &corev1.ResourceRequirements{Requests: amount("1"), Limits: amount("2")}, Overhead: amount("50m"), Containers: []corev1.Container{{Name: "app"}, {Name: "log"}}},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "log", ContainerID: "containerd://22", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Unix(7, 0)}}},
			{Name: "app", ContainerID: "containerd://11", RestartCount: 3, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
				LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, StartedAt: metav1.Unix(5, 0)}}}}}})
	if p.CgroupUID != "0a1b" || !p.HostNetwork || len(p.Requests) != 1 || p.Requests[0].Milli != 1000 || len(p.Limits) != 1 || p.Limits[0].Milli != 2000 || len(p.Overhead) != 1 || p.Overhead[0].Milli != 50 {
		t.Errorf("got %+v", p)
	}
	if c := p.Containers[0]; c.ID != "11" || c.Restarts != 3 || c.Waiting != "CrashLoopBackOff" || !c.Started.IsZero() || c.Began.Unix() != 5 {
		t.Errorf("got %+v", c)
	}
	if c := p.Containers[1]; c.ID != "22" || c.Waiting != "" || c.Started.Unix() != 7 || !c.Began.IsZero() {
		t.Errorf("got %+v", c)
	}
}

// TestDetailIsBounded: of what a container leaves behind as it ends so much is kept as a person reads.
func TestDetailIsBounded(t *testing.T) {
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", Message: strings.Repeat("é", 4000)}}
	s := PodOf(&corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "app", State: ended}}}}).Status
	if s.State != "Error" || len(s.Detail) > maxDetail || !strings.HasSuffix(s.Detail, "é…") {
		t.Errorf("got %q and %d bytes %.20q", s.State, len(s.Detail), s.Detail)
	}
}

// TestMirrors: a static pod is found by the UID of its cgroups, whatever others write on theirs, also once those are gone.
func TestMirrors(t *testing.T) {
	v, err := New(Options{Config: &rest.Config{Host: "http://127.0.0.1:1"}, Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	pod := func(uid types.UID, of string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "p-" + string(uid), UID: uid, Annotations: map[string]string{mirrorOf: of}}}
	}
	f := func(step error, want string) {
		t.Helper()
		got := ""
		if p := v.Pod("0a1b"); p != nil {
			got = p.UID
		}
		if step != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, step, want)
		}
	}
	w := v.watches[0]
	f(w.Add(pod("etcd", "0a1b")), "etcd")
	f(w.Add(pod("forged", "0a1b")), "etcd")
	f(w.Update(pod("etcd", "0a1b")), "etcd")
	f(w.Update(pod("forged", "0a1b")), "etcd")
	f(w.Delete(pod("forged", "0a1b")), "etcd")
	f(w.Add(pod("forged", "0a1b")), "etcd")
	f(w.Delete(pod("etcd", "0a1b")), "forged")
	f(w.Add(pod("anew", "0a1b")), "forged")
	f(w.Delete(pod("forged", "0a1b")), "anew")
	f(w.Replace(nil, "1"), "")
	if len(v.cgroups) != 0 {
		t.Errorf("of nothing there is left %v", v.cgroups)
	}
}

// All that a cluster says of how a node is, is kept, as it says it.
func TestNodeConditions(t *testing.T) {
	at := metav1.NewTime(time.Unix(1e9, 0))
	n := nodeOf(&corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
		{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientMemory", LastHeartbeatTime: metav1.Now()},
		{Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue}, {Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "is well", LastTransitionTime: at}}}})
	want := []cluster.NodeCondition{{Type: "MemoryPressure", Status: "False", Reason: "KubeletHasSufficientMemory"}, {Type: "DiskPressure", Status: "True"},
		{Type: "Ready", Status: "True", Reason: "KubeletReady", Message: "is well", Since: at.Time}}
	if d := cmp.Diff(want, n.Conditions); d != "" || len(n.Pressure) != 1 || n.Ready != "True" {
		t.Errorf("%s, pressure %q, ready %q", d, n.Pressure, n.Ready)
	}
}

// The kills of a container's main process are told by the states of its newest two lives; a kill of another process is not its end. What was told before stays known.
func TestKilledForMemory(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 9, 0, time.UTC)
	end := func(life int, reason string, code int32) *corev1.ContainerStateTerminated {
		return &corev1.ContainerStateTerminated{ContainerID: fmt.Sprint("containerd://", life), Reason: reason, ExitCode: code, FinishedAt: metav1.NewTime(at.Add(time.Duration(life) * time.Minute))}
	}
	const oom = "OOMKilled"
	for _, c := range []struct {
		what string
		told [][2]*corev1.ContainerStateTerminated // the present state and the one before
		want string
	}{
		{"nothing", [][2]*corev1.ContainerStateTerminated{{}}, ""},
		{"now", [][2]*corev1.ContainerStateTerminated{{end(1, oom, 137)}}, "1"},
		{"before", [][2]*corev1.ContainerStateTerminated{{nil, end(1, oom, 137)}}, "1"},
		{"both", [][2]*corev1.ContainerStateTerminated{{end(2, oom, 137), end(1, oom, 137)}}, "1 2"},
		{"another end after it", [][2]*corev1.ContainerStateTerminated{{end(2, "Error", 1), end(1, oom, 137)}}, "1"},
		{"another process of it", [][2]*corev1.ContainerStateTerminated{{end(1, oom, 1)}}, ""},
		{"somebody else's", [][2]*corev1.ContainerStateTerminated{{end(1, "Error", 137)}}, ""},
		{"one after the other", [][2]*corev1.ContainerStateTerminated{{}, {nil, end(1, oom, 137)}, {end(2, oom, 137), end(1, oom, 137)}, {nil, end(2, oom, 137)}, {nil, end(3, "Error", 1)}}, "1 2"},
	} {
		v := &Inventory{pods: map[types.UID]*held{}, names: map[string]types.UID{}, spaces: map[string]int{}, cgroups: map[string]types.UID{}}
		for _, told := range c.told {
			status := []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{Terminated: told[0]}, LastTerminationState: corev1.ContainerState{Terminated: told[1]}}}
			v.putPod(convertPod(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u", Namespace: "shop", Name: "web"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}, Status: corev1.PodStatus{ContainerStatuses: status}}))
		}
		var got []string
		for _, k := range v.Pod("u").Containers[0].Kills {
			if got = append(got, k.Life); k.At.Before(at) {
				t.Errorf("%s: %v", c.what, k.At)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: killed %v, want %q", c.what, got, c.want)
		}
	}
}

// A container that has ended and will be started again is told from one that will not: a kubelet says that it waits a minute later at times.
func TestWhatWillBeStartedAgain(t *testing.T) {
	always, never := corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyNever
	f := func(policy corev1.RestartPolicy, own *corev1.ContainerRestartPolicy, code int32, want, wantInit string) {
		t.Helper()
		spec := []corev1.Container{{Name: "c", RestartPolicy: own}}
		status := []corev1.ContainerStatus{{Name: "c", RestartCount: 2, ContainerID: "containerd://1", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: code}}}}
		p := PodOf(&corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: policy, Containers: spec, InitContainers: spec}, Status: corev1.PodStatus{Phase: "Running", ContainerStatuses: status, InitContainerStatuses: status}})
		if c, init := p.Containers[0], p.InitContainers[0]; c.Ended != want || c.Rests() != want || init.Ended != wantInit {
			t.Errorf("policy %q, %v of its own, exit code %d: got %q, of an init container %q; want %q and %q", policy, own, code, c.Ended, init.Ended, want, wantInit)
		}
		if c, init := p.Containers[0], p.InitContainers[0]; c.Done != (want == "") || init.Done != (wantInit == "") {
			t.Errorf("policy %q, %v of its own, exit code %d: done for good is %v, of an init container %v", policy, own, code, c.Done, init.Done)
		}
	}
	f("Always", nil, 3, "Error", "Error")
	f("Always", nil, 0, "Error", "")
	f("OnFailure", nil, 3, "Error", "Error")
	f("OnFailure", nil, 0, "", "")
	f("Never", nil, 3, "", "")
	f("Never", &always, 0, "Error", "Error")
	f("Always", &never, 3, "", "")
}

// A pod whose resize is under way holds the most of what it asks for and has; one whose resize is refused for good holds what it has. Its specification is what
// it asks for all the same.
func TestResize(t *testing.T) {
	of := func(cpu string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	}
	f := func(what, asks, has, reason string, want cluster.Milli) {
		t.Helper()
		p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Resources: corev1.ResourceRequirements{Requests: of(asks), Limits: of("2")}}, {Name: "log", Resources: corev1.ResourceRequirements{Requests: of("5m")}}},
			Overhead: of("1m")},
			Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "app", AllocatedResources: of(has), Resources: &corev1.ResourceRequirements{Requests: of(has), Limits: of("1")}}}}}
		if reason != "" {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodResizePending, Status: "True", Reason: reason}}
		}
		if reason == corev1.PodReasonInfeasible { // of all containers it is known what they have by then
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: "log", AllocatedResources: of("5m")})
		}
		pod := PodOf(p)
		app := pod.Container("app")
		held, _ := pod.Held("cpu")
		one, _ := app.Held().Get("cpu")
		spec, _ := app.Requests.Get("cpu")
		if held != want+6 || one != want || spec != cluster.MilliOf(resource.MustParse(asks)) {
			t.Errorf("%s: the pod holds %v, its container %v of %v, want %v", what, held, one, spec, want)
		}
		if limit, _ := app.Limits.Get("cpu"); limit != 1000 {
			t.Errorf("%s: its limit is %v, not the one in force", what, limit)
		}
		if settled := want == spec; settled != (app.Resized == nil) || settled != (pod.Resized == nil) {
			t.Errorf("%s: got %v, %v", what, app.Resized, pod.Resized)
		}
	}
	f("none", "15m", "15m", "", 15)
	f("up, deferred", "1500m", "15m", corev1.PodReasonDeferred, 1500)
	f("up, infeasible", "1500m", "15m", corev1.PodReasonInfeasible, 15)
	f("down, not done yet", "15m", "1500m", "", 1500)
}
