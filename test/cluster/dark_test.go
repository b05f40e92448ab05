package cluster_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plimsoll.dev/plimsoll/test/cluster/product"
)

// TestNeverDark installs the chart with two servers and asks metrics.k8s.io through the API server ten times a second, while the servers are replaced one after the
// other, and while the pod of one is deleted: every request is answered. One that is deleted by force has no time to take leave: for at most five seconds requests may
// come to its address; so they may where its process is killed, until the kubelet sees that. A server that holds the lease is killed in TestTwoServers.
func TestNeverDark(t *testing.T) {
	ours(t)
	p, ctx := built(t), t.Context()
	install(t, p, profile(t, p, "metrics"))
	until(t, "metrics.k8s.io does not answer", func() error { return usageAt(ctx, "nodes") })
	one := func() string {
		t.Helper()
		for _, pod := range podsOf(t) {
			if pod.DeletionTimestamp == nil && pod.Status.Phase == "Running" {
				return pod.Name
			}
		}
		t.Fatal("there is no server")
		return ""
	}
	if d := polling(t, "replaced one after the other", func() error {
		_, err := shared.Kubectl(ctx, "-n", product.Namespace, "rollout", "restart", "deployment/"+product.Name)
		return err
	}); len(d.failed) > 0 {
		t.Errorf("%d requests were not answered while the servers were replaced", len(d.failed))
	}
	if d := polling(t, "a pod is deleted", func() error {
		_, err := shared.Kubectl(ctx, "-n", product.Namespace, "delete", "pod", one())
		return err
	}); len(d.failed) > 0 {
		t.Errorf("%d requests were not answered while a pod was deleted", len(d.failed))
	}
	if d := polling(t, "a pod is deleted by force", func() error {
		_, err := shared.Kubectl(ctx, "-n", product.Namespace, "delete", "pod", one(), "--grace-period=0", "--force")
		return err
	}); len(d.failed) > 0 && d.last.Sub(d.first) > 5*time.Second {
		t.Errorf("requests were not answered for %v after a pod was deleted by force", d.last.Sub(d.first))
	} // Every second request comes to the address of a server that is killed, until the kubelet sees that its container has ended, twice a second, and
	// the address is taken out.
	kills := 3
	if testing.Short() {
		kills = 1
	}
	for range kills {
		pod := one()
		d := polling(t, "the process of a server is killed", func() error { return syscall.Kill(processOf(t, pod), syscall.SIGKILL) })
		t.Logf("unanswered for %v, %d of %d", d.last.Sub(d.first).Round(100*time.Millisecond), len(d.failed), d.answered+len(d.failed))
		if len(d.failed) > 0 && d.last.Sub(d.first) > 5*time.Second {
			t.Errorf("requests were not answered for %v after a server was killed", d.last.Sub(d.first))
		}
	}
}

// polling is what came of asking metrics.k8s.io ten times a second while something is done to the servers, and until they are all there again.
func polling(t *testing.T, what string, do func() error) *polled {
	t.Helper()
	const quiet = 15 * time.Second // an ending takes 10 s; what follows of it is seen
	d, end := asking(t.Context(), "nodes")
	defer end()
	time.Sleep(3 * time.Second)
	err := do()
	if err == nil {
		_, err = shared.Kubectl(t.Context(), "-n", product.Namespace, "rollout", "status", "deployment/"+product.Name, "--timeout=150s")
	}
	time.Sleep(quiet)
	end()
	t.Logf("%s: %d answers, %d others, the slowest after %v: %s", what, d.answered, len(d.failed), d.slowest.Round(time.Millisecond), strings.Join(d.failed[:min(len(d.failed), 5)], "; "))
	if err != nil {
		t.Fatalf("%s: %v\n%s", what, err, state(t))
	}
	if d.answered < 100 {
		t.Errorf("%s: only %d answers", what, d.answered)
	}
	return d
}

// TestStandsStill stops the process of each of two servers for a while. Those that are asked through it wait, until its address is taken out.
func TestStandsStill(t *testing.T) {
	ours(t)
	long(t)
	p := built(t)
	install(t, p, profile(t, p, "metrics"))
	until(t, "metrics.k8s.io does not answer", func() error { return usageAt(t.Context(), "nodes") })
	waited := false
	for _, pod := range podsOf(t) {
		pid := processOf(t, pod.Name)
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
		d := polling(t, "a server stands still for 40 s", func() error {
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				return err
			}
			time.Sleep(40 * time.Second)
			return syscall.Kill(pid, syscall.SIGCONT)
		})
		t.Logf("unanswered for %v", d.last.Sub(d.first).Round(100*time.Millisecond))
		waited = waited || d.slowest > time.Second
		if len(d.failed) > 0 && d.last.Sub(d.first) > 10*time.Second {
			t.Errorf("requests were not answered for %v after a server stood still", d.last.Sub(d.first))
		}
	}
	if !waited {
		t.Error("nobody was asked through either server")
	}
}

// processOf is the process of a pod's one container.
func processOf(t *testing.T, name string) int {
	t.Helper()
	pod, err := shared.Client().CoreV1().Pods(product.Namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, id, _ := strings.Cut(pod.Status.ContainerStatuses[0].ContainerID, "://")
	for _, root := range []string{"/sys/fs/cgroup/memory", "/sys/fs/cgroup"} {
		raw, err := os.ReadFile(filepath.Join(find(root, id), "cgroup.procs"))
		if pid, bad := strconv.Atoi(strings.TrimSpace(string(raw))); err == nil && bad == nil && pid > 1 {
			return pid
		}
	}
	t.Fatalf("container %q of %s has no process", id, name)
	return 0
}
