package cluster_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

// TestCustomMetrics has the cluster's own HPA controller scale on metrics that are neither CPU nor memory of metrics.k8s.io, through the API server.
func TestCustomMetrics(t *testing.T) {
	ours(t)
	long(t)
	ns := namespace(t)
	account(t, ns, "collector", collecting...)
	s := server(t, 8449)
	collectorOn(t, ns, "node1", "127.0.0.1:8189", s)
	collectorOn(t, ns, "node2", "127.0.0.1:8190", s)
	aggregate(t, s)
	ca, err := os.ReadFile(filepath.Join(s.dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	services := dynamic.NewForConfigOrDie(shared.Config()).Resource(apiServices)
	for _, name := range []string{"v1beta1.custom.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io", "v1beta1.external.metrics.k8s.io"} {
		version, group, _ := strings.Cut(name, ".")
		a := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": name},
			"spec": map[string]any{"group": group, "version": version, "groupPriorityMinimum": int64(100), "versionPriority": int64(100), "caBundle": base64.StdEncoding.EncodeToString(ca),
				"service": map[string]any{"namespace": "kube-system", "name": "plimsoll"}}}}
		if _, err := services.Create(t.Context(), a, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = services.Delete(context.Background(), name, metav1.DeleteOptions{}) })
	}
	deploy(t, ns, "web", 2, "-cpu=60", "-memory=50")
	for path, want := range map[string]string{
		"custom.metrics.k8s.io/v1beta2/namespaces/" + ns + "/pods/*/memory_rss_bytes?labelSelector=app%3Dweb": `"name":"web-`,
		"custom.metrics.k8s.io/v1beta2/namespaces/" + ns + "/pods/*/network_receive_bytes_rate":               `"name":"web-`,
		"custom.metrics.k8s.io/v1beta1/nodes/*/load1":                                                         `"name":"node1"`,
		"external.metrics.k8s.io/v1beta1/namespaces/" + ns + "/memory_rss_bytes?labelSelector=workload%3Dweb": `"workload":"web"`,
	} {
		until(t, path, func() error {
			out, err := shared.Kubectl(t.Context(), "get", "--raw", "/apis/"+path)
			if err == nil && !strings.Contains(out, want) {
				err = fmt.Errorf("no %s in %s", want, out)
			}
			return err
		})
	}
	answersForWhatItLists(t, ns)
	h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}, MinReplicas: new(int32(2)), MaxReplicas: 4,
		Metrics: []autoscalingv2.MetricSpec{
			{Type: autoscalingv2.PodsMetricSourceType, Pods: &autoscalingv2.PodsMetricSource{Metric: autoscalingv2.MetricIdentifier{Name: "memory_rss_bytes"},
				Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: new(resource.MustParse("38M"))}}},
			{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{Metric: autoscalingv2.MetricIdentifier{Name: "memory_rss_bytes",
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"workload": "web", "workload_kind": "Deployment"}}},
				Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: new(resource.MustParse("1G"))}}}}}}
	all := shared.Client().AutoscalingV2().HorizontalPodAutoscalers(ns)
	if _, err := all.Create(t.Context(), h, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the HPA does not scale", func() error {
		h, err := all.Get(t.Context(), "web", metav1.GetOptions{})
		if err == nil && (h.Status.DesiredReplicas < 3 || len(h.Status.CurrentMetrics) != 2 || h.Status.CurrentMetrics[0].Pods == nil || h.Status.CurrentMetrics[1].External == nil) {
			said, _ := json.Marshal(h.Status)
			err = fmt.Errorf("it says %s", said)
		}
		return err
	})
}

// answersForWhatItLists asks for each metric that is listed of each kind that it is listed for: what is measured is answered, and what this machine does
// not measure is not found; nothing else comes.
func answersForWhatItLists(t *testing.T, ns string) {
	t.Helper()
	out, err := shared.Kubectl(t.Context(), "get", "--raw", "/apis/custom.metrics.k8s.io/v1beta2")
	var list metav1.APIResourceList
	if err == nil {
		err = json.Unmarshal([]byte(out), &list)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	answered := map[string]int{}
	var silent []string
	for _, r := range list.APIResources {
		kind, name, _ := strings.Cut(r.Name, "/")
		path := map[string]string{"pods": "namespaces/" + ns + "/pods/*/", "nodes": "nodes/*/", "namespaces": "namespaces/" + ns + "/metrics/"}[kind] + name
		switch out, err := shared.Kubectl(t.Context(), "get", "--raw", "/apis/custom.metrics.k8s.io/v1beta2/"+path); {
		case err == nil && strings.Contains(out, `"value":`):
			answered[kind]++
		case err == nil || strings.Contains(err.Error(), "NotFound") || strings.Contains(err.Error(), "could not find the metric"):
			silent = append(silent, r.Name)
		default:
			t.Errorf("%s: %v", path, err)
		}
	}
	t.Logf("of %d that are listed %v answered; not measured here: %s", len(list.APIResources), answered, strings.Join(silent, " "))
	for _, name := range silent {
		if strings.Contains(name, "/pods_") || strings.Contains(name, "missing_parts") || strings.Contains(name, "waiting") && strings.Contains(name, "containers") {
			t.Errorf("%s is listed and never answers", name)
		}
	}
	if answered["pods"] < 10 || answered["nodes"] < 10 || answered["namespaces"] < 10 {
		t.Errorf("few answer: %v", answered)
	}
}
