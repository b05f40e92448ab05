package cluster_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestKilledForMemory has the kernel kill the main process of a container three times. Its cgroup, which counts that, goes with it each time; the page, the history and
// the report tell of three kills all the same, and of none of the container beside it.
func TestKilledForMemory(t *testing.T) {
	ours(t)
	long(t)
	ns := namespace(t)
	account(t, ns, "collector", collecting...)
	s := server(t, 8471)
	collectorOn(t, ns, "node1", "127.0.0.1:8196", s)
	admin := adminToken(t, ns)
	create(t, ns, "web", "node1", corev1.PodSpec{Containers: []corev1.Container{container("app", "10m 64Mi", "500m 64Mi", "-memory=40"), container("log", "10m 16Mi", "")}})
	restarts := func() (int32, error) {
		pod, err := shared.Client().CoreV1().Pods(ns).Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return 0, err
		}
		for _, c := range pod.Status.ContainerStatuses {
			if c.Name == "app" && c.State.Running != nil {
				return c.RestartCount, nil
			}
		}
		return 0, fmt.Errorf("it does not run: %+v", pod.Status.ContainerStatuses)
	}
	for n := range int32(3) {
		within(t, 3*time.Minute, "it runs, and is measured", func() error {
			if is, err := restarts(); err != nil || is != n {
				return fmt.Errorf("%d restarts, %w", is, err)
			}
			if c := s.containers(t, admin, ns)["web/app"]; c.WorkingSet == nil || *c.WorkingSet < 35e6 {
				return fmt.Errorf("%+v", c)
			}
			return nil
		})
		_, _ = shared.Kubectl(t.Context(), "-n", ns, "exec", "web", "-c", "app", "--", "/workload", "-memory=30") // the kernel kills the larger one
		within(t, time.Minute, "the kill is told", func() error {
			if c := s.containers(t, admin, ns)["web/app"]; c.OOMKills == nil || *c.OOMKills != float64(n+1) {
				return fmt.Errorf("%+v", c)
			}
			return nil
		})
	}
	until(t, "the history has three", func() error {
		for query, want := range map[string]float64{
			fmt.Sprintf(`increase(container_oom_events_total{namespace=%q, container="app"}[10m])`, ns):      3,
			fmt.Sprintf(`max_over_time(container_oom_events_total{namespace=%q, container="log"}[10m])`, ns): 0,
		} {
			if got, err := s.value(admin, query); err != nil || got < want*0.95 || got > want*1.1 { // it is stretched to the whole window
				return fmt.Errorf("%s: %v, want %v: %w", query, got, want, err)
			}
		}
		var r struct {
			Rows []struct {
				Namespace, Container string
				OOMKills             int
				Restarts             *int
			}
		}
		s.read(t, "/plimsoll/v1/rightsize?window=1h", admin, &r)
		for _, x := range r.Rows {
			if x.Namespace == ns && x.Container == "app" && x.OOMKills == 3 && x.Restarts != nil && *x.Restarts == 3 {
				return nil
			}
		}
		return fmt.Errorf("the report says %+v", r.Rows)
	})
}
