package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// TestWatchesExpire has the API server lose what it would tell the watches of a server and of a collector, which do nothing meanwhile: pods change places under
// their names, etcd is compacted and the API server starts anew. Both list again, and nothing of the old pods is on the new ones.
func TestWatchesExpire(t *testing.T) {
	ours(t)
	long(t)
	w := newWorld(t, 8464)
	pods := shared.Client().CoreV1().Pods(w.ns)
	create(t, w.ns, "swap", "node1", corev1.PodSpec{Containers: []corev1.Container{container("app", "", "", "-memory=90")}})
	create(t, w.ns, "gone", "node2", corev1.PodSpec{Containers: []corev1.Container{container("app", "", "", "-memory=90")}})
	shows := func(node string, least, most float64) error {
		all := w.server.containers(t, w.admin, w.ns)
		if c := all["swap/app"]; c.Node != node || c.WorkingSet == nil || *c.WorkingSet < least || *c.WorkingSet > most || c.Restarts == nil || *c.Restarts != 0 {
			return fmt.Errorf("%+v", c)
		}
		return nil
	}
	until(t, "the first", func() error { return shows("node1", 85e6, 120e6) })
	old, err := pods.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}

	serverGoes, collectorGoes := w.server.stops(t), w.nodes[1].stops(t)
	for _, name := range []string{"swap", "gone"} {
		if err := pods.Delete(t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil {
			t.Fatal(err)
		}
	}
	create(t, w.ns, "swap", "node2", corev1.PodSpec{Containers: []corev1.Container{container("app", "", "", "-memory=10")}})
	runs(t, w.ns, "swap")
	compact(t)
	if err := shared.End("kube-apiserver"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(shared.StartAPIServer(), shared.WaitAPI(t.Context())); err != nil {
		t.Fatal(err)
	}
	until(t, "a watch goes on where it was", func() error { return expired(t, w.ns, old.ResourceVersion) })
	serverGoes()
	collectorGoes()

	until(t, "the second", func() error { return shows("node2", 5e6, 40e6) })
	for range 20 {
		if err := shows("node2", 5e6, 40e6); err != nil {
			t.Errorf("the old one is on the new: %v", err)
		}
		time.Sleep(200 * time.Millisecond)
	}
	until(t, "a pod that is no more", func() error {
		if _, err := usage(w.server, w.admin, w.ns, "gone"); err == nil {
			return errors.New("is served")
		}
		return nil
	})
	until(t, "it is told that the API server tells of changes", func() error {
		for _, c := range w.conditions(t) {
			if c.Type == "ClusterKnown" {
				return errors.New(c.Message)
			}
		}
		return nil
	})
	w.well(t, "node1")
	w.well(t, "node2")
}

// compact has etcd forget all revisions but the newest.
func compact(t *testing.T) {
	t.Helper()
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: shared.Dial}}
	ask := func(path, body string) string {
		t.Helper()
		resp, err := c.Post("http://127.0.0.1:2379/v3/kv/"+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("etcd: %s %s %v", resp.Status, raw, err)
		}
		return string(raw)
	}
	var now struct{ Header struct{ Revision string } }
	if err := json.Unmarshal([]byte(ask("range", `{"key": "AA=="}`)), &now); err != nil || now.Header.Revision == "" {
		t.Fatal(now, err)
	}
	ask("compaction", `{"revision": "`+now.Header.Revision+`", "physical": true}`)
}

// expired wants the API server to say that it does not know any more what came after a version.
func expired(t *testing.T, ns, version string) error {
	t.Helper()
	stream, err := shared.Client().CoreV1().Pods(ns).Watch(t.Context(), metav1.ListOptions{ResourceVersion: version, TimeoutSeconds: new(int64(2))})
	if err != nil {
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			return nil
		}
		return err
	}
	defer stream.Stop()
	e, told := <-stream.ResultChan()
	if !told {
		return errors.New("it tells of nothing")
	}
	if err := apierrors.FromObject(e.Object); e.Type == watch.Error && (apierrors.IsResourceExpired(err) || apierrors.IsGone(err)) {
		return nil
	}
	return fmt.Errorf("it tells of %s", e.Type)
}

// asked counts what a server asks of the API server.
type asked struct {
	mu sync.Mutex
	by map[string]int
}

// counting passes requests on to the API server as the administrator, and counts them; it returns a kubeconfig that leads to it.
func counting(t *testing.T) (kubeconfig string, a *asked) {
	t.Helper()
	a = &asked{by: map[string]int{}}
	way, err := rest.TransportFor(shared.Config())
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(shared.Config().Host)
	if err != nil {
		t.Fatal(err)
	}
	l, err := shared.Listen(t.Context(), "", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Transport: way, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	s := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		what := r.Method
		if r.URL.Query().Get("watch") != "" {
			what = "WATCH"
		}
		a.mu.Lock()
		a.by[what+" "+r.URL.Path]++
		a.mu.Unlock()
		proxy.ServeHTTP(w, r)
	})}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	text := "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: 'http://" + l.Addr().String() + "'}}]\n"
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return kubeconfig, a
}

// all is what was asked so far.
func (a *asked) all() (out map[string]int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	out = map[string]int{}
	for k, n := range a.by {
		out[k] = n
	}
	return out
}

// TestChurn has a thousand pods come and go on ten nodes that have no kubelet, each one made anew three times under its name: the server knows those that there
// are and no others, asks the API server for nothing by the pod, and keeps nothing of those that went.
func TestChurn(t *testing.T) {
	ours(t)
	long(t)
	const nodes, pods, rounds = 10, 1000, 3
	ns := namespace(t)
	account(t, ns, "viewer", reading, rbacv1.PolicyRule{APIGroups: []string{"metrics.k8s.io"}, Resources: []string{"pods"}, Verbs: []string{"list"}})
	admin := token(t, ns, "viewer", "", nil)
	for i := range nodes {
		fakeNode(t, fmt.Sprint("churn-", i), nil)
	}
	kubeconfig, a := counting(t)
	s := server(t, 8465, "--kubeconfig", kubeconfig, "--kubelet-fallback=false")
	all := shared.Client().CoreV1().Pods(ns)
	uids := make([]string, pods)
	anew := func(i int) error {
		name := fmt.Sprintf("p%04d", i)
		_ = all.Delete(t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
		p, err := all.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "churn"}},
			Spec: corev1.PodSpec{NodeName: fmt.Sprint("churn-", i%nodes), Containers: []corev1.Container{{Name: "web", Image: image}}}}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		uids[i] = string(p.UID)
		p.Status = runningStatus(p, time.Now())
		_, err = all.UpdateStatus(t.Context(), p, metav1.UpdateOptions{})
		return err
	}
	round := func() {
		t.Helper()
		var g sync.WaitGroup
		failed := make(chan error, nodes)
		for from := range nodes {
			g.Go(func() {
				for i := from; i < pods; i += nodes {
					if err := anew(i); err != nil {
						failed <- err
						return
					}
				}
			})
		}
		g.Wait()
		select {
		case err := <-failed:
			t.Fatal(err)
		default:
		}
	}
	knows := func() error { // a list counts the pods that run and have no values
		const missing = `plimsoll_metricsapi_objects_total{resource="pods",result="missing"}`
		list := func() error {
			_, err := s.get("/apis/metrics.k8s.io/v1/namespaces/"+ns+"/pods", admin)
			return err
		}
		if err := list(); err != nil {
			return err
		}
		before := s.own(t, admin, missing)
		if err := list(); err != nil {
			return err
		}
		if n := s.own(t, admin, missing) - before; n != pods {
			return fmt.Errorf("%.0f are", n)
		}
		return nil
	}
	round()
	until(t, "the pods are not known", knows)
	before, first := a.all(), s.own(t, admin, "process_resident_memory_bytes")
	heap := s.own(t, admin, "go_memstats_heap_inuse_bytes")
	cpu, at := s.own(t, admin, "process_cpu_seconds_total"), time.Now()
	for range rounds {
		round()
	}
	took := time.Since(at)
	until(t, "the pods are not known", knows)
	t.Logf("%d pods were made anew %d times in %.0f s: the server used %.3f cores; its memory was %.0f MiB before and is %.0f MiB, the heap %.0f and %.0f MiB", pods, rounds, took.Seconds(),
		(s.own(t, admin, "process_cpu_seconds_total")-cpu)/took.Seconds(), first/(1<<20), s.own(t, admin, "process_resident_memory_bytes")/(1<<20), heap/(1<<20), s.own(t, admin, "go_memstats_heap_inuse_bytes")/(1<<20))
	for what, n := range a.all() {
		if n -= before[what]; n > 0 {
			t.Logf("the API server was asked %d times: %s", n, what)
			if strings.Contains(what, "/pods") || strings.Contains(what, "/nodes") {
				t.Errorf("%d times %s: watches that are open tell all of it", n, what)
			}
		}
	}
	if grown := s.own(t, admin, "process_resident_memory_bytes") - first; grown > 64<<20 {
		t.Errorf("its memory has grown by %.0f MiB", grown/(1<<20))
	}
	inv := inventory(t, "")
	for i, uid := range uids {
		if p := inv.Pod(uid); p == nil || p.Name != fmt.Sprintf("p%04d", i) {
			t.Fatalf("pod %d is %+v", i, p)
		}
	}
	if err := all.DeleteCollection(context.Background(), metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}, metav1.ListOptions{LabelSelector: "app=churn"}); err != nil {
		t.Error(err)
	}
}
