package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// With a cluster the doctor says who answers there for which API, and warns where two do, or nobody is reached.
func TestDoctorOfACluster(t *testing.T) {
	leads := map[string]string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		name := path.Base(r.URL.Path)
		to, status, ok := leads[name], "True", leads[name] != ""
		if down, cut := strings.CutPrefix(to, "down "); cut {
			to, status = down, "False"
		}
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}`)
			return
		}
		_, _ = fmt.Fprintf(w, `{"kind": "APIService", "apiVersion": "apiregistration.k8s.io/v1", "metadata": {"name": %q}, "spec": {"service": {"namespace": %q, "name": %q, "port": 443}},
			"status": {"conditions": [{"type": "Available", "status": %q, "message": "no endpoints"}]}}`, name, path.Dir(to), path.Base(to), status)
	}))
	t.Cleanup(s.Close)
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, []byte("apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: "+s.URL+"}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(what string, want ...string) {
		t.Helper()
		got := call(t, nil, "", "doctor", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--kubeconfig", config)
		text := strings.Join(strings.Fields(got.out), " ")
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: there is no %q in %s %s", what, w, text, got.err)
			}
		}
	}
	f("nobody", "metrics.k8s.io OK nobody answers for it", "view.plimsoll.dev OK nobody")
	leads["v1.metrics.k8s.io"], leads["v1beta1.metrics.k8s.io"] = "us/plimsoll", "us/plimsoll"
	f("we", "metrics.k8s.io OK v1.metrics.k8s.io leads to Service us/plimsoll; v1beta1.metrics.k8s.io leads to Service us/plimsoll")
	leads["v1beta1.metrics.k8s.io"] = "kube-system/metrics-server"
	f("two", "metrics.k8s.io WARN v1.metrics.k8s.io leads to Service us/plimsoll; v1beta1.metrics.k8s.io leads to Service kube-system/metrics-server", "fix: what asks for one version")
	leads["v1beta1.external.metrics.k8s.io"] = "down keda/keda"
	f("unreached", "external.metrics.k8s.io WARN v1beta1.external.metrics.k8s.io leads to Service keda/keda, which is not available: no endpoints", "fix: are the pods of that Service ready?")
	s.Close()
	f("away", "metrics.k8s.io WARN cannot read APIService")
	if got := call(t, nil, "", "doctor", "--kubeconfig", "/absent"); got.code != exitUsage {
		t.Errorf("no kubeconfig: exit %d, %s", got.code, got.err)
	}
}
