package main

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Where the engine that keeps the history cannot be reached, every route that reads it says so and when to come again: nothing is wrong with the
// question or with this process.
func TestHistoryIsAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	away := "http://" + l.Addr().String() // nobody listens there any more
	l.Close()
	for name, args := range map[string][]string{
		"influx": {"--influx-url", away, "--influx-bucket", "p"},
		"remote": {"--remote-url", away + "/api/v1/write"},
	} {
		r := startRun(t, append(args, "--data", t.TempDir())...)
		until(t, "there is a picture", time.Minute, func() bool {
			_, body := r.get(t, "/plimsoll/v1/nodes")
			return strings.Contains(body, `"name"`)
		})
		for _, path := range []string{
			"/plimsoll/v1/series?metric=node_cpu_usage_seconds_total&func=rate&start=1767225600&end=1767229200&step=60",
			"/plimsoll/v1/series?metric=node_memory_working_set_bytes&start=1767225600&end=1767229200&points=100",
			"/plimsoll/v1/decisions?kind=Deployment&namespace=a&name=b",
			"/plimsoll/v1/capacity", "/plimsoll/v1/rightsize", "/plimsoll/v1/fit?cpu=1&memory=1Gi",
			"/api/v1/historical/nodes", "/api/v1/historical/metrics/memory/usage?start=2026-01-01T00:00:00Z",
			"/api/v1/historical/metrics-aggregated/average/memory/usage?start=2026-01-01T00:00:00Z",
		} {
			resp, err := http.Get(r.url + path)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			decisions := strings.Contains(path, "decisions") && name == "remote" // which keeps them beside the engine
			if got := resp.StatusCode; got != http.StatusServiceUnavailable && !(decisions && got == http.StatusOK) || got != http.StatusOK && resp.Header.Get("Retry-After") == "" {
				t.Errorf("%s: %s: got %d, Retry-After %q", name, path, got, resp.Header.Get("Retry-After"))
			}
		}
		r.terminate(t)
	}
}
