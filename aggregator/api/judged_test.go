package api

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/serve"
)

// No answer has more rows than it was judged to have before it was made, nor a short one's judgement as many as the picture.
func TestRowsAreJudged(t *testing.T) {
	const many = 2000
	var containers, nodes []*live.Item
	for i := range many {
		nodes = append(nodes, &live.Item{Entity: &metric.Entity{Level: metric.Node, Node: fmt.Sprintf("n%04d", i), ID: "/"}, First: noon})
		containers = append(containers, &live.Item{Entity: &metric.Entity{Level: metric.Container, Node: fmt.Sprintf("n%04d", i), Namespace: "demo", Pod: fmt.Sprint("web-", i), Container: "c",
			ID: fmt.Sprint("/c", i)}, First: noon})
	}
	snap := snapshotOf(nodes, containers)
	for i := range many {
		snap.Known = append(snap.Known, live.Known{Pod: &cluster.Pod{Namespace: "demo", Name: fmt.Sprint("web-", i), Node: "n0001", Phase: "Running", Owner: webScaled().Target}})
	}
	a := newAPI(t, func(o *Options) { o.Pictures = pictures(func(time.Time) *live.Snapshot { return snap }) })
	judge := map[string]func(path string) int{}
	for _, r := range a.Routes() {
		if r.Rows != nil {
			judge[strings.TrimPrefix(r.Pattern, "/plimsoll/v1")] = func(path string) int {
				return r.Rows(httptest.NewRequestWithContext(scope.With(t.Context(), scope.Whole()), "GET", path, nil))
			}
		}
	}
	h, err := serve.Handler(serve.Options{Listen: "127.0.0.1:0", Routes: a.Routes()})
	if err != nil {
		t.Fatal(err)
	}
	f := func(path string, most int) {
		t.Helper()
		route, _, _ := strings.Cut(path, "?")
		judged := judge[route]("/plimsoll/v1" + path)
		rec := get(h, "http://localhost/plimsoll/v1"+path)
		var got struct {
			Items, Nodes, Containers []struct{}
			Scaled                   []struct{ Members []struct{} }
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != 200 {
			t.Fatal(path, rec.Code, err)
		}
		n := len(got.Items) + len(got.Nodes) + len(got.Containers)
		for _, s := range got.Scaled {
			n += len(s.Members)
		}
		if judged < n || judged > most {
			t.Errorf("%s: judged %d rows, want at least the %d that it has and at most %d", path, judged, n, most)
		}
	}
	f("/containers?limit=20", 20)
	f("/containers?limit=20&sort=cpu&q=web", 20)
	f("/containers", many)
	f("/nodes", many)
	f("/overview?limit=20", 2*20+many+1) // each pod of what is scaled is told
	f("/overview", 3*many+1)
	f("/missing", 3*many)
	f("/workloads", 3*many)
	for path, want := range map[string]int{"/plimsoll/v1/stream?limit=0": many + 1, "/plimsoll/v1/stream?workload=demo/ProcessService/none": decisionsMax, "/plimsoll/v1/stream?limit=x": many + 1} {
		if got := judge["/stream"](path); got != want {
			t.Errorf("%s: judged %d rows, want %d", path, got, want)
		}
	}
}
