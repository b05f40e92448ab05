package metricsapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// counted is a client that reads everything.
type counted struct {
	header http.Header
	n      int
}

func (c *counted) Header() http.Header         { return c.header }
func (c *counted) WriteHeader(int)             {}
func (c *counted) Write(b []byte) (int, error) { c.n += len(b); return len(b), nil }

// BenchmarkList30000 is a list of 30,000 pods, of which the picture has some seconds, as a client asks for it.
func BenchmarkList30000(b *testing.B) {
	w := newWorld(b)
	for i := range 30000 {
		p := w.pod(fmt.Sprintf("team-%03d", i/300), fmt.Sprintf("app-%03d-%05d", i%100, i), "main")
		p.Labels = map[string]string{"app": "app", "pod-template-hash": "7f8c9d6b5", "team": p.Namespace, "tier": "web"}
		w.use(p, "main", 0.123456789, float64(50e6+4096*i), 3, 0)
	}
	w.All()
	h := w.handler()
	began := time.Now()
	for name, header := range map[string][]string{"json": {"application/json", ""}, "json packed": {"application/json", "gzip"}, "protobuf": {"application/vnd.kubernetes.protobuf", ""},
		"table": {"application/json;as=Table;v=v1;g=meta.k8s.io", ""}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				r := httptest.NewRequest("GET", "/apis/metrics.k8s.io/v1beta1/pods", nil)
				r.Header.Set("Accept", header[0])
				r.Header.Set("Accept-Encoding", header[1])
				c := &counted{header: http.Header{}}
				h.ServeHTTP(c, r)
				if c.n < 100000 {
					b.Fatalf("%d bytes after %v", c.n, time.Since(began))
				}
				b.ReportMetric(float64(c.n)/1e6, "MB")
			}
		})
	}
}
