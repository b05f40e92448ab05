package metricsapi

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	"k8s.io/metrics/pkg/client/clientset/versioned"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// world is a small cluster: what its inventory knows and what its picture has.
type world struct {
	t       testing.TB
	pods    []*cluster.Pod
	sorted  int // of how many pods the order is known
	nodes   []*cluster.Node
	unknown error // why the inventory is not whole
	picture *live.Picture
	api     *API
	reg     *prometheus.Registry
	began   time.Time
}

func (w *world) All() []*cluster.Pod {
	if w.sorted != len(w.pods) {
		slices.SortFunc(w.pods, func(a, b *cluster.Pod) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
		})
		w.sorted = len(w.pods)
	}
	return w.pods
}
func (w *world) Nodes() []*cluster.Node { return w.nodes }

func newWorld(t testing.TB) *world {
	t.Helper()
	p, err := live.New(live.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, picture: p, reg: prometheus.NewRegistry(), began: time.Now().Add(-time.Hour)}
	if w.api, err = New(Options{Picture: p, Inventory: w, Synced: func() error { return w.unknown }, Registerer: w.reg}); err != nil {
		t.Fatal(err)
	}
	return w
}

// pod is a pod on node n1 whose containers run.
func (w *world) pod(namespace, name string, containers ...string) *cluster.Pod {
	p := &cluster.Pod{UID: "uid-" + namespace + "-" + name, Namespace: namespace, Name: name, Node: "n1", Phase: "Running", StartTime: w.began, Labels: map[string]string{"app": name, "tier": namespace}}
	for _, c := range containers {
		p.Containers = append(p.Containers, cluster.Container{Name: c, Started: w.began.Add(time.Second)})
	}
	w.pods = append(w.pods, p)
	return p
}

func (w *world) node(name string) {
	w.nodes = append(w.nodes, &cluster.Node{Name: name, Labels: map[string]string{"kubernetes.io/hostname": name}})
}

// use says that a container used so many cores, and so much memory, in the last seconds, of which the newest was ago.
func (w *world) use(p *cluster.Pod, container string, cores, bytes float64, seconds int, ago time.Duration) {
	e := &metric.Entity{Level: metric.Container, Node: p.Node, Namespace: p.Namespace, Pod: p.Name, Container: container, ID: "/kubepods/pod" + p.UID + "/" + container}
	w.feed(e, cores, bytes, seconds, ago)
}

func (w *world) useNode(name string, cores, bytes float64, seconds int) {
	w.feed(&metric.Entity{Level: metric.Node, Node: name, ID: "/"}, cores, bytes, seconds, 0)
}

func (w *world) feed(e *metric.Entity, cores, bytes float64, seconds int, ago time.Duration) {
	newest := time.Now().Add(-ago)
	for i := seconds; i >= 0; i-- {
		at := newest.Add(-time.Duration(i) * time.Second)
		err := w.picture.Apply(&metric.Batch{Node: e.Node, Time: at, Fast: true, Groups: []metric.Group{{Entity: e, Points: []metric.Point{
			{ID: metric.CPUUsage, T: at.UnixMilli(), V: 1000 - cores*float64(i)}, {ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: bytes}}}}})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// handler routes as the door does.
func (w *world) handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range w.api.Routes() {
		pattern := r.Pattern
		if r.Method != "" {
			pattern = r.Method + " " + pattern
		}
		mux.Handle(pattern, r.Handler)
	}
	mux.Handle("GET /apis", w.api.handler) // as whoever serves all groups does
	return mux
}

// client is Kubernetes' own, of a server that ends with the test.
func (w *world) client(contentType string) (versioned.Interface, string) {
	w.t.Helper()
	s := httptest.NewServer(w.handler())
	w.t.Cleanup(s.Close)
	c, err := versioned.NewForConfig(&rest.Config{Host: s.URL, ContentConfig: rest.ContentConfig{ContentType: contentType, AcceptContentTypes: contentType}})
	if err != nil {
		w.t.Fatal(err)
	}
	return c, s.URL
}

// ask returns the answer to a GET.
func (w *world) ask(path string, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	out := httptest.NewRecorder()
	w.handler().ServeHTTP(out, r)
	return out
}

// shop is the usual world: two pods with three containers, one node.
func shop(t testing.TB) *world {
	w := newWorld(t)
	web, db := w.pod("shop", "web", "app", "sidecar"), w.pod("shop", "zdb", "db")
	other := w.pod("tools", "web", "app")
	w.node("n1")
	w.use(web, "sidecar", 0.25, 3<<20, 20, time.Second)
	w.use(web, "app", 0.05, 50e6, 20, 0)
	w.use(db, "db", 0, 1000, 20, 0)
	w.use(other, "app", 1, 12533760, 20, 0)
	w.useNode("n1", 2.5, 4<<30, 20)
	return w
}

func names[T any](items []T, of func(T) string) string { return fmt.Sprint(mapped(items, of)) }

func mapped[T any](items []T, of func(T) string) []string {
	out := []string{}
	for _, it := range items {
		out = append(out, of(it))
	}
	return out
}
