package kube

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
)

// registrations answers for APIServices as the API server does: to whom each leads; "": there is none, "forbidden": no right to it, "local": itself, "away": it does not answer.
type registrations struct {
	mu sync.Mutex
	to map[string]string
}

// RoundTrip implements http.RoundTripper.
func (f *registrations) RoundTrip(r *http.Request) (*http.Response, error) {
	name := path.Base(r.URL.Path)
	f.mu.Lock()
	to := f.to[name]
	f.mu.Unlock()
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	refuse := func(code int, reason string) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code})
	}
	switch to {
	case "":
		refuse(http.StatusNotFound, "NotFound")
	case "forbidden":
		refuse(http.StatusForbidden, "Forbidden")
	case "away":
		refuse(http.StatusServiceUnavailable, "ServiceUnavailable")
	default:
		spec := map[string]any{"group": "g"}
		if to != "local" {
			spec["service"] = map[string]any{"namespace": path.Dir(to), "name": path.Base(to), "port": 443}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "APIService", "apiVersion": "apiregistration.k8s.io/v1", "metadata": map[string]any{"name": name}, "spec": spec,
			"status": map[string]any{"conditions": []any{map[string]any{"type": "Available", "status": "False", "message": "no endpoints"}}}})
	}
	return w.Result(), nil
}

func (f *registrations) set(name, to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.to[name] = to
}

// An API that leads elsewhere is told with whom it leads to, from then on and until it is ours again; one that is gone a while after, as an installation makes
// them last; one that the release does not have never.
func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &registrations{to: map[string]string{"v1.a": "us/plimsoll", "v1.b": "us/plimsoll", "v1.c": "forbidden"}}
		c, err := NewClaims(ClaimsOptions{Config: &rest.Config{Host: "http://h", Transport: f, QPS: -1}, Service: "us/plimsoll", Names: []string{"v1.a", "v1.b", "v1.c"}})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		ended := make(chan error)
		ctx, stop := context.WithCancel(t.Context())
		go func() { ended <- c.Run(ctx) }()
		is := func(what string, want ...Lost) {
			t.Helper()
			synctest.Wait()
			if diff := cmp.Diff(want, c.Lost(time.Now())); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
		is("all are ours")
		f.set("v1.b", "kube-system/metrics-server")
		time.Sleep(claimsEvery)
		is("one is taken", Lost{"v1.b", "Service kube-system/metrics-server", at(10)})
		f.set("v1.b", "away")
		time.Sleep(claimsEvery)
		is("nobody says", Lost{"v1.b", "Service kube-system/metrics-server", at(10)})
		f.set("v1.b", "kube-system/metrics-server")
		f.set("v1.a", "local")
		f.set("v1.c", "")
		time.Sleep(claimsEvery)
		is("another is the API server's, a third is not there yet", Lost{"v1.a", "the API server itself", at(30)}, Lost{"v1.b", "Service kube-system/metrics-server", at(10)})
		f.set("v1.a", "us/plimsoll")
		f.set("v1.b", "forbidden")
		time.Sleep(goneAfter)
		is("one is given back, one was given up, one is gone", Lost{"v1.c", "", at(30)})
		f.set("v1.c", "us/plimsoll")
		time.Sleep(claimsEvery)
		is("all is well")
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestAPIService(t *testing.T) {
	f := &registrations{to: map[string]string{"v1.a": "n/s"}}
	all, err := NewAPIServices(&rest.Config{Host: "http://h", Transport: f})
	if err != nil {
		t.Fatal(err)
	}
	got, err := all.Get(t.Context(), "v1.a")
	if want := (APIService{Name: "v1.a", Service: "n/s", Why: "no endpoints"}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}
