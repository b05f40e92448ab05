package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// server is an API server: what it answers by path with the query, and what it was asked.
type server struct {
	mu    sync.Mutex
	pages map[string]string
	hang  bool
	asked []string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	path := strings.TrimSuffix(r.URL.RequestURI(), "?timeout=32s") // discovery's
	s.asked = append(s.asked, path)
	page, ok := s.pages[path]
	hang := s.hang
	s.mu.Unlock()
	switch {
	case hang:
		<-r.Context().Done()
		return
	case !ok:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"the server could not find the metric for ","reason":"NotFound","code":404}`)
		return
	case strings.HasPrefix(page, "503"):
		w.Header().Set("Retry-After", "1")
		http.Error(w, page, http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, page)
}

// plain is what every API server here has.
func plain() map[string]string {
	return map[string]string{
		"/apis/metrics.k8s.io":          `{"kind":"APIGroup","apiVersion":"v1","name":"metrics.k8s.io","versions":[{"groupVersion":"metrics.k8s.io/v1beta1","version":"v1beta1"}],"preferredVersion":{"groupVersion":"metrics.k8s.io/v1beta1","version":"v1beta1"}}`,
		"/apis/custom.metrics.k8s.io":   `{"kind":"APIGroup","apiVersion":"v1","name":"custom.metrics.k8s.io","versions":[{"groupVersion":"custom.metrics.k8s.io/v1beta2","version":"v1beta2"}],"preferredVersion":{"groupVersion":"custom.metrics.k8s.io/v1beta2","version":"v1beta2"}}`,
		"/apis/external.metrics.k8s.io": `{"kind":"APIGroup","apiVersion":"v1","name":"external.metrics.k8s.io","versions":[{"groupVersion":"external.metrics.k8s.io/v1beta1","version":"v1beta1"}],"preferredVersion":{"groupVersion":"external.metrics.k8s.io/v1beta1","version":"v1beta1"}}`,
		"/api":                          `{"kind":"APIVersions","versions":["v1"]}`,
		"/apis":                         `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"apps","versions":[{"groupVersion":"apps/v1","version":"v1"}],"preferredVersion":{"groupVersion":"apps/v1","version":"v1"}}]}`,
		"/api/v1":                       `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"v1","resources":[{"name":"pods","kind":"Pod","namespaced":true},{"name":"nodes","kind":"Node"}]}`,
		"/apis/apps/v1":                 `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"apps/v1","resources":[{"name":"deployments","kind":"Deployment","namespaced":true}]}`,
	}
}

// asker is what asks an API server; its calls end with the test.
func asker(t testing.TB, s *server) *clients {
	t.Helper()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	c, err := newClients(&rest.Config{Host: h.URL})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	c.door.open(ctx)
	return c
}

const (
	usagePath    = "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods"
	podsPath     = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/%2A/qps?labelSelector=app%3Dweb&metricLabelSelector=of%3Da"
	objectPath   = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/deployments.apps/db/lag"
	spacePath    = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/metrics/lag"
	externalPath = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/queue?labelSelector=of%3Da"
)

var (
	usage  = Question{API: Usage, Namespace: "shop"}
	pods   = Question{API: Pods, Namespace: "shop", Metric: "qps", Selector: "of=a", Of: "app=web"}
	object = Question{API: Object, Namespace: "shop", Metric: "lag", Object: schema.GroupKind{Group: "apps", Kind: "Deployment"}, Name: "db"}
	space  = Question{API: Object, Namespace: "shop", Metric: "lag", Object: schema.GroupKind{Kind: "Namespace"}, Name: "other"}
	queue  = Question{API: External, Namespace: "shop", Metric: "queue", Selector: "of=a"}
)

const (
	podsList     = `{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta2","metadata":{},"items":[{"describedObject":{"kind":"Pod","name":"web-1"},"metric":{"name":"qps"},"timestamp":"2026-01-01T00:00:00Z","value":"1500m"},{"describedObject":{"kind":"Pod","name":"web-2"},"metric":{"name":"qps"},"timestamp":"2026-01-01T00:00:01Z","windowSeconds":30,"value":"2"}]}`
	objectList   = `{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta2","metadata":{},"items":[{"describedObject":{"kind":"Deployment","name":"db"},"metric":{"name":"lag"},"timestamp":"2026-01-01T00:00:00Z","value":"7"}]}`
	externalList = `{"kind":"ExternalMetricValueList","apiVersion":"external.metrics.k8s.io/v1beta1","metadata":{},"items":[{"metricName":"queue","timestamp":"2026-01-01T00:00:05Z","value":"3"},{"metricName":"queue","timestamp":"2026-01-01T00:00:00Z","value":"4"}]}`
	usageList    = `{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":[{"metadata":{"name":"web-1","namespace":"shop"},"timestamp":"2026-01-01T00:00:00Z","window":"15s","containers":[{"name":"c","usage":{"cpu":"250m","memory":"-1"}}]}]}`
)

// Each API is asked as the HPA's controller asks it, in the version that the cluster has.
func TestAnswers(t *testing.T) {
	s := &server{pages: plain()}
	s.pages[usagePath], s.pages[podsPath], s.pages[objectPath], s.pages[spacePath], s.pages[externalPath] = usageList, podsList, objectList, objectList, externalList
	c := asker(t, s)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	get := func(q Question) Answer {
		t.Helper()
		a, err := c.ask(t.Context(), q)
		if err != nil {
			t.Errorf("%+v: %v", q, err)
		}
		return a
	}
	if u := get(usage).Usage["web-1"]; u.Source != FromAPI || !u.Timestamp.Equal(at) || u.Window != 15*time.Second || len(u.Containers) != 1 || len(u.Containers[0].Usage) != 1 || u.Containers[0].Usage[0].Milli != 250 {
		t.Errorf("usage: %+v", u)
	}
	if p := get(pods).Pods; len(p) != 2 || p[0].Pod != "web-1" || p[0].Value != 1500 || p[0].Window != time.Minute || !p[0].At.Equal(at) || p[1].Window != 30*time.Second {
		t.Errorf("pods: %+v", p)
	}
	for _, q := range []Question{object, space} {
		if o := get(q); len(o.Values) != 1 || o.Values[0] != 7000 || !o.At.Equal(at) {
			t.Errorf("object: %+v", o)
		}
	}
	if e := get(queue); len(e.Values) != 2 || e.Values[0]+e.Values[1] != 7000 || !e.At.Equal(at) {
		t.Errorf("external: %+v", e)
	}
	s.mu.Lock()
	s.pages["/apis/custom.metrics.k8s.io"] = strings.ReplaceAll(s.pages["/apis/custom.metrics.k8s.io"], "v1beta2", "v1beta1")
	s.pages[strings.Replace(objectPath, "v1beta2", "v1beta1", 1)] = strings.Replace(strings.ReplaceAll(objectList, "v1beta2", "v1beta1"), `"metric":{"name":"lag"}`, `"metricName":"lag"`, 1)
	s.pages["/apis/metrics.k8s.io"] = strings.ReplaceAll(s.pages["/apis/metrics.k8s.io"], "v1beta1", "v1")
	s.pages[strings.Replace(usagePath, "v1beta1", "v1", 1)] = strings.Replace(usageList, "v1beta1", "v1", 1)
	s.mu.Unlock()
	for _, of := range c.served {
		of.Invalidate()
	}
	if o := get(object); len(o.Values) != 1 || o.Values[0] != 7000 {
		t.Errorf("in v1beta1: %+v", o)
	}
	if u := get(usage).Usage["web-1"]; u.Window != 15*time.Second || len(u.Containers) != 1 {
		t.Errorf("in v1: %+v", u)
	}
}

// What cannot be used is an error in words, and never a value.
func TestBadAnswers(t *testing.T) {
	huge := strings.Replace(externalList, `"value":"3"`, `"value":"9e30"`, 1)
	for name, f := range map[string]struct {
		q     Question
		pages map[string]string // "" for none
		want  string
	}{
		"no API":                {queue, map[string]string{"/apis/external.metrics.k8s.io": ""}, "this cluster has no API external.metrics.k8s.io"},
		"no custom API":         {pods, map[string]string{"/apis/custom.metrics.k8s.io": ""}, "this cluster has no API custom.metrics.k8s.io"},
		"no metrics API":        {usage, map[string]string{"/apis/metrics.k8s.io": ""}, "this cluster has no API metrics.k8s.io"},
		"an unknown version":    {pods, map[string]string{"/apis/custom.metrics.k8s.io": `{"kind":"APIGroup","apiVersion":"v1","name":"custom.metrics.k8s.io","versions":[{"groupVersion":"custom.metrics.k8s.io/v9","version":"v9"}],"preferredVersion":{}}`}, "in none of the versions"},
		"no such metric":        {queue, nil, "could not find the metric"},
		"no such kind":          {Question{API: Object, Namespace: "shop", Metric: "lag", Object: schema.GroupKind{Group: "apps", Kind: "Deploiment"}, Name: "db"}, nil, "unable to map kind Deploiment.apps"},
		"the server is away":    {queue, map[string]string{externalPath: "503 away"}, "unable to handle the request"},
		"another kind":          {queue, map[string]string{externalPath: `{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"x"}}]}`}, "neither a name nor a time"},
		"another kind of pods":  {pods, map[string]string{podsPath: `{"kind":"Status","apiVersion":"v1"}`}, ""},
		"two values of one":     {object, map[string]string{objectPath: podsList}, "2 results when we asked for exactly one"},
		"no number":             {queue, map[string]string{externalPath: strings.Replace(externalList, `"3"`, `"NaN"`, 1)}, "quantities must match"},
		"no number of a pod":    {pods, map[string]string{podsPath: strings.Replace(podsList, `"1500m"`, `"NaN"`, 1)}, "quantities must match"},
		"no JSON":               {queue, map[string]string{externalPath: "<html>"}, ""},
		"nothing":               {pods, map[string]string{podsPath: ""}, "could not find"},
		"a selector of no sort": {Question{API: External, Namespace: "shop", Metric: "queue", Selector: "a b c"}, nil, "selector"},
		"too long":              {queue, map[string]string{externalPath: strings.Repeat(" ", bodyLimit+1)}, "the answer is longer than 64 MiB"},
		"an endless fraction":   {queue, map[string]string{externalPath: strings.Replace(externalList, `"3"`, `"1e-2147483647"`, 1)}, `a number with an exponent of more than three digits`},
		"a bare one":            {pods, map[string]string{podsPath: strings.Replace(podsList, `"1500m"`, `1.5E-99999`, 1)}, `a number with an exponent of more than three digits`},
		"one in usage":          {usage, map[string]string{usagePath: strings.Replace(usageList, `"250m"`, `"1e-99999"`, 1)}, `a number with an exponent of more than three digits`},
		"huge":                  {queue, map[string]string{externalPath: huge}, "-"},
	} {
		s := &server{pages: plain()}
		for k, v := range f.pages {
			if s.pages[k] = v; v == "" {
				delete(s.pages, k)
			}
		}
		began := time.Now()
		a, err := asker(t, s).ask(t.Context(), f.q)
		switch {
		case name == "huge":
			if err != nil || a.Values[0] != 1<<63-1 {
				t.Errorf("%s: %v, %v", name, a.Values, err)
			}
		case err == nil || !strings.Contains(err.Error(), f.want) || strings.HasSuffix(strings.TrimSpace(err.Error()), " for"):
			t.Errorf("%s: got %+v, %v, want %q", name, a, err, f.want)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%s: it took %v: it was tried again", name, took)
		}
	}
}

// A list of 5,000 pods is read whole.
func TestManyPods(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(`{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta2","metadata":{},"items":[`)
	for i := range 5000 {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `{"describedObject":{"kind":"Pod","name":"web-%d"},"metric":{"name":"qps"},"timestamp":"2026-01-01T00:00:00Z","value":"%d"}`, i, i)
	}
	b.WriteString("]}")
	s := &server{pages: plain()}
	s.pages[podsPath] = b.String()
	if a, err := asker(t, s).ask(t.Context(), pods); err != nil || len(a.Pods) != 5000 || a.Pods[4999].Value != cluster.Milli(4999000) {
		t.Errorf("%d pods, %v", len(a.Pods), err)
	}
}

// A server that hangs keeps nobody beyond the end of Run, although the clients take no context.
func TestServerHangs(t *testing.T) {
	for _, q := range []Question{usage, pods, object, queue} {
		s := &server{pages: plain(), hang: true}
		c := asker(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		c.door.open(ctx)
		time.AfterFunc(50*time.Millisecond, cancel)
		began := time.Now()
		if _, err := c.ask(ctx, q); !errors.Is(err, context.Canceled) && (err == nil || !strings.Contains(err.Error(), "canceled")) || time.Since(began) > 3*time.Second {
			t.Errorf("%s: %v after %v", q.API, err, time.Since(began))
		}
	}
}

// answers is a transport that says the same to all but discovery.
type answers struct{ body []byte }

func (a answers) RoundTrip(req *http.Request) (*http.Response, error) {
	body := a.body
	if page, ok := plain()[req.URL.Path]; ok {
		body = []byte(page)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), Request: req}, nil
}

// FuzzAnswers gives all four questions any answer: an error or values, never a panic.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{podsList, objectList, externalList, usageList, `{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/v1beta1","items":[{"value":"1e-2147483647","windowSeconds":-9223372036854775808}]}`, "{}", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := newClients(&rest.Config{Host: "http://server", Transport: answers{body}})
		if err != nil {
			t.Fatal(err)
		}
		c.door.open(t.Context())
		for _, q := range []Question{usage, pods, object, queue} {
			a, err := c.ask(t.Context(), q)
			for _, p := range a.Pods {
				if err == nil && p.Window < 0 {
					t.Errorf("a window of %v", p.Window)
				}
			}
			for _, u := range a.Usage {
				for _, k := range u.Containers {
					for _, x := range k.Usage {
						if x.Milli < 0 {
							t.Errorf("usage of %v", x.Milli)
						}
					}
				}
			}
		}
	})
}

// Names may look like such numbers.
func TestEndless(t *testing.T) {
	for text, want := range map[string]bool{`{"name":"web-5e-12345"}`: false, `{"a":"1e-123"}`: false, `{"a":"1e-1234"}`: true, `{"a":1e-1234}`: true, `[-1.5E+123456]`: true, `{"a": "+.5e1234", "b":1}`: true,
		`"5e-12345x"`: false, `1e1234`: true, ``: false, `e1234`: false, `"1e-`: false} {
		if got := endless([]byte(text)); got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
}
