package cluster_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"plimsoll.dev/plimsoll/test/chart"
)

// publish has the API server pass the given APIs (v1beta1.external.metrics.k8s.io) on to a Service of its own name, which leads to a port of the
// first node; dir has the authority of who answers there.
func publish(t *testing.T, service, dir string, port int32, apis ...string) {
	t.Helper()
	const ns = "kube-system"
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	client := shared.Client()
	if _, err := client.CoreV1().Services(ns).Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: service}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 443}}}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.CoreV1().Services(ns).Delete(context.Background(), service, metav1.DeleteOptions{}) })
	slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: service, Labels: map[string]string{discoveryv1.LabelServiceName: service}}, AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{{Name: new(""), Port: &port}}, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.99.0.1"}}}}
	if _, err := client.DiscoveryV1().EndpointSlices(ns).Create(t.Context(), slice, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.DiscoveryV1().EndpointSlices(ns).Delete(context.Background(), service, metav1.DeleteOptions{})
	})
	services := dynamic.NewForConfigOrDie(shared.Config()).Resource(apiServices)
	for _, name := range apis {
		version, group, _ := strings.Cut(name, ".")
		a := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": name},
			"spec": map[string]any{"group": group, "version": version, "groupPriorityMinimum": int64(100), "versionPriority": int64(100), "caBundle": base64.StdEncoding.EncodeToString(ca),
				"service": map[string]any{"namespace": ns, "name": service}}}}
		if _, err := services.Create(t.Context(), a, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = services.Delete(context.Background(), name, metav1.DeleteOptions{}) })
	}
	for _, name := range apis {
		version, group, _ := strings.Cut(name, ".")
		until(t, "the API server does not pass "+name+" on", func() error {
			_, err := shared.Kubectl(t.Context(), "get", "--raw", "/apis/"+group+"/"+version)
			return err
		})
	}
}

// adapter serves external.metrics.k8s.io with one metric, queue_length of the series queue=orders, as adapters do. Who it is that asks is the API
// server's to say: it asks nobody.
type adapter struct{ value, asked atomic.Int64 }

func (a *adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch path := strings.TrimPrefix(r.URL.Path, "/apis/external.metrics.k8s.io"); {
	case path == "":
		fmt.Fprint(w, `{"kind":"APIGroup","apiVersion":"v1","name":"external.metrics.k8s.io","versions":[{"groupVersion":"external.metrics.k8s.io/v1beta1","version":"v1beta1"}],"preferredVersion":{"groupVersion":"external.metrics.k8s.io/v1beta1","version":"v1beta1"}}`)
	case path == "/v1beta1":
		fmt.Fprint(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"external.metrics.k8s.io/v1beta1","resources":[{"name":"queue_length","namespaced":true,"kind":"ExternalMetricValueList","verbs":["get"]}]}`)
	case strings.HasSuffix(path, "/queue_length") && r.FormValue("labelSelector") == "queue=orders":
		a.asked.Add(1)
		fmt.Fprintf(w, `{"kind":"ExternalMetricValueList","apiVersion":"external.metrics.k8s.io/v1beta1","metadata":{},"items":[{"metricName":"queue_length","metricLabels":{"queue":"orders"},"timestamp":%q,"value":"%d"}]}`,
			time.Now().UTC().Format(time.RFC3339), a.value.Load())
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"there is no such metric"}`)
	}
}

// serveAdapter runs one until the test ends, and has the API server pass the API on to it.
func serveAdapter(t *testing.T, port int32) *adapter {
	t.Helper()
	a := &adapter{}
	dir := serveTLS(t, fmt.Sprint("10.99.0.1:", port), &http.Server{Handler: a})
	publish(t, "adapter", dir, port, "v1beta1.external.metrics.k8s.io")
	return a
}

// serveTLS answers on an address of the cluster's network until the test ends, and returns the folder that has the authority of who answers.
func serveTLS(t *testing.T, address string, s *http.Server) (dir string) {
	t.Helper()
	dir = t.TempDir()
	certificate(t, dir)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := shared.Listen(t.Context(), "", address)
	if err != nil {
		t.Fatal(err)
	}
	if s.TLSConfig == nil {
		s.TLSConfig = &tls.Config{}
	}
	s.TLSConfig.Certificates, s.ReadHeaderTimeout = []tls.Certificate{pair}, 10*time.Second
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return dir
}

// leaseFor makes the lease that the rights of the chart let be filled in.
func leaseFor(t *testing.T, ns, name string) {
	t.Helper()
	if _, err := shared.Client().CoordinationV1().Leases(ns).Create(t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// authentication is the right to know who the API server is when it passes requests on.
var authentication = rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"extension-apiserver-authentication"}, Verbs: []string{"get", "list", "watch"}}

// replicas waits until a Deployment asks for a number.
func replicas(t *testing.T, ns, name, what string, ok func(int32) bool) {
	t.Helper()
	began := time.Now()
	until(t, what, func() error {
		if n := count(t, ns, name); !ok(n) {
			said, _ := shared.Kubectl(t.Context(), "get", "scp", "-n", ns, "-o", "wide")
			return fmt.Errorf("%d replicas\n%s", n, said)
		}
		return nil
	})
	t.Logf("%s: after %v", what, time.Since(began).Round(100*time.Millisecond))
}

// TestKindsOfMetrics scales by a Pods metric of our own custom API and by an External metric of somebody else's, with the chart's rights.
func TestKindsOfMetrics(t *testing.T) {
	ours(t)
	ns := namespace(t)
	scalePolicies(t)
	account(t, ns, "collector", collecting...)
	account(t, ns, "server", append(rights(t, ns, chart.Values{"autoscaler": chart.Values{"mode": "on", "metrics": chart.Values{"custom": []any{"pods/memory_rss_bytes"}, "external": []any{"queue_length"}}}}), authentication)...)
	leaseFor(t, ns, "plimsoll")
	s := server(t, 8461, "--autoscaler=on", "--external-metrics=false", "--kubeconfig", kubeconfigOf(t, ns, "server"), "--lease", ns+"/plimsoll")
	collectorOn(t, ns, "node1", "127.0.0.1:8196", s)
	collectorOn(t, ns, "node2", "127.0.0.1:8197", s)
	publish(t, "plimsoll", s.dir, 8461, "v1beta2.custom.metrics.k8s.io")
	a := serveAdapter(t, 8462)
	a.value.Store(8)
	deploy(t, ns, "web", 2, "-memory=50")
	deploy(t, ns, "work", 1)
	const quick = "stableWindow: 3s, window: 1s, behavior: {scaleDown: {stabilizationWindowSeconds: 0}}"
	if out, err := apply(t, ns, scp("web", "{"+ofWeb+", minReplicas: 2, maxReplicas: 4, "+quick+", metrics: [{type: Pods, pods: {metric: {name: memory_rss_bytes}, target: {type: AverageValue, averageValue: 38M}}}]}")+
		"---\n"+scp("work", "{scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: work}, minReplicas: 0, maxReplicas: 6, "+quick+", metrics: [{type: External, external: {metric: {name: queue_length, selector: {matchLabels: {queue: orders}}}, target: {type: AverageValue, averageValue: '10'}}}]}")+
		"---\n"+scp("lost", "{scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: lost}, maxReplicas: 6, metrics: [{type: External, external: {metric: {name: secret_length}, target: {type: AverageValue, averageValue: '10'}}}]}")); err != nil {
		t.Fatal(err, out)
	}
	deploy(t, ns, "lost", 1)
	replicas(t, ns, "web", "the pods' memory asks for more", func(n int32) bool { return n >= 3 })
	until(t, "the status says so too", func() error { // it is written after the count
		if c := conditionOf(t, ns, "web", "ScalingActive"); c.Status != "True" {
			return fmt.Errorf("got %+v", c)
		}
		return nil
	})
	a.value.Store(38)
	replicas(t, ns, "work", "the queue is long", func(n int32) bool { return n == 4 })
	a.value.Store(0)
	replicas(t, ns, "work", "the queue is empty", func(n int32) bool { return n == 0 })
	a.value.Store(15)
	replicas(t, ns, "work", "there is work again", func(n int32) bool { return n == 2 })
	until(t, "a metric without a right to it is not told", func() error {
		if c := conditionOf(t, ns, "lost", "ScalingActive"); c.Status != "False" || c.Reason != "FailedGetExternalMetric" || !strings.Contains(c.Message, "forbidden") {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	if n := count(t, ns, "lost"); n != 1 {
		t.Errorf("%d replicas by a metric that cannot be read", n)
	}
}
