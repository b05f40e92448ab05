package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	images "plimsoll.dev/plimsoll/internal/image"
	"plimsoll.dev/plimsoll/test/chart"
	"plimsoll.dev/plimsoll/test/cluster/product"
	"plimsoll.dev/plimsoll/test/cluster/rig"
)

// consumer is the image that the pods of metrics-server's tests ask for.
const consumer = "registry.k8s.io/e2e-test-images/resource-consumer:1.9"

// TestOfMetricsServer runs the end-to-end tests of metrics-server v0.9.0 as they are against Plimsoll, installed by its chart where metrics-server is. The one that
// is left out wants the six names of metrics-server's own metrics, at its port.
func TestOfMetricsServer(t *testing.T) {
	ours(t)
	long(t)
	p, client, ctx := built(t), shared.Client(), t.Context()
	if err := rig.Reference(ctx, os.Stderr, bin); err != nil {
		t.Fatal(err)
	}
	stress := filepath.Join(t.TempDir(), "stress")
	if err := os.Link(filepath.Join(bin, "workload"), stress); err != nil {
		t.Fatal(err)
	}
	if err := shared.Load(ctx, images.Options{Name: consumer, Binary: stress, Also: map[string]string{"/bin/stress": stress, "/consume-cpu/consume-cpu": filepath.Join(bin, "consume-cpu")}}); err != nil {
		t.Fatal(err)
	}
	h, err := chart.NewHelm(shared.Kubeconfig(), metav1.NamespaceSystem, product.Reach(shared), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Uninstall(product.Name) })
	values := product.Values(chart.Values{"server": chart.Values{"podLabels": chart.Values{"k8s-app": "metrics-server"}}})
	if _, err := h.Install(ctx, product.Name, p.Chart, values); err != nil {
		t.Fatal(err)
	}
	// Its probes are asked with ?verbose, and must list what metrics-server lists: Plimsoll's own are left out of them.
	const live, ready = "/livez?exclude=autoscaler", "/readyz?exclude=store&exclude=cluster&exclude=api-server&exclude=certificates&exclude=door&exclude=autoscaler&exclude=metric-collection-timely"
	const path = `{"op": "replace", "path": "/spec/template/spec/containers/0/%s/httpGet/path", "value": %q}`
	patch := fmt.Appendf(nil, "["+path+", "+path+"]", "readinessProbe", ready, "livenessProbe", live)
	if _, err := client.AppsV1().Deployments(metav1.NamespaceSystem).Patch(ctx, product.Name, types.JSONPatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if out, err := shared.Kubectl(ctx, "-n", metav1.NamespaceSystem, "rollout", "status", "deployment/"+product.Name, "--timeout=60s"); err != nil {
		t.Fatal(out, err)
	}
	until(t, "there are other pods of the server", func() error {
		list, err := client.CoreV1().Pods(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{LabelSelector: "k8s-app=metrics-server"})
		if err == nil && len(list.Items) != 1 {
			err = fmt.Errorf("%d", len(list.Items))
		}
		return err
	})
	skipped(t)
	sidecars(t)
	runReference(t)
}

// skipped makes a node that has the label by which metrics-server's tests know nodes that are left out.
func skipped(t *testing.T) {
	t.Helper()
	fakeNode(t, "skipped", map[string]string{"metrics-server-skip": "true"})
}

// sidecars has the cluster say that it has sidecars, where metrics-server's tests look for that: on the command line of an API server in a pod.
func sidecars(t *testing.T) {
	t.Helper()
	pods := shared.Client().CoreV1().Pods(metav1.NamespaceSystem)
	const name = "kube-apiserver-e2e-control-plane"
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{SchedulerName: "nobody",
		Containers: []corev1.Container{{Name: "kube-apiserver", Image: image, Command: []string{"kube-apiserver", "--feature-gates=SidecarContainers=true"}}}}}
	if _, err := pods.Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pods.Delete(context.Background(), name, metav1.DeleteOptions{}) })
}

// runReference runs the tests' binary in a network of its own, as it wants a port of loopback that the kubelet has, and reads its report.
func runReference(t *testing.T) {
	t.Helper()
	ns, err := shared.Aside(t.Context(), "ref")
	if err != nil {
		t.Fatal(err)
	}
	to := relay(t, ns, strings.TrimPrefix(shared.Config().Host, "https://"))
	config, err := clientcmd.LoadFromFile(shared.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range config.Clusters {
		c.Server = "https://" + to
	}
	dir := t.TempDir()
	kubeconfig, report := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "report.json")
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	cmd := shared.Command(ctx, "nsenter", "--net="+ns, "--", "env", "KUBECONFIG="+kubeconfig, filepath.Join(bin, "metrics-server.test"), "-ginkgo.skip=exposes prometheus metrics", "-ginkgo.json-report="+report)
	said, failed := cmd.CombinedOutput()
	var all []struct {
		SpecReports []struct {
			LeafNodeText, LeafNodeType, State string
			Failure                           struct{ Message string }
		}
	}
	raw, err := os.ReadFile(report)
	if err := errors.Join(err, json.Unmarshal(raw, &all)); err != nil {
		t.Fatalf("%v, %v: %s", failed, err, said)
	}
	passed := 0
	for _, s := range all[0].SpecReports {
		if s.LeafNodeType != "It" {
			continue
		}
		t.Logf("%-8s %s", s.State, s.LeafNodeText)
		switch {
		case s.State == "passed":
			passed++
		case s.State == "skipped" && s.LeafNodeText == "exposes prometheus metrics":
		default:
			t.Errorf("%s: %s", s.LeafNodeText, s.Failure.Message)
		}
	}
	if passed != 10 || failed != nil {
		t.Errorf("%d passed, want 10 of 11; %v\n%s", passed, failed, tail(string(said), 40))
	}
}

// relay listens on loopback in a network namespace, for as long as the test runs, and passes on to an address of the cluster's network.
func relay(t *testing.T, ns, to string) (address string) {
	t.Helper()
	l, err := shared.Listen(t.Context(), ns, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	open.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { pass(ctx, from, to) })
		}
	})
	t.Cleanup(func() { stop(); _ = l.Close(); open.Wait() })
	return l.Addr().String()
}

// pass copies both ways until one side ends, or ctx.
func pass(ctx context.Context, from net.Conn, address string) {
	defer from.Close()
	to, err := shared.Dial(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer to.Close()
	ctx, end := context.WithCancel(ctx)
	go func() { _, _ = io.Copy(to, from); end() }()
	go func() { _, _ = io.Copy(from, to); end() }()
	<-ctx.Done()
}

// reference runs metrics-server as its manifests do, every 15 s, until the test ends.
func reference(t *testing.T, port int) *part {
	t.Helper()
	if err := rig.Reference(t.Context(), os.Stderr, bin); err != nil {
		t.Fatal(err)
	}
	p := &part{dir: t.TempDir(), address: fmt.Sprint("10.99.0.1:", port)}
	certificate(t, p.dir)
	file := func(name string) string { return filepath.Join(p.dir, name) }
	ca := filepath.Join(p.dir, "kubelets.crt")
	if err := os.WriteFile(ca, shared.Config().CAData, 0o600); err != nil {
		t.Fatal(err)
	}
	k := shared.Kubeconfig()
	p.launch(t, "metrics-server", filepath.Join(bin, "metrics-server"), "--metric-resolution=15s", "--kubeconfig", k, "--authentication-kubeconfig", k, "--authorization-kubeconfig", k, "--kubelet-preferred-address-types=InternalIP",
		"--kubelet-certificate-authority", ca, "--bind-address=10.99.0.1", fmt.Sprint("--secure-port=", port), "--tls-cert-file", file("tls.crt"), "--tls-private-key-file", file("tls.key"))
	p.client = clientTo(t, file("ca.crt"))
	until(t, "metrics-server is not ready", func() error { _, err := p.get("/readyz?exclude=metric-storage-ready", ""); return err })
	return p
}

// usage is what a server says of a pod of one container.
func usage(s *part, token, ns, pod string) (*metricsv1beta1.PodMetrics, error) {
	body, err := s.get("/apis/metrics.k8s.io/v1beta1/namespaces/"+ns+"/pods/"+pod, token)
	if err != nil {
		return nil, err
	}
	m := &metricsv1beta1.PodMetrics{}
	if err := json.Unmarshal([]byte(body), m); err != nil || len(m.Containers) != 1 {
		return nil, fmt.Errorf("%s %w", body, errors.Join(err))
	}
	return m, nil
}

// TestBesideMetricsServer runs metrics-server and Plimsoll on one cluster, and measures how soon each serves a fresh pod, and what each says of a container whose
// use is known.
func TestBesideMetricsServer(t *testing.T) {
	ours(t)
	long(t)
	ns := namespace(t)
	account(t, ns, "collector", collecting...)
	account(t, ns, "viewer", rbacv1.PolicyRule{APIGroups: []string{"metrics.k8s.io"}, Resources: []string{"pods", "nodes"}, Verbs: []string{"get", "list"}})
	ours, theirs := server(t, 8461), reference(t, 8462)
	collectorOn(t, ns, "node1", "127.0.0.1:8261", ours)
	collectorOn(t, ns, "node2", "127.0.0.1:8262", ours)
	viewer := token(t, ns, "viewer", "", nil)
	create(t, ns, "known", "node1", corev1.PodSpec{Containers: []corev1.Container{container("app", "100m 64Mi", "", "-cpu=50", "-memory=50")}})

	const pods = 5
	var took [2][]time.Duration
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range pods {
		name := fmt.Sprint("fresh-", i)
		create(t, ns, name, []string{"node1", "node2"}[i%2], corev1.PodSpec{Containers: []corev1.Container{container("app", "", "", "-cpu=20")}})
		began := runs(t, ns, name)
		for j, s := range []*part{ours, theirs} {
			all.Go(func() {
				for time.Since(began) < 2*time.Minute {
					if _, err := usage(s, viewer, ns, name); err == nil {
						mu.Lock()
						took[j] = append(took[j], time.Since(began).Round(10*time.Millisecond))
						mu.Unlock()
						return
					}
					time.Sleep(50 * time.Millisecond)
				}
			})
		}
		time.Sleep(4 * time.Second) // at another moment of their 15 s
	}
	all.Wait()
	if len(took[0]) != pods || len(took[1]) != pods {
		t.Fatalf("fresh pods were served after %v", took)
	}
	var cpu, memory [2][]float64
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Second) {
		for j, s := range []*part{ours, theirs} {
			if m, err := usage(s, viewer, ns, "known"); err == nil {
				cpu[j] = append(cpu[j], float64(m.Containers[0].Usage.Cpu().MilliValue()))
				memory[j] = append(memory[j], float64(m.Containers[0].Usage.Memory().Value())/(1<<20))
			}
		}
	}
	t.Logf("%-40s %-28s %s", "", "Plimsoll", "metrics-server v0.9.0 at 15 s")
	slices.Sort(took[0])
	slices.Sort(took[1])
	t.Logf("%-40s %-28s %s", "a fresh pod runs until it is served", fmt.Sprint(took[0]), fmt.Sprint(took[1]))
	t.Logf("%-40s %-28s %s", "50 millicores, in a minute, m", span(cpu[0]), span(cpu[1]))
	t.Logf("%-40s %-28s %s", "50 MB, in a minute, MiB", span(memory[0]), span(memory[1]))
	if took[0][pods-1] > 3*time.Second {
		t.Errorf("a fresh pod is served after %v, want 3s at most", took[0][pods-1])
	}
	if len(cpu[0]) < 10 || slices.Min(cpu[0]) < 47 || slices.Max(cpu[0]) > 53 || slices.Min(memory[0]) < 48 || slices.Max(memory[0]) > 52 {
		t.Errorf("50 millicores and 50 MB are %v and %v", cpu[0], memory[0])
	}
}

// span is the least and the greatest of some values.
func span(all []float64) string {
	if len(all) == 0 {
		return "none"
	}
	return fmt.Sprintf("%.1f to %.1f", slices.Min(all), slices.Max(all))
}

// runs waits until a pod of one container is seen to run, and returns when that was.
func runs(t *testing.T, ns, name string) time.Time {
	t.Helper()
	var at time.Time
	until(t, name+" does not run", func() error {
		p, err := shared.Client().CoreV1().Pods(ns).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range p.Status.ContainerStatuses {
			if c.State.Running != nil {
				at = time.Now()
				return nil
			}
		}
		return errNotYet(p.Status.Phase)
	})
	return at
}
