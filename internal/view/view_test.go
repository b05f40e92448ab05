package view

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"plimsoll.dev/plimsoll/internal/serve"
)

// says is a route that tells the path and the query that its handler has, and the path whose right shows everything.
func says(method, pattern string, limited bool) serve.Route {
	return serve.Route{Method: method, Pattern: pattern, Limited: limited, Handle: func(w http.ResponseWriter, r *http.Request) error {
		return serve.WriteJSON(w, []string{r.URL.Path, r.URL.RawQuery, r.PathValue("namespace"), r.PathValue("kind"), r.PathValue("name")})
	}}
}

func TestPaths(t *testing.T) {
	mux := http.NewServeMux()
	for _, r := range Routes([]serve.Route{says("GET", "/{$}", true), says("GET", "/{file}", true), says("GET", "/plimsoll/v1/overview", true), says("GET", "/plimsoll/v1/stream", true),
		says("GET", "/plimsoll/v1/nodes", true), says("GET", "/plimsoll/v1/nodes/{name}", true), says("GET", "/plimsoll/v1/workloads", true), says("GET", "/plimsoll/v1/workloads/{namespace}/{kind}/{name...}", true), says("GET", "/metrics", false), says("POST", "/api/v1/write", true)}) {
		mux.HandleFunc(r.Method+" "+r.Pattern, func(w http.ResponseWriter, req *http.Request) {
			if r.Whole != nil {
				w.Header().Set("Whole", r.Whole(req))
			}
			if err := r.Handle(w, req); err != nil && strings.Contains(err.Error(), "lacks a name") {
				http.Error(w, err.Error(), http.StatusNotFound)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	// An API server takes no redirect.
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, httptest.NewRequest("GET", Base+"/namespaces/shop/workloads/web/named?kind=Deployment", nil))
	if want := "lacks a name at its end: want " + Base + "/namespaces/{namespace}/workloads/{kind}/named/{name}"; rec.Code != http.StatusNotFound || !strings.Contains(rec.Body.String(), want) {
		t.Errorf("a workload without a name: %d %s", rec.Code, rec.Body)
	}
	for _, c := range []struct{ path, query, at, whole, says string }{
		{"/", "", Base + "/pages", "/", `["/","","","",""]`},
		{"/page-1.js", "", Base + "/pages/page-1.js", "/page-1.js", `["/page-1.js","","","",""]`},
		{"/plimsoll/v1/overview", "limit=3", Base + "/overview?limit=3", "/plimsoll/v1/overview", `["` + Base + `/overview","limit=3","","",""]`},
		{"/plimsoll/v1/stream", "", Base + "/stream?watch=true", "/plimsoll/v1/stream", `["` + Base + `/stream","","","",""]`},
		{"/plimsoll/v1/stream", "limit=3", Base + "/stream?watch=true&limit=3", "/plimsoll/v1/stream", `["` + Base + `/stream","limit=3","","",""]`},
		{"/plimsoll/v1/workloads", "", Base + "/workloads", "/plimsoll/v1/workloads", `["` + Base + `/workloads","","","",""]`},
		{"/plimsoll/v1/workloads/shop/Deployment/a/b%2Fc", "", Base + "/namespaces/shop/workloads/Deployment/named/a/b%2Fc", "/plimsoll/v1/workloads/shop/Deployment/a/b/c",
			`["` + Base + `/namespaces/shop/workloads/Deployment/named/a/b/c","","shop","Deployment","a/b/c"]`},
		{"/plimsoll/v1/workloads/shop/Deployment", "", "", "", ""},
		{"/plimsoll/v1/nodes", "", Base + "/nodes", "/plimsoll/v1/nodes", `["` + Base + `/nodes","","","",""]`},
		{"/plimsoll/v1/nodes", "limit=500", Base + "/nodes?limit=500", "/plimsoll/v1/nodes", `["` + Base + `/nodes","","","",""]`}, // as kubectl asks
		{"/plimsoll/v1/nodes/n%2F1", "", Base + "/nodes/n%2F1", "/plimsoll/v1/nodes/n/1", `["` + Base + `/nodes/n/1","","","","n/1"]`},
		{"/plimsoll/v1/nodes/n1", "", Base + "/nodes/n1", "/plimsoll/v1/nodes/n1", `["` + Base + `/nodes/n1","","","","n1"]`},
		{"/plimsoll/v1/nodes/", "", "", "", ""},
		{"/plimsoll/v1/nodes/n1/x", "", "", "", ""},
		{"/plimsoll/v1/", "", "", "", ""},
		{"/api/v1/query", "query=up", "", "", ""},
		{"/api/v1/write", "", "", "", ""},
	} {
		at, ok := Path(c.path, c.query)
		if at != c.at || ok != (c.at != "") {
			t.Errorf("%s?%s is at %q, want %q", c.path, c.query, at, c.at)
		}
		if !ok {
			continue
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", at, nil))
		if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != c.says || w.Header().Get("Whole") != c.whole {
			t.Errorf("%s: got %d %s, whole %q, want %s and %q", at, w.Code, got, w.Header().Get("Whole"), c.says, c.whole)
		}
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", Base+"/pages/metrics", nil))
	if !strings.HasPrefix(w.Body.String(), `["/metrics"`) { // a file of the page of that name, which there is not
		t.Errorf("got %s", w.Body)
	}
}

// What is told of the group is what clients read: each resource with the verbs that its roles need, and no parent of another scope than what is below
// it, for which an API server takes the whole group for one that cannot be read.
func TestDiscovery(t *testing.T) {
	w := httptest.NewRecorder()
	if err := discovery(w, httptest.NewRequest("GET", Base, nil)); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Kind, GroupVersion string
		Resources          []resource
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Kind != "APIResourceList" || got.GroupVersion != "view.plimsoll.dev/v1alpha1" || len(got.Resources) != len(Resources())-1 {
		t.Fatalf("%v: %s", err, w.Body)
	}
	seen := map[string]bool{}
	for _, r := range got.Resources {
		if seen[r.Kind] || r.Kind == "" {
			t.Errorf("%s is of the kind %q, by which clients look for another", r.Name, r.Kind)
		}
		seen[r.Kind] = true
		if want := Resources()[r.Name]; !slices.Equal(r.Verbs, want) || r.Namespaced || strings.Contains(r.Name, "/") {
			t.Errorf("%s has %q and is in a namespace: %v, want %q", r.Name, r.Verbs, r.Namespaced, want)
		}
	}
}

// A client of an API server takes an answer for an object by its kind; the page's files and the stream are none.
func TestAnswersAreObjects(t *testing.T) {
	body := serve.Route{Method: "GET", Limited: true, Handle: func(w http.ResponseWriter, _ *http.Request) error {
		return serve.WriteJSON(w, map[string]any{"items": []any{map[string]any{"name": "n1"}}})
	}}
	for path, want := range map[string]string{"/plimsoll/v1/nodes": "NodeViewList", "/plimsoll/v1/overview": "OverviewView", "/plimsoll/v1/nodes/n1": "NodeView", "/plimsoll/v1/workloads/a/b/c": "WorkloadView", "/page.js": ""} {
		body.Pattern = path
		routes := Routes([]serve.Route{body})
		w := httptest.NewRecorder()
		if err := routes[1].Handle(w, httptest.NewRequest("GET", routes[1].Pattern, nil)); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Kind, APIVersion string
			Items            []struct{ Name string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Kind != want || want != "" && got.APIVersion != "view.plimsoll.dev/v1alpha1" || got.Items[0].Name != "n1" || w.Header().Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
			t.Errorf("%s: %v, %s with a length of %s", path, err, w.Body, w.Header().Get("Content-Length"))
		}
	}
}

// Whatever is asked for stays below the group.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"/", "/plimsoll/v1/overview", "/plimsoll/v1/workloads/a/b/c", "/plimsoll/v1/..", "//x", "/..", "/plimsoll/v1/workloads/../../x/y"} {
		f.Add(p, "a=b")
	}
	f.Fuzz(func(t *testing.T, path, query string) {
		at, ok := Path((&url.URL{Path: path}).EscapedPath(), query)
		if !ok {
			return
		}
		if !strings.HasPrefix(at, Base+"/") {
			t.Errorf("%q is at %q", path, at)
		}
		p, _, _ := strings.Cut(at, "?")
		for _, part := range strings.Split(p, "/") {
			if part == ".." || part == "." {
				t.Errorf("%q leads out of the group by %q", path, at)
			}
		}
	})
}
