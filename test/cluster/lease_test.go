package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// engine starts a Prometheus that takes remote write, at an address of loopback in the cluster's network.
func engine(t *testing.T, address string) *part {
	t.Helper()
	path := prometheusBinary(t)
	p := &part{dir: t.TempDir(), address: address, client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: shared.Dial}}}
	config := filepath.Join(p.dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte("global: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.launch(t, "prometheus", path, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(p.dir, "data"), "--web.enable-remote-write-receiver", "--web.listen-address="+address)
	until(t, "Prometheus is not ready", func() error { _, err := p.points("up"); return err })
	return p
}

// points are the samples that a selector with a range has, by their times.
func (p *part) points(selector string) ([][2]float64, error) {
	resp, err := p.client.Get("http://" + p.address + "/api/v1/query?query=" + url.QueryEscape(selector))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var a struct {
		Data struct{ Result []struct{ Values [][2]any } }
	}
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return nil, fmt.Errorf("%s: %s %w", selector, resp.Status, err)
	}
	if resp.StatusCode != http.StatusOK || len(a.Data.Result) > 1 {
		return nil, fmt.Errorf("%s: %s, %d series", selector, resp.Status, len(a.Data.Result))
	}
	var out [][2]float64
	for _, r := range a.Data.Result {
		for _, v := range r.Values {
			n, err := strconv.ParseFloat(fmt.Sprint(v[1]), 64)
			if err != nil {
				return nil, err
			}
			out = append(out, [2]float64{v[0].(float64), n})
		}
	}
	return out, nil
}

// polled asks metrics.k8s.io through the API server ten times a second, and keeps what was no answer.
type polled struct {
	mu          sync.Mutex
	answered    int
	slowest     time.Duration
	failed      []string
	first, last time.Time // of those that failed
}

// asking asks for a path below the API's version until what it returns is called, which may be done again, or ctx ends.
func asking(ctx context.Context, path string) (p *polled, end func()) {
	p = &polled{}
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { p.run(ctx, path); close(done) }()
	return p, func() { stop(); <-done }
}

// run asks for a path until ctx ends.
func (p *polled) run(ctx context.Context, path string) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			open.Go(func() {
				began := time.Now()
				ask, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				err := usageAt(ask, path)
				p.mu.Lock()
				defer p.mu.Unlock()
				p.slowest = max(p.slowest, time.Since(began))
				if err == nil {
					p.answered++
					return
				}
				if p.failed = append(p.failed, began.Format("15:04:05.0 ")+err.Error()); p.first.IsZero() || began.Before(p.first) {
					p.first = began
				}
				if began.After(p.last) {
					p.last = began
				}
			})
		}
	}
}

// usageAt asks for a path below the version of metrics.k8s.io; an answer without usage is none.
func usageAt(ctx context.Context, path string) error {
	raw, err := shared.Client().Discovery().RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/" + path).DoRaw(ctx)
	if err == nil && !strings.Contains(string(raw), `"usage"`) {
		err = fmt.Errorf("it says %.200s", raw)
	}
	return err
}

// TestTwoServers has two servers behind one Service, with one lease and one history, and kills the one that holds the lease: the history has a sum of each interval,
// and metrics.k8s.io answers but for the moment in which the API server still asks the dead one, as its address is behind the Service. The servers are processes and
// no pods: the test takes the address away a second after the kill, as a kubelet that sees the end of a container and the controller of endpoints do.
func TestTwoServers(t *testing.T) {
	ours(t)
	long(t)
	ns := namespace(t)
	account(t, ns, "collector", collecting...)
	account(t, ns, "viewer", reading)
	admin := token(t, ns, "viewer", "", nil)
	db := engine(t, "127.0.0.1:8469")
	history := []string{"--lease", ns + "/plimsoll", "--remote-url", "http://" + db.address + "/api/v1/write", "--kubelet-fallback=false"}
	one := server(t, 8467, history...)
	two := serverOf(t, one, 8468, history...)
	for i, node := range []string{"node1", "node2"} {
		collectorOn(t, ns, node, fmt.Sprint("127.0.0.1:", 8267+i), one, "--server", "https://"+two.address, "--history", "none")
	}
	create(t, ns, "busy", "node1", corev1.PodSpec{Containers: []corev1.Container{container("app", "100m 64Mi", "", "-cpu=50", "-memory=50")}})
	aggregate(t, one, two)
	for _, s := range []*part{one, two} {
		until(t, "a server has no values", func() error { _, err := s.get("/readyz", ""); return err })
	}
	until(t, "the pod is not served", func() error {
		_, err := shared.Kubectl(t.Context(), "get", "--raw", "/apis/metrics.k8s.io/v1beta1/namespaces/"+ns+"/pods/busy")
		return err
	})
	p, end := asking(context.Background(), "namespaces/"+ns+"/pods/busy")
	defer end()
	began := time.Now()
	time.Sleep(45 * time.Second)
	held := func(s *part) bool { return s.own(t, admin, "plimsoll_lease_held") == 1 }
	if !held(one) {
		one, two = two, one
	}
	if !held(one) || held(two) {
		t.Fatalf("the lease is held by %v and %v", held(one), held(two))
	}
	killed := time.Now()
	_ = one.Process.Signal(syscall.SIGKILL)
	<-one.ended
	one.ended <- nil
	time.Sleep(time.Second)
	withdraw(t, one)
	until(t, "nobody takes over", func() error {
		if !held(two) {
			return errors.New("the lease is not held")
		}
		return nil
	})
	t.Logf("the other server holds the lease %v later", time.Since(killed).Round(100*time.Millisecond))
	time.Sleep(45 * time.Second)
	end()
	t.Logf("%d answers of metrics.k8s.io in %v, the slowest after %v; %d others: %s", p.answered, time.Since(began).Round(time.Second), p.slowest.Round(time.Millisecond), len(p.failed), strings.Join(p.failed[:min(len(p.failed), 10)], "; "))
	if p.answered < 800 || len(p.failed) > 0 && p.last.After(killed.Add(3*time.Second)) {
		t.Errorf("it did not answer %d times, the last %v after the kill", len(p.failed), p.last.Sub(killed))
	}
	everyInterval(t, db, ns, began)
}

// withdraw takes a server's address out of the Service.
func withdraw(t *testing.T, s *part) {
	t.Helper()
	slices := shared.Client().DiscoveryV1().EndpointSlices("kube-system")
	list, err := slices.List(t.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=plimsoll"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list.Items {
		if strings.HasSuffix(s.address, fmt.Sprint(":", *e.Ports[0].Port)) {
			if err := slices.Delete(t.Context(), e.Name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// everyInterval wants one sum of a namespace for each ten seconds, give or take half of that, and as much CPU time in them as was used.
func everyInterval(t *testing.T, db *part, ns string, since time.Time) {
	t.Helper()
	of := fmt.Sprintf("namespace_memory_working_set_bytes{namespace=%q}[%ds]", ns, int(time.Since(since).Seconds()))
	all, err := db.points(of)
	if err != nil || len(all) < 8 {
		t.Fatalf("%d sums, %v", len(all), err)
	}
	var gaps []string
	for i := 1; i < len(all); i++ {
		gap := all[i][0] - all[i-1][0]
		gaps = append(gaps, fmt.Sprintf("%.1f", gap))
		if gap <= 4.5 || gap > 15.5 {
			t.Errorf("between two sums there are %.1f s", gap)
		}
	}
	t.Logf("seconds between the sums of a namespace: %s", strings.Join(gaps, " "))
}
