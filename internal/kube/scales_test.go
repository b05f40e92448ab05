package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// scaleServer is an API server with one Deployment, that somebody else may change between a reading and a write.
type scaleServer struct {
	version, count int
	selector, uid  string
	between        func(*scaleServer) // called before a write is looked at
	asked          []string
}

func (s *scaleServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, r.Method+" "+r.URL.Path)
	status := func(code int, reason string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":%q,"code":%d}`, reason, code)
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/apis/apps/v1":
		fmt.Fprint(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"apps/v1","resources":[{"name":"deployments","kind":"Deployment","namespaced":true},{"name":"deployments/scale","kind":"Scale","namespaced":true},{"name":"daemonsets","kind":"DaemonSet","namespaced":true}]}`)
	case "/apis/apps":
		fmt.Fprint(w, `{"kind":"APIGroup","apiVersion":"v1","name":"apps","preferredVersion":{"groupVersion":"apps/v1","version":"v1"}}`)
	case "/apis/apps/v1/namespaces/shop/deployments/web/scale":
		if r.Method == http.MethodPut {
			if s.between != nil {
				s.between(s)
			}
			var in struct {
				Metadata struct{ ResourceVersion string }
				Spec     struct{ Replicas int }
			}
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Metadata.ResourceVersion != fmt.Sprint(s.version) {
				status(http.StatusConflict, "Conflict")
				return
			}
			s.count = in.Spec.Replicas
			s.version++
		}
		fmt.Fprintf(w, `{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"web","namespace":"shop","uid":%q,"resourceVersion":"%d"},"spec":{"replicas":%d},"status":{"replicas":3,"selector":%q}}`, s.uid, s.version, s.count, s.selector)
	default:
		status(http.StatusNotFound, "NotFound")
	}
}

func scalesOf(t *testing.T, s *scaleServer) *Scales {
	t.Helper()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	out, err := NewScales(&rest.Config{Host: h.URL, QPS: -1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var webTarget = cluster.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}

// A write is refused where the count has changed since it was decided on, and only there.
func TestSetScale(t *testing.T) {
	f := func(what string, between func(*scaleServer), want error, count int) {
		t.Helper()
		s := &scaleServer{version: 1, count: 2, between: between}
		scales := scalesOf(t, s)
		desired, observed, err := scales.Scale(t.Context(), webTarget)
		if err != nil || desired != 2 || observed != 3 {
			t.Fatalf("%s: read %d, %d, %v", what, desired, observed, err)
		}
		if err := scales.SetScale(t.Context(), webTarget, 2, 6); !errors.Is(err, want) || s.count != count {
			t.Errorf("%s: %v, count %d, want %v and %d", what, err, s.count, want, count)
		}
	}
	f("nobody else", nil, nil, 6)
	f("another field", func(s *scaleServer) { s.version++; s.between = nil }, nil, 6)
	f("another count", func(s *scaleServer) { s.version++; s.count = 4; s.between = nil }, ErrRecounted, 4)
	always := &scaleServer{version: 1, count: 2, between: func(s *scaleServer) { s.version++ }}
	if err := scalesOf(t, always).SetScale(t.Context(), webTarget, 2, 6); err == nil || errors.Is(err, ErrRecounted) || always.count != 2 {
		t.Errorf("what changes all the time: %v, count %d", err, always.count)
	}
}

// What cannot be scaled is told from what does not exist, in words; the API server is not asked for a kind each time.
func TestWhatCannotBeScaled(t *testing.T) {
	s := &scaleServer{version: 1, count: 2}
	scales := scalesOf(t, s)
	f := func(apiVersion, kind, name, want string) {
		t.Helper()
		_, _, err := scales.Scale(context.Background(), cluster.Target{APIVersion: apiVersion, Kind: kind, Namespace: "shop", Name: name})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s %s %s: got %v, want %q", apiVersion, kind, name, err, want)
		}
	}
	for range 3 {
		f("apps/v1", "Deployment", "web", "")
		f("apps/v1beta1", "Deployment", "web", "")
		f("apps/v1", "DaemonSet", "web", `it cannot be scaled: daemonsets of "apps/v1" have no scale subresource`)
		f("apps/v1", "Deploiment", "web", `this cluster has no kind "Deploiment" in "apps/v1"`)
		f("argoproj.io/v1", "Rollout", "web", `this cluster has no API group "argoproj.io"`)
		f("", "Deployment", "web", "scaleTargetRef has no apiVersion")
		f("a/b/c", "Deployment", "web", `the target's apiVersion "a/b/c" is none`)
		f("apps/v1", "Deployment", "gone", cluster.ErrNoTarget.Error())
	}
	kinds := 0
	for _, a := range s.asked {
		if !strings.Contains(a, "/namespaces/") {
			kinds++
		}
	}
	if kinds > 10 {
		t.Errorf("asked %d times for kinds: %v", kinds, s.asked)
	}
}

// Of few targets each is read at each pass; of a thousand a reading serves for five seconds, and a write still goes by what is there.
func TestReadingsOfMany(t *testing.T) {
	s := &scaleServer{version: 1, count: 2}
	scales := scalesOf(t, s)
	read := func() int {
		t.Helper()
		before := len(s.asked)
		if _, _, err := scales.Scale(t.Context(), webTarget); err != nil {
			t.Fatal(err)
		}
		return len(s.asked) - before
	}
	read()
	time.Sleep(10 * time.Millisecond)
	if n := read(); n != 1 {
		t.Errorf("one target: %d requests", n)
	}
	for i := range 1000 {
		scales.read[cluster.Target{Name: fmt.Sprint(i)}] = reading{at: time.Now()}
	}
	if n := read(); n != 0 {
		t.Errorf("one of a thousand: %d requests", n)
	}
	s.version, s.count = 2, 7
	if err := scales.SetScale(t.Context(), webTarget, 2, 4); !errors.Is(err, ErrRecounted) || s.count != 7 {
		t.Errorf("written over what another has set: %v, %d", err, s.count)
	}
	if n, _, err := scales.Scale(t.Context(), webTarget); err != nil || n != 7 {
		t.Errorf("the next reading is %d, %v", n, err)
	}
	if err := scales.SetScale(t.Context(), webTarget, 7, 4); err != nil || s.count != 4 {
		t.Errorf("%v, %d", err, s.count)
	}
	if n, _, _ := scales.Scale(t.Context(), webTarget); n != 4 {
		t.Errorf("after a write %d is read", n)
	}
}

func TestCut(t *testing.T) {
	for in, want := range map[string]string{"short": "short", "exactly 10": "exactly 10", "much longer": "much lo…", "aäöüäöüäöü": "aäöü…"} {
		if got := cut(in, 10); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// Of kinds that policies name no more nothing is kept.
func TestKindsAreForgotten(t *testing.T) {
	scales := scalesOf(t, &scaleServer{version: 1, count: 2})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	scales.ctx = ctx // it runs, and nothing is watched
	for i := range 20 {
		for k, a := range scales.known { // as if each came later than the last one counts
			a.until = time.Now()
			scales.known[k] = a
		}
		_, _, _ = scales.Scale(t.Context(), cluster.Target{APIVersion: "apps/v1", Kind: fmt.Sprint("Kind", i), Namespace: "shop", Name: "web"})
	}
	if len(scales.known) != 1 || len(scales.counts) != 0 {
		t.Errorf("%d answers and the counts of %d kinds are kept", len(scales.known), len(scales.counts))
	}
}
