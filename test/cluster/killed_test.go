package cluster_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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

// killedOf counts the kills in cgroups of a pod that the kernel tells of.
func killedOf(t *testing.T, uid string) (n int) {
	t.Helper()
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	names := [][]byte{[]byte("pod" + uid), []byte("pod" + strings.ReplaceAll(uid, "-", "_"))}
	for line := make([]byte, 8192); ; {
		switch got, err := unix.Read(fd, line); {
		case errors.Is(err, unix.EAGAIN):
			return n
		case errors.Is(err, unix.EPIPE): // it was overwritten meanwhile
		case err != nil:
			t.Fatal(err)
		default:
			if _, of, is := bytes.Cut(line[:got], []byte("task_memcg=")); is && (bytes.Contains(of, names[0]) || bytes.Contains(of, names[1])) {
				n++
			}
		}
	}
}

// TestKilledInEachLife has the kernel kill the main process of a container as soon as it runs, in each of its lives, between which the kubelet waits ever longer. Nothing that is told is ever
// more than the kernel's count, or less than it was; between two kills the page, the history, the sums of the pod and the report have all of them, and of the restarts, too.
func TestKilledInEachLife(t *testing.T) {
	ours(t)
	long(t)
	ns := namespace(t)
	account(t, ns, "collector", collecting...)
	s := server(t, 8472)
	collectorOn(t, ns, "node1", "127.0.0.1:8197", s)
	admin := adminToken(t, ns)
	until(t, "sums are kept", func() error {
		_, err := s.value(admin, `node_memory_working_set_bytes{node="node1"}`)
		return err
	})
	time.Sleep(15 * time.Second) // a pass of them
	create(t, ns, "loop", "node1", corev1.PodSpec{Containers: []corev1.Container{container("app", "10m 10Mi", "500m 40Mi", "-memory=100"), container("log", "10m 16Mi", "")}})
	pod, err := shared.Client().CoreV1().Pods(ns).Get(t.Context(), "loop", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	restarts := func() float64 {
		pod, err := shared.Client().CoreV1().Pods(ns).Get(t.Context(), "loop", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range pod.Status.ContainerStatuses {
			if c.Name == "app" {
				return float64(c.RestartCount)
			}
		}
		return 0
	}
	queries := []string{fmt.Sprintf(`container_oom_events_total{namespace=%q, container="app"}`, ns), fmt.Sprintf(`pod_oom_events_total{namespace=%q, pod="loop"}`, ns), fmt.Sprintf(`namespace_oom_events_total{namespace=%q}`, ns),
		fmt.Sprintf(`pod_restarts_total{namespace=%q, pod="loop"}`, ns), fmt.Sprintf(`namespace_restarts_total{namespace=%q}`, ns)}
	last, of, right := map[string]float64{}, 0, map[string]bool{}
	told := func() error { // whether each has said what the kernel does, or the kubelet, since the newest kill
		kills, lives := killedOf(t, string(pod.UID)), restarts()
		got := map[string]float64{}
		c := s.containers(t, admin, ns)["loop/app"]
		if c.OOMKills != nil {
			got["kills of the page"] = *c.OOMKills
		}
		if c.Restarts != nil {
			got["restarts of the page"] = *c.Restarts
		}
		for _, query := range queries {
			if v, err := s.value(admin, query); err == nil {
				got[query] = v
			}
		}
		if killedOf(t, string(pod.UID)) != kills || restarts() != lives {
			return errors.New("it was killed or started again meanwhile")
		}
		if kills != of {
			of, right = kills, map[string]bool{}
		}
		for what, v := range got {
			most := float64(kills)
			if strings.Contains(what, "restarts") {
				most = lives
			}
			if v > most || v < last[what] {
				t.Errorf("%s: %v after %v, %v by the kernel or the kubelet", what, v, last[what], most)
			}
			last[what], right[what] = v, v == most
		}
		for _, is := range right {
			if !is {
				return fmt.Errorf("%d kills, %v restarts: %v", kills, lives, got)
			}
		}
		if len(right) < len(queries)+2 {
			return fmt.Errorf("%d kills, %v restarts: there are %v", kills, lives, got)
		}
		return nil
	}
	for n := 2; n <= 4; n++ {
		within(t, 3*time.Minute, fmt.Sprintf("%d kills", n), func() error {
			time.Sleep(time.Second)
			if is := killedOf(t, string(pod.UID)); is < n {
				return fmt.Errorf("%d so far", is)
			}
			return told()
		})
		t.Logf("%d kills are told", of)
	}
	until(t, "the report has them", func() error {
		var r struct {
			Rows []struct {
				Namespace, Container string
				OOMKills             int
			}
		}
		s.read(t, "/plimsoll/v1/rightsize?window=1h", admin, &r)
		is := killedOf(t, string(pod.UID))
		for _, x := range r.Rows {
			if x.Namespace == ns && x.Container == "app" && x.OOMKills == is {
				return nil
			}
		}
		return fmt.Errorf("killed %d times: the report says %+v", is, r.Rows)
	})
}
