package metricsapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	v1 "k8s.io/metrics/pkg/apis/metrics/v1"
	"k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

func podName(p v1.PodMetrics) string { return p.Namespace + "/" + p.Name }

// TestKubernetesClient reads all there is with Kubernetes' own client, in both encodings and versions.
func TestKubernetesClient(t *testing.T) {
	for _, encoding := range []string{"application/json", "application/vnd.kubernetes.protobuf"} {
		t.Run(encoding, func(t *testing.T) {
			w := shop(t)
			c, _ := w.client(encoding)
			pods, err := c.MetricsV1().PodMetricses("").List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := names(pods.Items, podName), "[shop/web shop/zdb tools/web]"; got != want {
				t.Errorf("got pods %s, want %s", got, want)
			}
			web := pods.Items[0]
			if got := names(web.Containers, func(c v1.ContainerMetrics) string {
				return c.Name + " " + c.Usage.Cpu().String() + " " + c.Usage.Memory().String()
			}); got != "[app 50m 50M sidecar 250m 3Mi]" &&
				got != "[app 50m 48828125Ki sidecar 250m 3Mi]" {
				t.Errorf("got containers %s", got)
			}
			if d := time.Since(web.Timestamp.Time); d < time.Second || d > 4*time.Second {
				t.Errorf("its timestamp is %v old, want that of the container that was heard of a second ago", d)
			}
			if web.Window.Duration != 15*time.Second {
				t.Errorf("window %v, want 15s", web.Window.Duration)
			}
			if d := cmp.Diff(map[string]string{"app": "web", "tier": "shop"}, web.Labels); d != "" || web.UID != "" || web.ResourceVersion != "" || time.Since(web.CreationTimestamp.Time) > 5*time.Second {
				t.Errorf("metadata %+v: %s", web.ObjectMeta, d)
			}
			zero := pods.Items[1].Containers[0].Usage
			if zero.Cpu().String() != "0" || zero.Memory().String() != "1k" {
				t.Errorf("what uses nothing: %v", zero)
			}
			beta, err := c.MetricsV1beta1().PodMetricses("shop").List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
			if err != nil || names(beta.Items, func(p v1beta1.PodMetrics) string { return p.Namespace + "/" + p.Name }) != "[shop/web]" {
				t.Errorf("got %+v, %v, want shop/web alone", beta, err)
			}
			one, err := c.MetricsV1().PodMetricses("tools").Get(t.Context(), "web", metav1.GetOptions{})
			if err != nil || one.Containers[0].Usage.Cpu().String() != "1" || one.Containers[0].Usage.Memory().String() != "12240Ki" {
				t.Errorf("got %+v, %v", one, err)
			}
			nodes, err := c.MetricsV1().NodeMetricses().List(t.Context(), metav1.ListOptions{LabelSelector: "kubernetes.io/hostname=n1"})
			if err != nil || len(nodes.Items) != 1 || nodes.Items[0].Usage.Cpu().String() != "2500m" || nodes.Items[0].Usage.Memory().String() != "4Gi" || nodes.Items[0].Labels["kubernetes.io/hostname"] != "n1" {
				t.Errorf("got %+v, %v", nodes, err)
			}
			node, err := c.MetricsV1beta1().NodeMetricses().Get(t.Context(), "n1", metav1.GetOptions{})
			if err != nil || node.Name != "n1" || node.Timestamp.IsZero() {
				t.Errorf("got %+v, %v", node, err)
			}
		})
	}
}

func TestSelectors(t *testing.T) {
	w := shop(t)
	c, _ := w.client("application/json")
	f := func(namespace, label, field, want string) {
		t.Helper()
		got, err := c.MetricsV1().PodMetricses(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: label, FieldSelector: field})
		if err != nil {
			t.Fatal(err)
		}
		if n := names(got.Items, podName); n != want {
			t.Errorf("%q %q %q: got %s, want %s", namespace, label, field, n, want)
		}
	}
	f("", "", "metadata.name=web", "[shop/web tools/web]")
	f("", "", "metadata.namespace=tools", "[tools/web]")
	f("", "", "metadata.namespace!=tools,metadata.name=web", "[shop/web]")
	f("shop", "tier in (shop),app!=web", "", "[shop/zdb]")
	f("shop", "nobody", "", "[]")
	f("nowhere", "", "", "[]")
	f("sho", "", "", "[]")
	for _, path := range []string{"pods?fieldSelector=spec.nodeName%3Dn1", "nodes?fieldSelector=spec.x%3D1", "nodes?fieldSelector=metadata.namespace%3Da", "pods?labelSelector=a%3D%3D%3Db", "pods?limit=x", "pods?labelSelector=" + manyTerms, "nodes?labelSelector=" + manyTerms} {
		if got := w.ask("/apis/metrics.k8s.io/v1/" + path); got.Code != http.StatusBadRequest {
			t.Errorf("%s: got %d, want 400: %s", path, got.Code, got.Body)
		}
	}
	if got := w.ask("/apis/metrics.k8s.io/v1/nodes?fieldSelector=metadata.name%3Dn2"); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), `"items":[]`) {
		t.Errorf("got %d %s, want no items", got.Code, got.Body)
	}
}

// TestWhatIsNotThere: why, by whose name, and that it is no fault of the server.
func TestWhatIsNotThere(t *testing.T) {
	w := shop(t)
	fresh := w.pod("shop", "zz-fresh", "app")
	c, _ := w.client("application/json")
	why := func(name, want string) {
		t.Helper()
		_, err := c.MetricsV1().PodMetricses("shop").Get(t.Context(), name, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) || !strings.HasSuffix(err.Error(), name+`" not found: `+want) {
			t.Errorf("%s: got %v, want not found, %s", name, err, want)
		}
	}
	why("zz-fresh", `it runs on "n1", but no sample of it came yet`)
	w.use(fresh, "app", 1, 1, 0, 0)
	w.node("n2")
	half := w.pod("shop", "zy-half", "app", "other")
	w.use(half, "app", 1, 1, 5, 0)
	why("zy-half", `no sample of its container "other" came yet`)
	half.Containers[0].Started, half.Containers[1].Started, half.Status.State = time.Time{}, time.Time{}, "NotReady"
	why("zy-half", "it does not run: NotReady")
	w.pod("shop", "zy-away", "app").Node = "n2"
	why("zy-away", `it runs on "n2", of which nothing was ever heard`)
	w.feed(&metric.Entity{Level: metric.Node, Node: "n3", ID: "/"}, 1, 1, 20, 15*time.Second)
	w.pod("shop", "zy-silent", "app").Node = "n3"
	why("zy-silent", `its machine "n3" is silent: no sample for 15s`)
	f := func(err error, want string) {
		t.Helper()
		if !apierrors.IsNotFound(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want not found, %s", err, want)
		}
	}
	_, err := c.MetricsV1().PodMetricses("shop").Get(t.Context(), "nope", metav1.GetOptions{})
	f(err, `pods "nope" not found`)
	_, err = c.MetricsV1().PodMetricses("shop").Get(t.Context(), "zz-fresh", metav1.GetOptions{})
	f(err, `podmetrics.metrics.k8s.io "shop/zz-fresh" not found: one sample so far, a rate needs two`)
	_, err = c.MetricsV1().NodeMetricses().Get(t.Context(), "n2", metav1.GetOptions{})
	f(err, `nodemetrics.metrics.k8s.io "n2" not found`)
	_, err = c.MetricsV1().NodeMetricses().Get(t.Context(), "n3", metav1.GetOptions{})
	f(err, `nodes "n3" not found`)
	crashed := w.pod("shop", "zzz-crashed", "app")
	crashed.Containers[0].ID, crashed.Containers[0].Started, crashed.Containers[0].Ended = "containerd://1", time.Time{}, "Error"
	_, err = c.MetricsV1().PodMetricses("shop").Get(t.Context(), "zzz-crashed", metav1.GetOptions{})
	f(err, `podmetrics.metrics.k8s.io "shop/zzz-crashed" not found: it does not run: Error`)
	fresh.Phase, fresh.Status = "Pending", cluster.Status{State: "ImagePullBackOff"}
	_, err = c.MetricsV1().PodMetricses("shop").Get(t.Context(), "zz-fresh", metav1.GetOptions{})
	f(err, "it does not run: ImagePullBackOff")
	w.unknown = errors.New("not all are known yet")
	if _, err = c.MetricsV1().PodMetricses("").List(t.Context(), metav1.ListOptions{}); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("got %v, want unavailable", err)
	}
	if _, err = c.MetricsV1().NodeMetricses().Get(t.Context(), "n1", metav1.GetOptions{}); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("got %v, want unavailable", err)
	}
	for method, path := range map[string]string{"GET": "pods?watch=true", "DELETE": "namespaces/shop/pods/web", "POST": "nodes"} {
		r, _ := http.NewRequestWithContext(t.Context(), method, "http://x/apis/metrics.k8s.io/v1/"+path, nil)
		if got := do(w, r); got != http.StatusMethodNotAllowed {
			t.Errorf("%s %s: got %d, want 405", method, path, got)
		}
	}
}

// TestNothingIsKnown: while pods run on nodes that are Ready and not one value is known, a list says so. A part of one that is empty stays that.
func TestNothingIsKnown(t *testing.T) {
	w := newWorld(t)
	web := w.pod("shop", "web", "app")
	w.pod("tools", "new", "app")
	w.node("n1")
	w.node("n2")
	w.nodes[0].Ready, w.nodes[1].Ready = "True", "True"
	const v1 = "/apis/metrics.k8s.io/v1/"
	f := func(path string, code int, text string) {
		t.Helper()
		for _, accept := range []string{"application/json", "application/json;as=Table;v=v1;g=meta.k8s.io"} {
			if got := w.ask(v1+path, "Accept", accept); got.Code != code || !strings.Contains(got.Body.String(), text) {
				t.Errorf("%s: got %d %s, want %d, %s", path, got.Code, got.Body, code, text)
			}
		}
	}
	none := "no value of any pod is known at present, though %d of the pods that this is about run on nodes that are Ready: neither collectors nor kubelets tell of them"
	f("pods", 503, strings.Replace(none, "%d", "2", 1))
	f("namespaces/shop/pods", 503, strings.Replace(none, "%d", "1", 1))
	f("namespaces/shop/pods?labelSelector=app%3Dweb", 503, strings.Replace(none, "%d", "1", 1))
	f("namespaces/shop/pods?labelSelector=app%3Dother", 200, "")
	f("namespaces/nowhere/pods", 200, "")
	f("nodes", 503, "no value of any node is known at present, though 2 of the pods")
	f("nodes?fieldSelector=metadata.name%3Dn2", 200, "") // on which nothing runs
	w.use(web, "app", 1, 1, 5, 0)
	f("pods", 200, "web")
	f("namespaces/tools/pods", 200, "") // of which nothing is heard yet
	f("nodes", 503, "no value of any node")
	w.useNode("n1", 1, 1, 5)
	f("nodes", 200, "n1")
}

// TestNobodyIsReady: of machines that are known to be away nothing is to be known.
func TestNobodyIsReady(t *testing.T) {
	w := newWorld(t)
	w.pod("shop", "web", "app")
	w.node("n1")
	w.nodes[0].Ready = "Unknown"
	for _, path := range []string{"pods", "nodes", "namespaces/shop/pods"} {
		if got := w.ask("/apis/metrics.k8s.io/v1/" + path); got.Code != http.StatusOK {
			t.Errorf("%s: got %d %s", path, got.Code, got.Body)
		}
	}
}

// TestWhatRuns: a pod is served whole or not at all, and only what runs of it.
func TestWhatRuns(t *testing.T) {
	w := newWorld(t)
	late := w.pod("a", "late", "app", "second") // of which nothing was heard yet
	w.use(late, "app", 1, 1, 5, 0)
	ended := w.pod("b", "crashing", "app", "loops")
	ended.Containers[1].Started = time.Time{}
	w.use(ended, "app", 1, 1, 5, 0)
	w.use(ended, "loops", 1, 1, 5, 0) // which has ended just now
	alone := w.pod("b", "crashing-alone", "loops")
	alone.Containers[0].Started = time.Time{}
	w.use(alone, "loops", 1, 1, 5, 0)
	sidecar := w.pod("c", "sidecar", "app")
	sidecar.InitContainers = []cluster.Container{{Name: "mesh", Always: true, Started: w.began}, {Name: "setup"}}
	w.use(sidecar, "app", 1, 1, 5, 0)
	w.use(sidecar, "mesh", 1, 1, 5, 0)
	looked := w.pod("d", "looked-into", "app")
	looked.Ephemeral = []cluster.Container{{Name: "debugger", Started: w.began}}
	w.use(looked, "app", 1, 1, 5, 0)
	w.use(looked, "debugger", 1, 1, 5, 0)
	for _, phase := range []string{"Succeeded", "Failed", "Pending"} {
		p := w.pod("e", "is-"+strings.ToLower(phase), "app")
		p.Phase = "Running"
		w.use(p, "app", 1, 1, 5, 0)
		*p = *w.phase(p, phase)
	}
	silent := w.pod("f", "silent", "app")
	w.use(silent, "app", 1, 1, 5, 40*time.Second)
	w.use(w.pod("g", "quiet", "app"), "app", 1, 1, 5, 25*time.Second)
	w.pod("h", "unheard")
	c, _ := w.client("application/json")
	got, err := c.MetricsV1().PodMetricses("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"b/crashing app", "c/sidecar app mesh", "d/looked-into app debugger", "g/quiet app"}
	if d := cmp.Diff(want, mapped(got.Items, func(p v1.PodMetrics) string {
		return podName(p) + " " + strings.Join(mapped(p.Containers, func(c v1.ContainerMetrics) string { return c.Name }), " ")
	})); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
	if n := testutil.ToFloat64(w.api.meters.objects.WithLabelValues("pods", "missing")); n != 4 {
		t.Errorf("%v pods are counted as missing, want late, crashing-alone, silent and unheard", n)
	}
}

func (w *world) phase(p *cluster.Pod, phase string) *cluster.Pod {
	c := *p
	switch phase {
	case "Succeeded":
		c.Phase = "Succeeded"
	case "Failed":
		c.Phase = "Failed"
	default:
		c.Phase = "Pending"
	}
	return &c
}

func TestChecks(t *testing.T) {
	w := newWorld(t)
	checks := map[string]func() error{}
	for _, c := range append(w.api.Checks(), w.api.Known()) {
		checks[c.Name] = c.Test
	}
	ready := checks["metric-storage-ready"]
	p := w.pod("a", "b", "c")
	w.node("n1")
	if err := ready(); err == nil || !strings.Contains(err.Error(), "node") {
		t.Errorf("empty: %v", err)
	}
	w.useNode("n1", 1, 1, 3)
	if err := ready(); err == nil || !strings.Contains(err.Error(), "pod") {
		t.Errorf("without a pod: %v", err)
	}
	w.use(p, "c", 1, 1, 3, 0)
	if err := ready(); err != nil {
		t.Error(err)
	}
	w.pods = nil
	if err := ready(); err != nil {
		t.Errorf("what was ready once: %v", err)
	}
	part := newWorld(t)
	part.node("n1")
	part.node("n2")
	part.nodes[0].Ready, part.nodes[1].Ready = corev1.ConditionTrue, corev1.ConditionTrue
	one, other, young := part.pod("a", "one", "c"), part.pod("a", "other", "c"), part.pod("a", "young", "c")
	other.Node = "n2"
	young.Containers[0].Started = part.api.made.Add(time.Second)
	wants := func(what string) {
		t.Helper()
		if err := part.api.ready(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("got %v, want that %s lacks", err, what)
		}
	}
	part.useNode("n1", 1, 1, 3)
	part.use(one, "c", 1, 1, 3, 0)
	wants("1 of 2 nodes")
	part.useNode("n2", 1, 1, 3)
	wants("1 of 3 pods")
	part.nodes[1].Ready = corev1.ConditionUnknown // what ran there may be gone
	if err := part.api.ready(); err != nil {
		t.Error(err)
	}
	empty := newWorld(t)
	if err := empty.api.ready(); err == nil {
		t.Error("an empty server is ready at once")
	}
	empty.api.made = empty.api.made.Add(-fills)
	if err := empty.api.ready(); err != nil {
		t.Errorf("a server to which nothing comes: %v", err)
	}
	w.unknown = errors.New("not all are known yet")
	if checks["metadata-informer-sync"]() == nil || checks["metric-informer-sync"]() == nil {
		t.Error("an inventory that is not whole is synced")
	}
}

// TestDiscovery: what kubectl and the controllers look for.
func TestDiscovery(t *testing.T) {
	w := shop(t)
	c, _ := w.client("application/json")
	groups, resources, err := c.Discovery().ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) != 1 || groups[0].Name != "metrics.k8s.io" || groups[0].PreferredVersion.Version != "v1" || len(groups[0].Versions) != 2 {
		t.Errorf("groups: %+v", groups)
	}
	if len(resources) != 2 {
		t.Fatalf("resources: %+v", resources)
	}
	for _, list := range resources {
		for _, r := range list.APIResources {
			if want := map[string]string{"nodes": "NodeMetrics", "pods": "PodMetrics"}[r.Name]; r.Kind != want || r.Namespaced != (r.Name == "pods") || strings.Join(r.Verbs, " ") != "get list" || r.SingularName != "" {
				t.Errorf("%s: %+v", list.GroupVersion, r)
			}
		}
	}
	for path, want := range map[string]string{
		"/apis/metrics.k8s.io": `"preferredVersion"`, "/apis/metrics.k8s.io/v1": "PodMetrics", "/apis/metrics.k8s.io/v1beta1": "NodeMetrics",
		"/openapi/v2": "io.k8s.metrics.pkg.apis.metrics.v1.PodMetrics", "/openapi/v3": "apis/metrics.k8s.io/v1beta1", "/openapi/v3/apis/metrics.k8s.io/v1": "io.k8s.metrics.pkg.apis.metrics.v1.NodeMetricsList"} {
		if got := w.ask(path); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), want) {
			t.Errorf("%s: got %d %.300s, want %s in it", path, got.Code, got.Body, want)
		}
	}
}

// TestTables is what kubectl get shows.
func TestTables(t *testing.T) {
	w := shop(t)
	table := "application/json;as=Table;v=v1;g=meta.k8s.io"
	f := func(path string, want ...string) {
		t.Helper()
		var got metav1.Table
		r := w.ask("/apis/metrics.k8s.io/v1/"+path, "Accept", table)
		if err := json.Unmarshal(r.Body.Bytes(), &got); err != nil || got.Kind != "Table" {
			t.Fatalf("%s: %v %s", path, err, r.Body)
		}
		text := []string{}
		for _, c := range got.ColumnDefinitions {
			text = append(text, c.Name)
		}
		text = []string{strings.Join(text, " ")}
		for _, row := range got.Rows {
			var cells []string
			for _, c := range row.Cells {
				cells = append(cells, c.(string))
			}
			text = append(text, strings.Join(cells, " "))
			if len(row.Object.Raw) == 0 {
				t.Errorf("%s: a row without its object", path)
			}
		}
		if d := cmp.Diff(want, text); d != "" {
			t.Errorf("%s: want -, got +:\n%s", path, d)
		}
	}
	f("pods", "Name cpu memory Window", "web 300m 53145728 15s", "zdb 0 1k 15s", "web 1 12240Ki 15s")
	f("namespaces/tools/pods/web", "Name cpu memory Window", "web 1 12240Ki 15s")
	f("nodes", "Name cpu memory Window", "n1 2500m 4Gi 15s")
	f("nodes?includeObject=Object", "Name cpu memory Window", "n1 2500m 4Gi 15s")
	f("pods?includeObject=Object&labelSelector=app=zdb", "Name cpu memory Window", "zdb 0 1k 15s")
	f("namespaces/none/pods", "Name cpu memory Window")
}

// do answers a request and returns its status.
func do(w *world, r *http.Request) int {
	rec := newRecorder()
	w.handler().ServeHTTP(rec, r)
	return rec.Code
}

// manyTerms is a selector that would be tried six thousand times on each object.
var manyTerms = strings.TrimSuffix(strings.Repeat("%21a,", 6000), ",")
