package ingest

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
	"plimsoll.dev/plimsoll/internal/serve"
)

// pods are where the pods of namespace "shop" are; the time is since when, before the node that one of the name was on until lately.
type pods map[string]struct {
	node   string
	since  time.Time
	before string
}

func (p pods) Left(namespace, pod, node string) bool {
	return namespace == "shop" && p[pod].before == node
}

func (p pods) Place(namespace, pod string) (node string, since time.Time, known, inside bool) {
	x, known := p[pod]
	return x.node, x.since, known && namespace == "shop", namespace == "shop"
}

// What a node says of another node's pods, or live of pods that are not there, is left out; what is no pod of the cluster's passes, and so does
// what a pod of the name may have been on the node before.
func TestOnlyPodsOfTheNode(t *testing.T) {
	now := time.Now()
	there := pods{"mine": {"n1", now.Add(-time.Hour), "n2"}, "theirs": {"n2", now.Add(-time.Minute), "n3"}, "moved": {"n2", now.Add(-time.Minute), "n1"}, "moving": {"n2", time.Time{}, "n1"}, "waits": {}}
	f := func(what string, lane bool, namespace, pod string, age time.Duration, want int, counted, trouble string) {
		t.Helper()
		live, history := &keeper{}, &keeper{}
		r := receiver(t, Options{Live: live, History: history, Pods: there})
		at := now.Add(-age)
		e := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: namespace, Pod: pod, WorkloadKind: "Deployment", Workload: "w", Container: "c", ID: "/x", Runtime: "containerd"}
		own := &metric.Entity{Level: metric.Node, Node: "n1", ID: "/"}
		body, err := remotewrite.Encode(&metric.Batch{Node: "n1", Time: at, Groups: []metric.Group{
			{Entity: e, Start: at.Add(-time.Second), Points: []metric.Point{{ID: metric.CPUUsage, T: at.UnixMilli(), V: 1}, {ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 1}}},
			{Entity: own, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 1}}}}}, identity.Wire)
		if err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequestWithContext(serve.WithCaller(context.Background(), serve.Caller{Name: "a", Nodes: []string{"n1"}}), http.MethodPost, "/api/v1/write", bytes.NewReader(body))
		remotewrite.SetHeader(req.Header, remotewrite.V2)
		if lane {
			remotewrite.SetLiveHeader(req.Header, true)
		}
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		var got []string
		for _, b := range live.batches {
			for _, g := range b.Groups {
				got = append(got, g.Entity.Pod)
			}
		}
		taken := slices.Contains(got, pod)
		if w.Code != want || taken != (counted == "") || !slices.Contains(got, "") || w.Code != 204 && !strings.Contains(w.Body.String(), counted) {
			t.Errorf("%s: got %d %q, pods %q", what, w.Code, w.Body, got)
		}
		if !lane && (len(history.batches) != 1 || len(history.batches[0].Groups) != len(got)) {
			t.Errorf("%s: the history has others", what)
		}
		for why, name := range reasonNames {
			if n := testutil.ToFloat64(r.metrics.dropped[why]); n != 0 && (n != 2 || !strings.Contains(counted, name)) || n == 0 && name == counted {
				t.Errorf("%s: %v are counted as %s", what, n, name)
			}
		}
		var troubles []string
		for _, c := range r.Conditions(time.Now()) {
			troubles = append(troubles, c.Reason)
		}
		if strings.Join(troubles, " ") != trouble {
			t.Errorf("%s: got troubles %q", what, troubles)
		}
	}
	f("its own", true, "shop", "mine", 0, 204, "", "")
	f("its own, the past", false, "shop", "mine", time.Minute, 204, "", "")
	f("another's", true, "shop", "theirs", 0, 400, "2 (pod)", NotItsPod)
	f("another's, the past", false, "shop", "theirs", 30*time.Second, 400, "2 (pod)", NotItsPod)
	f("one of the name before it", false, "shop", "theirs", 2*time.Minute, 204, "", "")
	f("another's, which it had", true, "shop", "moved", 0, 204, "former_pod", "")
	f("another's, which it had, the past", false, "shop", "moved", 30*time.Second, 204, "former_pod", "")
	f("its own, before it was another's", false, "shop", "moved", 2*time.Minute, 204, "", "")
	f("another's that does not run yet, which it had", true, "shop", "moving", 0, 204, "former_pod", "")
	f("one that has no node yet", true, "shop", "waits", 0, 204, "unknown_pod", "")
	f("one that is not there", true, "shop", "none", 0, 204, "unknown_pod", "")
	f("one that is not there any more", false, "shop", "none", time.Minute, 204, "", "")
	f("a unit", true, "system", "ssh.service", 0, 204, "", "")
}

// That a pod has ended on a node that it has left is taken; of one that never was there it is not.
func TestEndOfAPodThatLeft(t *testing.T) {
	now := time.Now()
	for pod, want := range map[string]int{"moved": 1, "theirs": 0} {
		history := &keeper{}
		r := receiver(t, Options{Live: &keeper{}, History: history, Pods: pods{"theirs": {"n2", now.Add(-time.Minute), "n3"}, "moved": {"n2", now.Add(-time.Minute), "n1"}}})
		e := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", Pod: pod, WorkloadKind: "Deployment", Workload: "w", Container: "c", ID: "/x", Runtime: "containerd"}
		own := &metric.Entity{Level: metric.Node, Node: "n1", ID: "/"}
		body, err := remotewrite.Encode(&metric.Batch{Node: "n1", Time: now, Gaps: []metric.Gap{{Entity: e, Reason: metric.GapGone}},
			Groups: []metric.Group{{Entity: own, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: now.UnixMilli(), V: 1}}}}}, identity.Wire)
		if err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequestWithContext(serve.WithCaller(context.Background(), serve.Caller{Name: "a", Nodes: []string{"n1"}}), http.MethodPost, "/api/v1/write", bytes.NewReader(body))
		remotewrite.SetHeader(req.Header, remotewrite.V2)
		r.ServeHTTP(httptest.NewRecorder(), req)
		if len(history.batches) != 1 || len(history.batches[0].Gaps) != want {
			t.Errorf("%s: the history has %+v, want %d ends", pod, history.batches, want)
		}
	}
}
