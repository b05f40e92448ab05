package wiring

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/kube"
	"plimsoll.dev/plimsoll/internal/kube/metrics"
)

// metricsServer is an API server with one Deployment, and the metrics APIs, which tell of pods of others too.
func metricsServer(t *testing.T, now time.Time) *kube.API {
	t.Helper()
	at, old := now.UTC().Format(time.RFC3339), now.Add(-time.Hour).UTC().Format(time.RFC3339)
	group := func(g, v string) string {
		return fmt.Sprintf(`{"kind":"APIGroup","apiVersion":"v1","name":%q,"versions":[{"groupVersion":"%s/%s","version":%q}],"preferredVersion":{"groupVersion":"%s/%s","version":%q}}`, g, g, v, v, g, v, v)
	}
	value := `{"describedObject":{"kind":"Pod","name":%q},"metric":{"name":"qps"},"timestamp":%q,"value":"2"}`
	usage := `{"metadata":{"name":%q,"namespace":"shop"},"timestamp":%q,"window":"15s","containers":[{"name":"c","usage":{"cpu":"250m"}}]}`
	pages := map[string]string{
		"/api":                          `{"kind":"APIVersions","versions":["v1"]}`,
		"/apis":                         `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`,
		"/api/v1":                       `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"v1","resources":[{"name":"pods","kind":"Pod","namespaced":true}]}`,
		"/apis/metrics.k8s.io":          group("metrics.k8s.io", "v1beta1"),
		"/apis/custom.metrics.k8s.io":   group("custom.metrics.k8s.io", "v1beta2"),
		"/apis/external.metrics.k8s.io": group("external.metrics.k8s.io", "v1beta1"),
		"/apis/apps/v1":                 `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"apps/v1","resources":[{"name":"deployments","kind":"Deployment","namespaced":true},{"name":"deployments/scale","kind":"Scale","namespaced":true}]}`,
		"/apis/apps/v1/namespaces/shop/deployments/web/scale":                                  `{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"web","namespace":"shop"},"spec":{"replicas":2},"status":{"replicas":2,"selector":"app=web"}}`,
		"/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/qps?labelSelector=app=web": `{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta2","metadata":{},"items":[` + fmt.Sprintf(value, "web-1", at) + "," + fmt.Sprintf(value, "foreign", at) + `]}`,
		"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/queue":                          fmt.Sprintf(`{"kind":"ExternalMetricValueList","apiVersion":"external.metrics.k8s.io/v1beta1","metadata":{},"items":[{"metricName":"queue","timestamp":%q,"value":"3"}]}`, at),
		"/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods":                                    `{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":[` + fmt.Sprintf(usage, "web-1", at) + "," + fmt.Sprintf(usage, "web-2", old) + "," + fmt.Sprintf(usage, "foreign", at) + `]}`,
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.URL.Path
		if of := r.FormValue("labelSelector"); of != "" {
			key += "?labelSelector=" + of
		}
		w.Header().Set("Content-Type", "application/json")
		page, ok := pages[key]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			page = `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"the server could not find it","reason":"NotFound","code":404}`
		}
		fmt.Fprint(w, page)
	}))
	t.Cleanup(s.Close)
	return &kube.API{Host: s.URL, QPS: -1}
}

// The loop is told of the target's own pods, and of none what was measured before it began; each metric has its own answer.
func TestMeter(t *testing.T) {
	now := time.Now()
	config := metricsServer(t, now)
	scales, err := kube.NewScales(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := metrics.New(metrics.Options{Config: config, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.Run(ctx) })
	defer func() { cancel(); wg.Wait() }()
	m := meter{r, kube.NewSelectors(scales)}
	web := cluster.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}
	pods := []*cluster.Pod{{Name: "web-1", StartTime: now.Add(-time.Minute)}, {Name: "web-2", StartTime: now.Add(-time.Minute)}}
	got := m.Read(t.Context(), web, []policy.Question{{Type: "Pods", Metric: "qps"}, {Type: "External", Metric: "queue"}, {Type: "External", Metric: "lost"}}, pods, time.Time{})
	if p := got[0]; p.Problem != "" || len(p.Pods) != 1 || p.Pods[0].Pod != "web-1" || p.Pods[0].Value != 2000 || p.Pods[0].Window != time.Minute {
		t.Errorf("pods: %+v", p)
	}
	if q := got[1]; q.Problem != "" || len(q.Values) != 1 || q.Values[0] != 3000 || q.At.IsZero() || q.Read.IsZero() {
		t.Errorf("queue: %+v", q)
	}
	if q := got[2]; !strings.Contains(q.Problem, "the server could not find it") {
		t.Errorf("lost: %+v", q)
	}
	usage, err := m.PodUsage(t.Context(), web, pods)
	if err != nil || len(usage) != 1 || usage[0].Pod != "web-1" || usage[0].Source != "metrics.k8s.io" {
		t.Errorf("usage: %+v, %v", usage, err)
	}
}

// The autoscaler alone has health and serves nothing; it starts and ends while the API server has nothing for it.
func TestAutoscalerRole(t *testing.T) {
	server := httptest.NewServer(&apiServer{away: true})
	defer server.Close()
	e := newEnvironment(slog.New(slog.DiscardHandler), "1.0")
	role := Autoscaler{Kubernetes: Kubernetes{Kubeconfig: kubeconfig(t, server.URL)}, Lease: "shop/plimsoll", Mode: "on"}
	if err := role.wire(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range e.checks {
		names = append(names, c.Name)
	}
	if got := strings.Join(names, " "); got != "cluster api-server autoscaler" || len(e.routes) != 0 {
		t.Errorf("checks %q, %d routes", got, len(e.routes))
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- e.life.Run(ctx) }()
	time.AfterFunc(200*time.Millisecond, stop)
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it does not end")
	}
	role.Lease = "plimsoll"
	if err := role.wire(t.Context(), newEnvironment(slog.New(slog.DiscardHandler), "1.0")); err == nil || !strings.Contains(err.Error(), `of --lease "plimsoll", as this is no pod: give NAMESPACE/NAME`) {
		t.Errorf("without a namespace: %v", err)
	}
}
