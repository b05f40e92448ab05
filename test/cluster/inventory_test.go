package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/kube"
)

// namespace makes one for a test, which goes with it.
func namespace(t *testing.T) string {
	t.Helper()
	name := "t-" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	all := shared.Client().CoreV1().Namespaces()
	if _, err := all.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = all.Delete(context.Background(), name, metav1.DeleteOptions{}) })
	until(t, "the namespace's account for pods", func() error {
		_, err := shared.Client().CoreV1().ServiceAccounts(name).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	return name
}

// deploy makes a Deployment of one container, "web", spread over the nodes.
func deploy(t *testing.T, ns, name string, replicas int32, args ...string) {
	t.Helper()
	deployAsking(t, ns, name, replicas, 50, args...)
}

// deployAsking is deploy with pods that ask for so many millicores.
func deployAsking(t *testing.T, ns, name string, replicas int32, milli int, args ...string) {
	t.Helper()
	labels := map[string]string{"app": name}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{TerminationGracePeriodSeconds: new(int64(1)),
			TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: "kubernetes.io/hostname", WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: &metav1.LabelSelector{MatchLabels: labels}}},
			Containers: []corev1.Container{{Name: "web", Image: image, ImagePullPolicy: pull, Args: args,
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: *resource.NewMilliQuantity(int64(milli), resource.DecimalSI), corev1.ResourceMemory: resource.MustParse("16Mi")}}}}}}}}
	if _, err := shared.Client().AppsV1().Deployments(ns).Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// until waits for at most a minute.
func until(t *testing.T, what string, ok func() error) {
	t.Helper()
	within(t, time.Minute, what, ok)
}

// within is until with a time of its own.
func within(t *testing.T, limit time.Duration, what string, ok func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if err = ok(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// inventory runs one for the length of the test.
func inventory(t *testing.T, node string) *kube.Inventory {
	t.Helper()
	v, err := kube.New(kube.Options{Config: shared.Config(), Node: node})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- v.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	until(t, "the inventory is not whole", func() error { _, err := v.Since(); return err })
	return v
}

// TestInventory sees a Deployment's pods on both nodes come, be made anew and go, with the container ids by which their cgroups are called.
func TestInventory(t *testing.T) {
	anywhere(t)
	ns := namespace(t)
	first, second := nodes(t)
	all, one, two := inventory(t, ""), inventory(t, first), inventory(t, second)
	deploy(t, ns, "web", 4)
	target := cluster.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: ns, Name: "web"}
	running := func(v *kube.Inventory, want int) func() error {
		return func() error {
			pods, err := v.Pods(target)
			if err != nil {
				return err
			}
			if len(pods) != want {
				return fmt.Errorf("%d pods", len(pods))
			}
			for _, p := range pods {
				c := p.Containers[0]
				if p.Owner != target || p.Status.State != "Running" || p.Ready != corev1.ConditionTrue || len(c.ID) != 64 || c.Started.IsZero() || c.Name != "web" || c.Requests[0].Milli != 50 {
					return fmt.Errorf("pod %+v", p)
				}
			}
			return nil
		}
	}
	until(t, "the cluster's", running(all, 4))
	until(t, "node1's", running(one, 2))
	until(t, "node2's", running(two, 2))
	if n := all.Nodes(); len(n) < 2 || !shared.Theirs() && len(n) != 2 || n[0].Ready != corev1.ConditionTrue || len(n[0].Allocatable) == 0 || n[0].KubeletPort != 10250 {
		t.Errorf("nodes %+v", n)
	}
	gone := all.All()[0]
	for _, p := range all.All() {
		if p.Namespace == ns {
			gone = p
		}
	}
	if err := shared.Client().CoreV1().Pods(ns).Delete(t.Context(), gone.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "one pod made anew", func() error {
		if all.Pod(gone.UID) != nil {
			return errors.New("it is still known")
		}
		return running(all, 4)()
	})
	if err := shared.Client().AppsV1().Deployments(ns).Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "all gone", running(all, 0))
	until(t, "all gone from node2", running(two, 0))
}

// TestAPIServerAway keeps what was known, says since when, and goes on by itself.
func TestAPIServerAway(t *testing.T) {
	ours(t)
	long(t)
	ns := namespace(t)
	all := inventory(t, "")
	deploy(t, ns, "stays", 1)
	target := cluster.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: ns, Name: "stays"}
	count := func(want int) func() error {
		return func() error {
			if pods, _ := all.Pods(target); len(pods) != want {
				return fmt.Errorf("%d pods", len(pods))
			}
			return nil
		}
	}
	until(t, "one pod", count(1))
	if err := shared.End("kube-apiserver"); err != nil {
		t.Fatal(err)
	}
	until(t, "its absence is told", func() error {
		if _, err := all.Since(); err == nil {
			return errors.New("nothing is told")
		}
		return nil
	})
	if err := count(1)(); err != nil {
		t.Errorf("what was known: %v", err)
	}
	if err := shared.StartAPIServer(); err != nil {
		t.Fatal(err)
	}
	if err := shared.WaitAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "its return is told", func() error { _, err := all.Since(); return err })
	if _, err := shared.Kubectl(t.Context(), "-n", ns, "scale", "deployment/stays", "--replicas=2"); err != nil {
		t.Fatal(err)
	}
	until(t, "a second pod", count(2))
}

// TestServices reaches pods on both nodes by the cluster's DNS and a Service, as on a user's cluster.
func TestServices(t *testing.T) {
	ours(t)
	ns := namespace(t)
	deploy(t, ns, "web", 2)
	if _, err := shared.Kubectl(t.Context(), "-n", ns, "expose", "deployment/web", "--port=80", "--target-port=8080"); err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		return shared.Dial(ctx, network, address)
	}}}
	get := func(url string) (string, error) {
		resp, err := c.Get(url)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
	var ip string
	until(t, "the Service's address", func() (err error) {
		ip, err = shared.Kubectl(t.Context(), "-n", ns, "get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
		return err
	})
	seen := map[string]bool{}
	until(t, "both pods answer", func() error {
		body, err := get("http://" + ip + "/")
		if err != nil {
			return err
		}
		if seen[body] = true; len(seen) < 2 {
			return fmt.Errorf("only %v", seen)
		}
		return nil
	})
	if body, err := get("http://" + ip + "/lookup?name=web." + ns + ".svc.cluster.local"); err != nil || !strings.Contains(body, ip) {
		t.Errorf("a pod finds %q, %v: want %s", body, err, ip)
	}
}
