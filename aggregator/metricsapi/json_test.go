package metricsapi

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
)

func newRecorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }

// pairs are for each version and each encoding of ours the library's own encoder and ours.
func pairs(t testing.TB) (out [][2]runtime.Encoder) {
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	codecs := serializer.NewCodecFactory(scheme)
	for _, info := range codecs.SupportedMediaTypes() {
		if info.MediaType != runtime.ContentTypeJSON && info.MediaType != runtime.ContentTypeProtobuf {
			continue
		}
		for _, v := range versions {
			ours := newNegotiated(codecs).EncoderForVersion(info.Serializer, v)
			if e, ok := ours.(encoder); !ok || e.write == nil {
				t.Fatalf("%s is not ours", info.MediaType)
			}
			out = append(out, [2]runtime.Encoder{codecs.EncoderForVersion(info.Serializer, v), ours})
		}
	}
	if len(out) != 4 {
		t.Fatalf("%d encodings", len(out))
	}
	return out
}

// compare checks that a list is written as the library writes it.
func compare(t testing.TB, pairs [][2]runtime.Encoder, l *podList) {
	t.Helper()
	for _, p := range pairs {
		var want, got bytes.Buffer
		if err := p[0].Encode(l.objects(), &want); err != nil {
			t.Fatal(err)
		}
		if err := p[1].Encode(l, &got); err != nil {
			t.Fatal(err)
		}
		if want.String() != got.String() {
			t.Errorf("got\n%q\nwant\n%q", got.String(), want.String())
		}
	}
}

func TestListsAreTheLibrarys(t *testing.T) {
	both := pairs(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.FixedZone("x", 3600))
	compare(t, both, &podList{asked: at})
	list := &podList{asked: at}
	for i := range 700 { // more than one part
		row := podRow{pod: &cluster.Pod{Namespace: "shop", Name: fmt.Sprint("web-", i), Labels: map[string]string{"b": "2", "a": "<&>\"\\\n\u2028ä\xff", "c": ""}}, at: at.Add(time.Duration(i) * time.Millisecond), window: 17913 * time.Millisecond}
		for k := range 1 + i%3 {
			row.used = append(row.used, live.Used{Name: fmt.Sprint("c", k), CPU: float64(i) * 0.123456789, Memory: float64(i*k) * 4096})
		}
		list.rows = append(list.rows, row)
	}
	list.rows[3].pod.Labels = nil
	for _, n := range []int{100, 127, 128, 5000, 16383, 16384, 70000} { // lengths of one, two and three bytes, and those around where they change
		list.rows[n%700].pod.Labels = map[string]string{strings.Repeat("k", n): strings.Repeat("v", n/2)}
	}
	compare(t, both, list)
}

// TestListsAreMadeOfRows: what a list costs does not grow by an object for each of its pods, in any encoding that clients ask for.
func TestListsAreMadeOfRows(t *testing.T) {
	w := newWorld(t)
	for i := range 3000 {
		w.use(w.pod("shop", fmt.Sprintf("web-%04d", i), "app"), "app", 0.1, 50e6, 2, 0)
	}
	for _, accept := range []string{"application/json", "application/vnd.kubernetes.protobuf"} {
		if got := testing.AllocsPerRun(5, func() { w.ask("/apis/metrics.k8s.io/v1beta1/pods", "Accept", accept) }); got > 1000 {
			t.Errorf("%s: %.0f allocations for a list of 3,000 pods, want at most 1,000", accept, got)
		}
	}
}

func FuzzList(f *testing.F) {
	both := pairs(f)
	f.Add("shop", "web", "app", "k", "v", 0.05, 5e7, int64(15e9), int64(1767323045678))
	f.Add("", "", "", "", "", -1.0, 1e300, int64(-1), int64(0))
	f.Fuzz(func(t *testing.T, namespace, name, container, key, value string, cores, memory float64, window, at int64) {
		when := time.UnixMilli(min(max(at, 1), 250000000000000)) // the year 9999: the library refuses what is beyond, and shows 0 as null
		compare(t, both, &podList{asked: when, rows: []podRow{{pod: &cluster.Pod{Namespace: namespace, Name: "n" + name, Labels: map[string]string{key: value, "z": name}},
			used: []live.Used{{Name: container, CPU: cores, Memory: memory}}, at: when, window: time.Duration(window)}}})
	})
}

func FuzzQuantities(f *testing.F) {
	for _, n := range []int64{0, 1, 999, 1000, 1001, 1023, 1024, 20000, 123456789, 5e8, 1e9, 2e12, 1 << 20, 3 << 20, 12533760, 1 << 62, 1<<63 - 1, 9e18} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n int64) {
		n = max(n, 0)
		if got, want := string(appendNano(nil, n)), resource.NewScaledQuantity(n, resource.Nano).String(); got != want {
			t.Errorf("%d billionths: got %s, want %s", n, got, want)
		}
		if got, want := string(appendBytes(nil, n)), resource.NewQuantity(n, resource.BinarySI).String(); got != want {
			t.Errorf("%d bytes: got %s, want %s", n, got, want)
		}
	})
}

// FuzzAsked: whatever is asked for, the answer is a status of Kubernetes or a list, and never a fault.
func FuzzAsked(f *testing.F) {
	w := shop(f)
	f.Add("v1/pods", "labelSelector=app%3Dweb&fieldSelector=metadata.name%3Dweb&limit=1&continue=x", "application/json")
	f.Add("v1beta1/namespaces/shop/pods/web", "pretty=true", "application/yaml")
	f.Add("v1/nodes/n1", "resourceVersion=0&timeoutSeconds=1", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")
	f.Add("v1/namespaces/shop/pods", "", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json")
	f.Add("v1/pods", "includeObject=None", "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io")
	f.Add("v1/../v1/pods//%2e", "watch=1&sendInitialEvents=true", "*/*;q=0.1")
	h := w.handler()
	f.Fuzz(func(t *testing.T, path, query, accept string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL = &url.URL{Path: "/apis/metrics.k8s.io/" + path, RawQuery: query}
		r.RequestURI = r.URL.RequestURI()
		r.Header["Accept"] = []string{accept}
		got := newRecorder()
		h.ServeHTTP(got, r)
		if got.Code >= 500 {
			t.Errorf("%q?%q as %q: %d %s", path, query, accept, got.Code, got.Body)
		}
	})
}

// TestEncodings: YAML, pretty JSON, metadata alone, packed.
func TestEncodings(t *testing.T) {
	w := shop(t)
	f := func(path, accept, want string) {
		t.Helper()
		if got := w.ask(path, "Accept", accept); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), want) {
			t.Errorf("%s as %s: got %d %.500s, want %q in it", path, accept, got.Code, got.Body, want)
		}
	}
	const pods = "/apis/metrics.k8s.io/v1/pods"
	f(pods, "application/yaml", "- containers:\n  - name: app\n    usage:\n      cpu: 50m\n")
	f(pods+"?pretty=true", "application/json", "\n  \"items\": [")
	f(pods, "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", `"kind":"PartialObjectMetadata"`)
	f("/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods/web", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", `"name":"web"`)
	f("/apis/metrics.k8s.io/v1beta1/pods", "application/json", `{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":[{"metadata":{"name":"web"`)
	if got := w.ask(pods, "Accept", "text/html"); got.Code != http.StatusNotAcceptable {
		t.Errorf("as HTML: %d", got.Code)
	}
	if got := w.ask(pods, "Accept", "application/json", "Accept-Encoding", "gzip"); got.Header().Get("Content-Encoding") != "" {
		t.Error("a small answer is packed")
	}
	for i := range 2000 {
		w.use(w.pod("zoo", fmt.Sprintf("p-%04d", i), "app"), "app", 1, 1, 1, 0)
	}
	got := w.ask(pods, "Accept", "application/json", "Accept-Encoding", "gzip")
	if got.Header().Get("Content-Encoding") != "gzip" {
		t.Fatal("a large answer is not packed")
	}
	z, err := gzip.NewReader(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil || strings.Count(string(text), `"containers"`) != 2003 {
		t.Errorf("%d pods, %v", strings.Count(string(text), `"containers"`), err)
	}
}
