package cluster_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	metrics "k8s.io/metrics/pkg/client/clientset/versioned"
)

// apiServices are where the API server is told who else serves a group.
var apiServices = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}

// aggregate has the API server pass metrics.k8s.io on to servers in the cluster's network, until the test ends.
func aggregate(t *testing.T, servers ...*part) {
	t.Helper()
	client, ctx := shared.Client(), t.Context()
	const ns, name = "kube-system", "plimsoll"
	dyn := dynamic.NewForConfigOrDie(shared.Config()).Resource(apiServices)
	ca, err := os.ReadFile(filepath.Join(servers[0].dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	port := func(s *part) int32 {
		var p int32
		_, _ = fmt.Sscanf(s.address, "10.99.0.1:%d", &p)
		return p
	}
	_, err = client.CoreV1().Services(ns).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 443}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.CoreV1().Services(ns).Delete(context.Background(), name, metav1.DeleteOptions{}) })
	for i, s := range servers {
		slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(name, "-", i), Labels: map[string]string{discoveryv1.LabelServiceName: name}}, AddressType: discoveryv1.AddressTypeIPv4,
			Ports: []discoveryv1.EndpointPort{{Name: new(""), Port: new(port(s))}}, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.99.0.1"}}}}
		if _, err := client.DiscoveryV1().EndpointSlices(ns).Create(ctx, slice, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = client.DiscoveryV1().EndpointSlices(ns).Delete(context.Background(), slice.Name, metav1.DeleteOptions{})
		})
	}
	for _, version := range []string{"v1beta1", "v1"} {
		s := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": version + ".metrics.k8s.io"},
			"spec": map[string]any{"group": "metrics.k8s.io", "version": version, "groupPriorityMinimum": int64(100), "versionPriority": int64(100), "caBundle": base64.StdEncoding.EncodeToString(ca),
				"service": map[string]any{"namespace": ns, "name": name}}}}
		if _, err := dyn.Create(ctx, s, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = dyn.Delete(context.Background(), s.GetName(), metav1.DeleteOptions{}) })
	}
	until(t, "the API server does not pass metrics.k8s.io on", func() error {
		_, err := shared.Kubectl(ctx, "get", "--raw", "/apis/metrics.k8s.io/v1beta1")
		return err
	})
}

// TestMetricsAPI uses metrics.k8s.io through the API server, as kubectl, the HPA controller and client libraries do, with nothing else installed; on somebody else's
// cluster as Plimsoll serves it there.
func TestMetricsAPI(t *testing.T) {
	anywhere(t)
	ns := namespace(t)
	one, two := nodes(t)
	if !shared.Theirs() {
		account(t, ns, "collector", collecting...)
		s := server(t, 8445)
		collectorOn(t, ns, one, "127.0.0.1:8185", s)
		collectorOn(t, ns, two, "127.0.0.1:8186", s)
		aggregate(t, s)
	}
	create(t, ns, "busy", one, corev1.PodSpec{Containers: []corev1.Container{container("zeta", "100m 64Mi", "", "-cpu=50", "-memory=50"), container("alpha", "10m 16Mi", "")}})
	deploy(t, ns, "web", 2, "-cpu=60") // of 50m that it asks for
	client := metrics.NewForConfigOrDie(shared.Config())
	used := func(pod string) (*metricsv1beta1.PodMetrics, error) {
		return client.MetricsV1beta1().PodMetricses(ns).Get(t.Context(), pod, metav1.GetOptions{})
	}
	until(t, "a pod's values", func() error {
		m, err := used("busy")
		if err != nil {
			return err
		}
		if len(m.Containers) != 2 || m.Containers[0].Name != "alpha" || m.Containers[1].Name != "zeta" || m.Timestamp.IsZero() || m.Window.Duration <= 0 || time.Since(m.Timestamp.Time) > 5*time.Second {
			return fmt.Errorf("%+v", m)
		}
		cpu, memory := m.Containers[1].Usage.Cpu().MilliValue(), float64(m.Containers[1].Usage.Memory().Value())/(1<<20)
		if m.Window.Duration < 14*time.Second || cpu < 47 || cpu > 53 || memory < 48 || memory > 52 {
			return fmt.Errorf("50 millicores and 50 MB are %dm and %.1f MiB over %v", cpu, memory, m.Window.Duration)
		}
		t.Logf("50 millicores and 50 MB are %dm and %.1f MiB over %v", cpu, memory, m.Window.Duration)
		return nil
	})
	t.Run("kubectl", func(t *testing.T) { throughKubectl(t, ns, one, two) })
	t.Run("fresh", func(t *testing.T) { freshPods(t, ns, used, one, two) })
	t.Run("made anew", func(t *testing.T) { madeAnew(t, ns, used, one, two) })
	t.Run("HPA", func(t *testing.T) { hpa(t, ns) })
	t.Run("no pod", func(t *testing.T) {
		if _, err := used("none"); !apierrors.IsNotFound(err) {
			t.Errorf("got %v", err)
		}
	})
}

// throughKubectl asks as people do.
func throughKubectl(t *testing.T, ns, one, two string) {
	for _, f := range []struct {
		args string
		want []string
	}{
		{"top nodes", []string{one, two, "m ", "Mi"}},
		{"top pods -n " + ns + " --containers", []string{"busy", "zeta", "alpha", "web"}},
		{"top pods -A --sort-by=cpu", []string{ns, "busy"}},
		{"top pods -n " + ns + " -l app=web", []string{"web-"}},
		{"get podmetrics -n " + ns, []string{"NAME", "CPU", "MEMORY", "WINDOW", "busy"}},
		{"get nodes.metrics.k8s.io", []string{one, two}},
		{"get --raw /apis/metrics.k8s.io/v1/nodes/" + one, []string{`"kind":"NodeMetrics"`, `"apiVersion":"metrics.k8s.io/v1"`, `"name":"` + one + `"`}},
		{"explain podmetrics.containers", []string{"usage"}},
	} {
		out, err := shared.Kubectl(t.Context(), strings.Fields(f.args)...)
		for _, want := range f.want {
			if err != nil || !strings.Contains(out, want) {
				t.Errorf("kubectl %s: %v, no %q in %s", f.args, err, want, out)
			}
		}
	}
}

// freshPods starts pods and measures how long after its container began to run a pod's values are served: at most three seconds.
func freshPods(t *testing.T, ns string, used func(string) (*metricsv1beta1.PodMetrics, error), one, two string) {
	var took []time.Duration
	for i := range 5 {
		name, began := fmt.Sprint("fresh-", i), time.Time{}
		create(t, ns, name, []string{one, two}[i%2], corev1.PodSpec{Containers: []corev1.Container{container("app", "", "")}})
		for began.IsZero() {
			p, err := shared.Client().CoreV1().Pods(ns).Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range p.Status.ContainerStatuses {
				if c.State.Running != nil {
					began = time.Now() // a little late, as the status has whole seconds only: the container's own start is below
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
		until(t, name, func() error { _, err := used(name); return err })
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("fresh pods were served %v after they were seen to run", took)
	if took[len(took)-1] > 3*time.Second {
		t.Errorf("a fresh pod was served after %v, want 3s at most", took[len(took)-1])
	}
}

// madeAnew puts a pod of the same name in another's place: no value of the old one is served for the new one.
func madeAnew(t *testing.T, ns string, used func(string) (*metricsv1beta1.PodMetrics, error), one, two string) {
	pods := shared.Client().CoreV1().Pods(ns)
	create(t, ns, "again", one, corev1.PodSpec{Containers: []corev1.Container{container("app", "", "", "-cpu=200", "-memory=90")}})
	until(t, "the first", func() error {
		m, err := used("again")
		if err == nil && m.Containers[0].Usage.Memory().Value() < 80<<20 {
			err = errors.New("it has not begun")
		}
		return err
	})
	if err := pods.Delete(t.Context(), "again", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil {
		t.Fatal(err)
	}
	until(t, "it is gone", func() error {
		if _, err := pods.Get(t.Context(), "again", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return errors.New("it is there")
		}
		return nil
	})
	create(t, ns, "again", two, corev1.PodSpec{Containers: []corev1.Container{container("app", "", "", "-memory=10")}})
	made := time.Now()
	for end := made.Add(20 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		m, err := used("again")
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if time.Since(made) < time.Second && m.Timestamp.Before(&metav1.Time{Time: made}) {
			continue // the server may still have to be told that the old one is gone
		}
		if c := m.Containers[0].Usage; c.Cpu().MilliValue() > 60 || c.Memory().Value() > 30<<20 {
			t.Fatalf("%v after the new pod was made it has the old one's %s and %s, of %v ago", time.Since(made), c.Cpu(), c.Memory(), time.Since(m.Timestamp.Time))
		}
		if m.Window.Duration > 8*time.Second {
			return
		}
	}
	t.Error("the new pod has no values")
}

// hpa has the cluster's own HPA controller scale on our values.
func hpa(t *testing.T, ns string) {
	h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}, MinReplicas: new(int32(2)), MaxReplicas: 3,
		Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU,
			Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: new(int32(70))}}}}}}
	all := shared.Client().AutoscalingV2().HorizontalPodAutoscalers(ns)
	if _, err := all.Create(t.Context(), h, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the HPA does not scale", func() error {
		h, err := all.Get(t.Context(), "web", metav1.GetOptions{})
		if err == nil && h.Status.DesiredReplicas != 3 {
			said, _ := json.Marshal(h.Status.Conditions)
			err = fmt.Errorf("it wants %d: %s", h.Status.DesiredReplicas, said)
		}
		return err
	})
	_ = all.Delete(t.Context(), "web", metav1.DeleteOptions{})
}
