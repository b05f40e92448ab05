package wiring

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// apiServer answers lists and streams of one node and its pods, and keeps what it was asked.
type apiServer struct {
	nodes, pods []any

	mu    sync.Mutex
	asked []string
	away  bool
}

func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.asked = append(a.asked, r.URL.Path+"?"+r.URL.Query().Get("fieldSelector"))
	away := a.away
	a.mu.Unlock()
	if away {
		http.Error(w, "away", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	kind, items := "NodeList", a.nodes
	if strings.HasSuffix(r.URL.Path, "/pods") {
		kind, items = "PodList", a.pods
	}
	if r.URL.Query().Get("watch") == "" {
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": kind, "apiVersion": "v1", "metadata": map[string]any{"resourceVersion": "1"}, "items": items})
		return
	}
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		w.WriteHeader(http.StatusUnprocessableEntity) // an API server that does not stream lists
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": 422})
		return
	}
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

// kubeconfig writes one that leads to a server.
func kubeconfig(t *testing.T, url string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: " + url + "}}]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A node's inventory asks for its own node and its pods and nothing else; what it does not know is a condition and keeps it from being ready.
func TestClusterKnown(t *testing.T) {
	node := map[string]any{"metadata": map[string]any{"name": "n1", "uid": "u1"}}
	f := func(want string, a *apiServer) {
		t.Helper()
		server := httptest.NewServer(a)
		defer server.Close()
		e := newEnvironment(slog.New(slog.DiscardHandler), "1.0")
		v, err := (&Kubernetes{Kubeconfig: kubeconfig(t, server.URL)}).inventory(e, "plimsoll-collector", "n1", false)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.life.Run(ctx) }()
		got := ""
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			got = "well"
			if all := every(e.conditions, time.Now()); len(all) > 0 {
				got = all[0].Reason + ": " + all[0].Message
				if all[0].Type != "ClusterKnown" || all[0].OK() {
					t.Errorf("got %+v", all[0])
				}
			}
			if strings.Contains(got, want) {
				break
			}
		}
		if ready := e.checks[0].Test() == nil; ready != (want == "well") {
			t.Errorf("%s: ready %v", got, ready)
		}
		if _, err := v.Since(); want == "well" && err != nil {
			t.Error(err)
		}
		stop()
		server.CloseClientConnections()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, q := range a.asked {
			if q != "/api/v1/pods?spec.nodeName=n1" && q != "/api/v1/nodes?metadata.name=n1" {
				t.Errorf("it asked for %q", q)
			}
		}
	}
	f("well", &apiServer{nodes: []any{node}})
	f(`NoSuchNode: the cluster has no node "n1"`, &apiServer{})
	f("APIServerAway", &apiServer{nodes: []any{node}, away: true})
}
