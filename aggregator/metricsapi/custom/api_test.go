package custom

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	"k8s.io/metrics/pkg/client/external_metrics"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// inventory is some pods.
type inventory []*cluster.Pod

func (i inventory) All() []*cluster.Pod                         { return i }
func (i inventory) Pods(cluster.Target) ([]*cluster.Pod, error) { return i, nil }

func (i inventory) Nodes() []*cluster.Node {
	return []*cluster.Node{{Name: "n1", Labels: map[string]string{"name": "n1"}}, {Name: "n2"}}
}

// shop is two pods of a Deployment whose values of the last seconds are known, and one of which nothing is.
func shop(t testing.TB, synced error) http.Handler {
	t.Helper()
	var pods inventory
	for _, name := range []string{"web-1", "web-2", "web-3"} {
		pods = append(pods, &cluster.Pod{UID: name, Namespace: "shop", Name: name, Node: "n1", Phase: "Running", Labels: map[string]string{"app": "web", "name": name}})
	}
	p, err := live.New(live.Options{Inventory: pods})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for back := 2; back >= 0; back-- {
		at := now.Add(-10 * time.Second * time.Duration(back))
		b := &metric.Batch{Node: "n1", Time: at}
		add := func(e *metric.Entity, points ...metric.Point) {
			for i := range points {
				points[i].T = at.UnixMilli()
			}
			b.Groups = append(b.Groups, metric.Group{Entity: e, Points: points})
		}
		grown := float64(2-back) * 10
		for i, pod := range pods[:2] {
			f := float64(i + 1)
			add(&metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", WorkloadKind: "Deployment", Workload: "web", Pod: pod.Name, Container: "app", ID: "/kubepods/pod" + pod.UID + "/x"},
				metric.Point{ID: metric.CPUWaiting, V: grown * 0.25 * f}, metric.Point{ID: metric.MemoryRSS, V: 1000 * f}, metric.Point{ID: metric.CPUUsage, V: grown * f},
				metric.Point{ID: metric.NetworkReceive, Sub: "eth0", V: grown * 1e6 * f}, metric.Point{ID: metric.NetworkReceive, Sub: "lo", V: grown * 1e9})
		}
		add(&metric.Entity{Level: metric.Node, Node: "n1", ID: "/"}, metric.Point{ID: metric.CPUWaiting, V: grown * 0.5}, metric.Point{ID: metric.LoadAverage1m, V: 2.5})
		if err := p.Apply(b); err != nil {
			t.Fatal(err)
		}
	}
	a, err := New(Options{Pictures: p, Nodes: pods, Synced: func() error { return synced }, Custom: true, External: true})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, r := range a.Routes() {
		mux.Handle(r.Pattern, r.Handler)
	}
	return mux
}

// ask returns the status and what an answer has: "object value/window".
func ask(h http.Handler, path string) (int, string) {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", "/apis/"+path, nil))
	var list struct {
		Message string
		Items   []struct {
			DescribedObject struct{ Kind, Name string }
			MetricLabels    map[string]string
			Value           string
			Window          int `json:"windowSeconds"`
		}
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &list); err != nil {
		return rec.Code, err.Error() + rec.Body.String()
	}
	if rec.Code != http.StatusOK {
		return rec.Code, list.Message
	}
	var out []string
	for _, it := range list.Items {
		out = append(out, fmt.Sprintf("%s%s %s/%d", it.DescribedObject.Name, it.MetricLabels["workload"], it.Value, it.Window))
	}
	return rec.Code, strings.Join(out, ", ")
}

func TestValues(t *testing.T) {
	h := shop(t, nil)
	const custom, external = "custom.metrics.k8s.io/v1beta2/", "external.metrics.k8s.io/v1beta1/"
	f := func(path, want string) {
		t.Helper()
		if code, got := ask(h, path); code != http.StatusOK || got != want {
			t.Errorf("%s: got %d %q, want %q", path, code, got, want)
		}
	}
	f(custom+"namespaces/shop/pods/*/pressure_cpu_waiting_ratio", "web-1 250m/10, web-2 500m/10")
	f(custom+"namespaces/shop/pods/*/pressure_cpu_waiting_ratio?labelSelector=name%3Dweb-2", "web-2 500m/10")
	f(custom+"namespaces/shop/pods/web-1/memory_rss_bytes", "web-1 1k/0")
	f(custom+"namespaces/shop/pods/*/network_receive_bytes_rate", "web-1 1M/10, web-2 2M/10")
	f(custom+"namespaces/other/pods/*/network_receive_bytes_rate", "")
	f(custom+"nodes/n1/load1", "n1 2500m/0")
	f(custom+"nodes/*/pressure_cpu_waiting_ratio?labelSelector=name%3Dn1", "n1 500m/10")
	f(custom+"namespaces/shop/metrics/cpu_usage_cores", "shop 3/10")
	f("custom.metrics.k8s.io/v1beta1/namespaces/shop/pods/web-2/cpu_usage_cores", "web-2 2/0") // where the window has another name
	f(external+"namespaces/shop/memory_rss_bytes?labelSelector=workload%3Dweb,workload_kind%3DDeployment", "web 3k/0")
	f(external+"namespaces/shop/memory_rss_bytes?labelSelector=workload%3Dother", "")
	f(external+"namespaces/other/memory_rss_bytes", "")
	for path, want := range map[string]int{
		custom + "namespaces/shop/pods/web-3/memory_rss_bytes": 404, custom + "namespaces/shop/pods/*/no_such": 404, custom + "namespaces/shop/services/*/memory_rss_bytes": 404,
		custom + "namespaces/shop/pods/*/replicas_desired": 404, external + "namespaces/shop/no_such": 404, custom + "namespaces/shop/pods/*/memory_rss_bytes?labelSelector=a%3D%3D%3D": 400,
		custom + "namespaces/shop/pods/*/memory_rss_bytes?labelSelector=a" + strings.Repeat(",%21b", 600): 400, external + "namespaces/shop/x?labelSelector=a" + strings.Repeat(",%21b", 600): 400} {
		if code, got := ask(h, path); code != want {
			t.Errorf("%s: got %d %s, want %d", path, code, got, want)
		}
	}
	for path, want := range map[string]string{
		external + "namespaces/shop/network_receeve_bytes": "the server could not find the external metric network_receeve_bytes; near it are network_receive_bytes_rate, network_transmit_bytes_rate, ",
		external + "namespaces/shop/queue":                 "the server could not find the external metric queue; none has a name like it, 'kubectl get --raw /apis/external.metrics.k8s.io/' leads to the list",
		custom + "namespaces/shop/pods/*/memory-rss":       "the server could not find the metric memory-rss for pods; near it are memory_rss_bytes, ",
		custom + "namespaces/shop/services/*/load1":        "the server could not find the metric load1 for services; there are some for pods, nodes and namespaces",
	} {
		if code, got := ask(h, path); code != http.StatusNotFound || !strings.HasPrefix(got, want) || strings.HasSuffix(got, " ") {
			t.Errorf("%s: got %d %s, want %s", path, code, got, want)
		}
	}
	if code, got := ask(shop(t, errors.New("not yet")), custom+"namespaces/shop/pods/*/memory_rss_bytes"); code != http.StatusServiceUnavailable {
		t.Errorf("got %d %s, want unavailable", code, got)
	}
}

// TestDiscovery: the HPA controller looks for the groups' versions, people for the names.
func TestDiscovery(t *testing.T) {
	h := shop(t, nil)
	for path, want := range map[string][]string{"custom.metrics.k8s.io/v1beta2": {"pods/pressure_io_waiting_ratio", "nodes/load1", "namespaces/network_transmit_bytes_rate"},
		"external.metrics.k8s.io/v1beta1": {"cpu_cfs_throttled_ratio"}, "custom.metrics.k8s.io": {"preferredVersion"}} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest("GET", "/apis/"+path, nil))
		for _, name := range want {
			if rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), name) {
				t.Errorf("%s: %d, no %q in %.300s", path, rec.Code, name, rec.Body)
			}
		}
	}
	seen := map[string]bool{}
	for _, m := range (&values{}).ListAllMetrics() {
		if seen[m.String()] {
			t.Errorf("%s is there twice", m)
		}
		seen[m.String()] = true
	}
}

// TestEachListedAnswers gives every container and node all that a collector can measure, and asks each metric that is listed of each kind that it is
// listed for. What only the history has is listed for none.
func TestEachListedAnswers(t *testing.T) {
	pods := inventory{{UID: "u", Namespace: "shop", Name: "web-1", Node: "n1", Phase: "Running"}}
	p, err := live.New(live.Options{Inventory: pods})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i := range 3 {
		at := now.Add(10 * time.Second * time.Duration(i-2))
		b := &metric.Batch{Node: "n1", Time: at}
		for _, e := range []*metric.Entity{
			{Level: metric.Container, Node: "n1", Namespace: "shop", WorkloadKind: "Deployment", Workload: "web", Pod: "web-1", Container: "app", ID: "/kubepods/podu/x"},
			{Level: metric.Pod, Node: "n1", Namespace: "shop", WorkloadKind: "Deployment", Workload: "web", Pod: "web-1"},
			{Level: metric.Node, Node: "n1", ID: "/"},
		} {
			g := metric.Group{Entity: e}
			for k := range metric.Rows() {
				row := &metric.Rows()[k]
				if row.Past || !row.Has(e.Level) || e.Level == metric.Pod && row.Has(metric.Container) {
					continue
				}
				sub := ""
				if row.Sub != "" {
					sub = "eth0"
				}
				g.Points = append(g.Points, metric.Point{ID: row.ID, Sub: sub, T: at.UnixMilli(), V: 1 + float64(i)/10})
			}
			b.Groups = append(b.Groups, g)
		}
		if err := p.Apply(b); err != nil {
			t.Fatal(err)
		}
	}
	a, err := New(Options{Pictures: p, Nodes: pods, Synced: func() error { return nil }, Custom: true, External: true})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, r := range a.Routes() {
		mux.Handle(r.Pattern, r.Handler)
	}
	v, listed := &values{opts: a.opts}, map[string]bool{}
	for _, m := range v.ListAllMetrics() {
		listed[m.GroupResource.Resource+"/"+m.Metric] = true
		path := map[string]string{"pods": "namespaces/shop/pods/web-1/", "nodes": "nodes/n1/", "namespaces": "namespaces/shop/metrics/"}[m.GroupResource.Resource] + m.Metric
		if code, got := ask(mux, "custom.metrics.k8s.io/v1beta2/"+path); code != http.StatusOK || got == "" {
			t.Errorf("%s is listed, and answered %d %q", path, code, got)
		}
	}
	for _, m := range v.ListAllExternalMetrics() {
		if code, got := ask(mux, "external.metrics.k8s.io/v1beta1/namespaces/shop/"+m.Metric); code != http.StatusOK || got == "" {
			t.Errorf("external %s is listed, and answered %d %q", m.Metric, code, got)
		}
	}
	for _, name := range []string{"namespaces/pods_running", "namespaces/pods_ready", "namespaces/containers_waiting", "namespaces/missing_parts", "nodes/pods_pending", "pods/missing_parts", "nodes/nodes_ready"} {
		if listed[name] {
			t.Errorf("%s is listed: only the history has it", name)
		}
	}
	if len(listed) < 60 {
		t.Errorf("%d are listed", len(listed))
	}
}

// TestKubernetesClient is what the HPA controller asks external metrics with.
func TestKubernetesClient(t *testing.T) {
	s := httptest.NewServer(shop(t, nil))
	defer s.Close()
	c, err := external_metrics.NewForConfig(&rest.Config{Host: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.NamespacedMetrics("shop").List("cpu_usage_cores", labels.SelectorFromSet(labels.Set{"workload": "web"}))
	if err != nil || len(got.Items) != 1 {
		t.Fatal(got, err)
	}
	x := got.Items[0]
	if d := cmp.Diff(map[string]string{"workload": "web", "workload_kind": "Deployment"}, x.MetricLabels); d != "" || x.Value.String() != "3" || x.WindowSeconds == nil || *x.WindowSeconds != 10 || x.Timestamp.Before(&metav1.Time{Time: time.Now().Add(-time.Minute)}) {
		t.Errorf("got %+v", x)
	}
}

func TestOneGroupAlone(t *testing.T) {
	p, err := live.New(live.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{Pictures: p, Nodes: inventory(nil), Synced: func() error { return nil }, External: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range a.Routes() {
		if strings.Contains(r.Pattern, "custom") {
			t.Errorf("%s is served", r.Pattern)
		}
	}
}

func FuzzAsked(f *testing.F) {
	h := shop(f, nil)
	f.Add("custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/memory_rss_bytes", "labelSelector=a&metricLabelSelector=b")
	f.Add("external.metrics.k8s.io/v1beta1/namespaces/shop/memory_rss_bytes", "labelSelector=workload%3Dweb&limit=1")
	f.Add("custom.metrics.k8s.io/v1beta1/s/*/m", "labelSelector=a&metricLabelSelector=!")
	f.Fuzz(func(t *testing.T, path, query string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL = &url.URL{Path: "/apis/" + path, RawQuery: query}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code >= 500 {
			t.Errorf("%q?%q: %d %s", path, query, rec.Code, rec.Body)
		}
	})
}

// Of a namespace only that itself is told below its path: a right to one's own namespace says nothing of another.
func TestNamespaceBelowANamespace(t *testing.T) {
	h := shop(t, nil)
	for _, name := range []string{"shop", "*", "other"} {
		if code, got := ask(h, "custom.metrics.k8s.io/v1beta2/namespaces/other/namespaces/"+name+"/cpu_usage_cores"); code != http.StatusNotFound {
			t.Errorf("%s: %d %q", name, code, got)
		}
	}
	if code, got := ask(h, "custom.metrics.k8s.io/v1beta2/namespaces/shop/metrics/cpu_usage_cores"); code != http.StatusOK || got == "" {
		t.Errorf("its own: %d %q", code, got)
	}
}
