package metricsapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// counted is a client that reads everything.
type counted struct {
	header http.Header
	n      int
}

func (c *counted) Header() http.Header         { return c.header }
func (c *counted) WriteHeader(int)             {}
func (c *counted) Write(b []byte) (int, error) { c.n += len(b); return len(b), nil }

// cpuTime is the processor time that this process has used, which a busy machine does not stretch as it does the clock.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkList30000 is a list of 30,000 pods, of which the picture has some seconds, as a client asks for it: the processor's time, and what it is of
// that for JSON in the same run. The window is
// the longest, for which values are served for two minutes: as long as the benchmark may take.
func BenchmarkList30000(b *testing.B) {
	w := newWorld(b)
	var err error
	if w.api, err = New(Options{Picture: w.picture, Inventory: w, Synced: func() error { return nil }, Window: time.Minute, Registerer: prometheus.NewRegistry()}); err != nil {
		b.Fatal(err)
	}
	for i := range 30000 {
		p := w.pod(fmt.Sprintf("team-%03d", i/300), fmt.Sprintf("app-%03d-%05d", i%100, i), "main")
		p.Labels = map[string]string{"app": "app", "pod-template-hash": "7f8c9d6b5", "team": p.Namespace, "tier": "web"}
		w.use(p, "main", 0.123456789, float64(50e6+4096*i), 3, 0)
	}
	w.All()
	h := w.handler()
	began := time.Now()
	var ofJSON float64
	for _, c := range []struct{ name, accept, packed string }{
		{"json", "application/json", ""},
		{"protobuf", "application/vnd.kubernetes.protobuf", ""},
		{"json packed", "application/json", "gzip"},
		{"table", "application/json;as=Table;v=v1;g=meta.k8s.io", ""},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			n, used := 0, cpuTime()
			for b.Loop() {
				r := httptest.NewRequest("GET", "/apis/metrics.k8s.io/v1beta1/pods", nil)
				r.Header.Set("Accept", c.accept)
				r.Header.Set("Accept-Encoding", c.packed)
				to := &counted{header: http.Header{}}
				h.ServeHTTP(to, r)
				if n = to.n; n < 100000 {
					b.Fatalf("%d bytes after %v", n, time.Since(began))
				}
			}
			took := (cpuTime() - used).Seconds() / float64(b.N)
			if c.name == "json" {
				ofJSON = took
			}
			b.ReportMetric(1e3*took, "cpu-ms")
			b.ReportMetric(float64(n)/1e6, "MB")
			if ofJSON > 0 {
				b.ReportMetric(took/ofJSON, "×json")
			}
		})
	}
}
