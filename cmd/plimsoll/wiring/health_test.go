package wiring

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/kube"
	"plimsoll.dev/plimsoll/internal/serve"
)

// A server of a cluster lists its checks as metrics-server does, in the same order: /livez by itself, /readyz without those that are ours.
func TestChecksOfMetricsServer(t *testing.T) {
	api := httptest.NewServer(&apiServer{})
	defer api.Close()
	e := newEnvironment(slog.New(slog.DiscardHandler), "1.0")
	o := Server{History: Embedded{Dir: t.TempDir(), Retention: 24 * time.Hour}, Interval: 10 * time.Second, Fast: time.Second, Kubernetes: &Kubernetes{Kubeconfig: kubeconfig(t, api.URL)},
		Kubelet: &Kubelet{TLS: kube.Kubelets{}, Resolution: 15 * time.Second, Timeout: 10 * time.Second, Addresses: []string{"InternalIP"}}, Lease: "a/b", Autoscaler: "off"}
	if err := o.wire(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	defer e.life.Close()
	if e.autoscaler != "off" {
		t.Errorf("the page is told of an autoscaler that is %q", e.autoscaler)
	}
	ctx, stop := context.WithCancel(t.Context())
	mux := http.NewServeMux()
	for _, r := range serve.Health(append(e.checks, ending(ctx))) {
		mux.Handle(r.Pattern, r.Handler)
	}
	listed := func(path string) string {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return regexp.MustCompile(`(?m) (ok|failed: .*)$`).ReplaceAllString(w.Body.String(), "")
	}
	const first = "[+]ping\n[+]log\n[+]poststarthook/max-in-flight-filter\n[+]poststarthook/storage-object-count-tracker-hook\n"
	if diff := cmp.Diff(first+"[+]metric-collection-timely\n[-]metadata-informer-sync\nlivez check passed\n", listed("/livez?verbose")); diff != "" {
		t.Error(diff)
	}
	const ready = "/readyz?verbose&exclude=store&exclude=cluster&exclude=api-server&exclude=metric-collection-timely"
	if diff := cmp.Diff(first+"[-]metric-storage-ready\n[-]metric-informer-sync\n[-]metadata-informer-sync\n[+]shutdown\nreadyz check failed\n", listed(ready)); diff != "" {
		t.Error(diff)
	}
	stop()
	if diff := cmp.Diff("[-]shutdown\nreadyz check failed\n", listed("/readyz/shutdown")); diff != "" {
		t.Error(diff)
	}
}
