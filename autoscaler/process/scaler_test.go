package process

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler"
	"plimsoll.dev/plimsoll/internal/cluster"
)

func TestScaler(t *testing.T) {
	svc := actor("serve", 2)
	svc.Requests = Resources{CPU: 250, Memory: 64 << 20}
	s, _ := run(t, Options{CgroupRoot: "none", Node: "n1", Services: []Service{svc}})
	wantStates(t, s, "web-1 ready, web-2 ready")
	scaler, target := Scaler{s}, cluster.Target{Namespace: "test", APIVersion: cluster.APIVersion, Kind: cluster.ProcessService, Name: "web"}

	sc, err := scaler.Scale(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if sc.Desired != 2 || sc.Observed != 2 {
		t.Fatalf("scale %+v", sc)
	}
	pods, err := s.Pods(target)
	if err != nil || len(pods) != 2 || len(s.All()) != 2 || pods[0].UID == pods[1].UID {
		t.Fatalf("pods %+v, %v", pods, err)
	}
	p := pods[1]
	if p.Name != "web-2" || p.Phase != corev1.PodRunning || p.Ready != corev1.ConditionTrue || p.StartTime.IsZero() || p.ReadyTransition.Before(p.StartTime) || p.Owner != target || p.Node != "n1" {
		t.Errorf("pod %+v", p)
	}
	if cpu, _ := p.Containers[0].Requests.Get("cpu"); cpu != 250 || p.Containers[0].Name != "web" {
		t.Errorf("container %+v", p.Containers)
	}
	if m := pods[0]; m.Name != "web-1" || m.Status.State != "ready" || m.Containers[0].PID == 0 {
		t.Errorf("member %+v", m)
	}

	if err := scaler.SetScale(t.Context(), target, 3, 4); !errors.Is(err, autoscaler.ErrConflict) {
		t.Errorf("a count that is another: got %v", err)
	}
	if err := scaler.SetScale(t.Context(), target, 2, 1); err != nil {
		t.Fatal(err)
	}
	if sc, _ := scaler.Scale(t.Context(), target); sc.Desired != cluster.DesiredReplicas(1) || sc.Observed != 1 {
		t.Errorf("scale after SetScale %+v", sc)
	}
	wantStates(t, s, "web-1 ready")
	for _, none := range []cluster.Target{{Namespace: "test", APIVersion: cluster.APIVersion, Kind: cluster.ProcessService, Name: "x"}, {Namespace: "test", Kind: "Deployment", Name: "web"}, {APIVersion: "v1", Kind: cluster.ProcessService, Namespace: "test", Name: "web"}} {
		if _, err := s.Pods(none); !errors.Is(err, cluster.ErrNoTarget) {
			t.Errorf("pods of %v: got %v", none, err)
		}
		if _, err := scaler.Scale(t.Context(), none); !errors.Is(err, cluster.ErrNoTarget) {
			t.Errorf("%v: got %v", none, err)
		}
	}
}
