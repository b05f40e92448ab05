package cluster_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// podMetrics is what metrics.k8s.io says of a pod.
type podMetrics struct {
	Timestamp  time.Time
	Window     string
	Containers []struct{ Name string }
}

// TestKubelets runs a server without any collector: it reads the kubelets and serves what they say, marked. A collector that comes takes its node over.
func TestKubelets(t *testing.T) {
	ours(t)
	long(t)
	ns := namespace(t)
	account(t, ns, "collector", collecting...)
	began := time.Now()
	s := server(t, 8447)
	create(t, ns, "busy", "node1", corev1.PodSpec{Containers: []corev1.Container{container("app", "100m 64Mi", "200m 128Mi", "-cpu=50", "-memory=50"), container("idle", "10m 16Mi", "")}})
	create(t, ns, "other", "node2", corev1.PodSpec{Containers: []corev1.Container{container("app", "100m 64Mi", "", "-cpu=50")}})
	account(t, ns, "viewer", rbacv1.PolicyRule{APIGroups: []string{"metrics.k8s.io"}, Resources: []string{"pods", "nodes"}, Verbs: []string{"get", "list"}}, rbacv1.PolicyRule{NonResourceURLs: []string{"*"}, Verbs: []string{"*"}})
	admin := token(t, ns, "viewer", "", nil)

	first := time.Time{}
	until(t, "a pod's values", func() error {
		body, err := s.get("/apis/metrics.k8s.io/v1/namespaces/"+ns+"/pods/busy", admin)
		if err != nil {
			return err
		}
		var m podMetrics
		if err := json.Unmarshal([]byte(body), &m); err != nil || len(m.Containers) != 2 || m.Timestamp.IsZero() {
			return fmt.Errorf("%s %w", body, err)
		}
		if first.IsZero() {
			first = time.Now()
			t.Logf("%v after the start: %s", first.Sub(began).Round(time.Second), body)
		}
		return nil
	})
	until(t, "values by what is known", func() error {
		for k, node := range map[string]string{"busy/app": "node1", "busy/idle": "node1", "other/app": "node2"} {
			c, ok := s.containers(t, admin, ns)[k]
			switch {
			case !ok || c.CPU == nil || c.WorkingSet == nil || c.Gap != nil || c.Node != node || c.Source != "kubelet":
				return fmt.Errorf("%s is %+v", k, c)
			case k == "busy/idle":
			case *c.CPU < 0.047 || *c.CPU > 0.053:
				return fmt.Errorf("50 millicores of %s are %v", k, *c.CPU)
			}
		}
		c := s.containers(t, admin, ns)["busy/app"]
		if mib := *c.WorkingSet / (1 << 20); mib < 48 || mib > 52 || c.CPURequest == nil || *c.CPURequest != 0.1 || c.CPULimit == nil || *c.CPULimit != 0.2 {
			return fmt.Errorf("%.1f MiB, asks for %v", mib, c.CPURequest)
		}
		return nil
	})
	for _, node := range []string{"node1", "node2"} {
		if body, err := s.get("/apis/metrics.k8s.io/v1beta1/nodes/"+node, admin); err != nil || !strings.Contains(body, `"memory":"`) {
			t.Errorf("%s: %s %v", node, body, err)
		}
	}
	if body, err := s.get("/livez/metric-collection-timely", ""); err != nil {
		t.Error(body, err)
	}
	collectorOn(t, ns, "node1", "127.0.0.1:8187", s)
	until(t, "the collector's values", func() error {
		all := s.containers(t, admin, ns)
		if one, two := all["busy/app"], all["other/app"]; one.Source != "" || one.CPU == nil || one.Runtime != "containerd" || one.Restarts == nil || *one.Restarts != 0 || two.Source != "kubelet" {
			return fmt.Errorf("%+v, %+v", one, two)
		}
		return nil
	})
}
