package process

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler"
	"plimsoll.dev/plimsoll/autoscaler/policy"
)

func TestScaler(t *testing.T) {
	svc := actor("serve", 2)
	svc.Requests = Resources{CPU: 250, Memory: 64 << 20}
	s, _ := run(t, Options{CgroupRoot: "none", Services: []Service{svc}})
	wantStates(t, s, "web-1 ready, web-2 ready")
	scaler, target := Scaler{s}, autoscaler.Target{Namespace: "test", Kind: Kind, Name: "web"}

	sc, err := scaler.Scale(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if sc.Wished != 2 || sc.Observed != 2 || len(sc.Pods) != 2 || len(sc.Members) != 2 {
		t.Fatalf("scale %+v", sc)
	}
	p := sc.Pods[1]
	if p.Name != "web-2" || p.Phase != corev1.PodRunning || p.Ready != corev1.ConditionTrue || p.StartTime.IsZero() || p.ReadyTransition.Before(p.StartTime) {
		t.Errorf("pod %+v", p)
	}
	if cpu, _ := p.Containers[0].Requests.Get("cpu"); cpu != 250 || p.Containers[0].Name != "web" {
		t.Errorf("container %+v", p.Containers)
	}
	if m := sc.Members[0]; m.Name != "web-1" || m.State != "ready" || !m.Ready || m.PID == 0 {
		t.Errorf("member %+v", m)
	}

	if err := scaler.SetScale(t.Context(), target, 3, 4); !errors.Is(err, autoscaler.ErrConflict) {
		t.Errorf("a count that is another: got %v", err)
	}
	if err := scaler.SetScale(t.Context(), target, 2, 1); err != nil {
		t.Fatal(err)
	}
	if sc, _ := scaler.Scale(t.Context(), target); sc.Wished != policy.WishedReplicas(1) || sc.Observed != 1 {
		t.Errorf("scale after SetScale %+v", sc)
	}
	wantStates(t, s, "web-1 ready")
	for _, none := range []autoscaler.Target{{Namespace: "test", Kind: Kind, Name: "x"}, {Namespace: "test", Kind: "Deployment", Name: "web"}} {
		if _, err := scaler.Scale(t.Context(), none); !errors.Is(err, autoscaler.ErrNoTarget) {
			t.Errorf("%v: got %v", none, err)
		}
	}
}
