package grafana

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll.dev/plimsoll/internal/dial"
)

// fakeGrafana answers as Grafana's documentation says that Grafana does; no real one can be had in these tests.
type fakeGrafana struct {
	t        *testing.T
	noAPI    bool // /api is gone
	noAPIs   bool // /apis is not there yet
	versions []string
	token    string
	before   func(*fakeGrafana) // called before a board is saved, to interfere
	boards   map[string]fakeBoard
	saved    int
	messages []string
}

type fakeBoard struct {
	spec        map[string]any
	version     int
	folder      string
	provisioned bool
}

// withToken is a client with a token.
func withToken(t *testing.T, token string) *http.Client {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	transport, err := dial.New(dial.Options{TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	return dial.Client(transport)
}

func startFake(t *testing.T) (*fakeGrafana, PushOptions) {
	f := &fakeGrafana{t: t, token: "Bearer good", versions: []string{"v0alpha1", "v1", "v2"}, boards: map[string]fakeBoard{}}
	s := httptest.NewServer(http.StripPrefix("/grafana", f))
	t.Cleanup(s.Close)
	return f, PushOptions{URL: s.URL + "/grafana/", Client: withToken(t, "good"), Source: Prometheus}
}

func (f *fakeGrafana) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	say := func(code int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v)
	}
	message := func(code int, text string) { say(code, map[string]any{"message": text}) }
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Error(err)
	}
	switch {
	case r.Header.Get("Authorization") != f.token:
		message(http.StatusUnauthorized, "Invalid API key")
	case strings.HasPrefix(r.URL.Path, "/api/") && !f.noAPI:
		f.classic(r, raw, say, message)
	case strings.HasPrefix(r.URL.Path, "/apis/dashboard.grafana.app") && !f.noAPIs:
		f.kinds(r, raw, say)
	default:
		message(http.StatusNotFound, "Not found")
	}
}

func (f *fakeGrafana) classic(r *http.Request, raw []byte, say func(int, any), message func(int, string)) {
	if uid, ok := strings.CutPrefix(r.URL.Path, "/api/dashboards/uid/"); ok && r.Method == http.MethodGet {
		b, there := f.boards[uid]
		if !there {
			message(http.StatusNotFound, "Dashboard not found")
			return
		}
		spec := maps.Clone(b.spec)
		spec["id"], spec["version"] = 7, b.version
		say(http.StatusOK, map[string]any{"dashboard": spec, "meta": map[string]any{"folderUid": b.folder, "provisioned": b.provisioned}})
		return
	}
	if r.URL.Path != "/api/dashboards/db" || r.Method != http.MethodPost {
		message(http.StatusNotFound, "Not found")
		return
	}
	var in struct {
		Dashboard map[string]any
		FolderUID string
		Overwrite bool
		Message   string
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		f.t.Errorf("%v: %s", err, raw)
	}
	if in.FolderUID == "nowhere" {
		message(http.StatusNotFound, "folder not found")
		return
	}
	f.interfere()
	uid, _ := in.Dashboard["uid"].(string)
	old, there := f.boards[uid]
	if version, _ := in.Dashboard["version"].(float64); there && !in.Overwrite && int(version) != old.version {
		say(http.StatusPreconditionFailed, map[string]any{"status": "version-mismatch", "message": "The dashboard has been changed by someone else"})
		return
	}
	delete(in.Dashboard, "id")
	delete(in.Dashboard, "version")
	f.boards[uid] = fakeBoard{spec: in.Dashboard, version: old.version + 1, folder: in.FolderUID}
	f.saved++
	f.messages = append(f.messages, in.Message)
	say(http.StatusOK, map[string]any{"status": "success", "uid": uid, "version": old.version + 1})
}

func (f *fakeGrafana) interfere() {
	if f.before != nil {
		f.before(f)
	}
}

func (f *fakeGrafana) kinds(r *http.Request, raw []byte, say func(int, any)) {
	rest := strings.TrimPrefix(r.URL.Path, "/apis/dashboard.grafana.app")
	if rest == "" {
		var vs []any
		for _, v := range f.versions {
			vs = append(vs, map[string]any{"groupVersion": "dashboard.grafana.app/" + v, "version": v})
		}
		say(http.StatusOK, map[string]any{"kind": "APIGroup", "versions": vs})
		return
	}
	uid := rest[strings.LastIndexByte(rest, '/')+1:]
	if want := "/v1/namespaces/default/dashboards"; rest != want && rest != want+"/"+uid {
		f.t.Errorf("asked for %q", r.URL.Path)
	}
	resource := func(b fakeBoard) kind {
		spec := maps.Clone(b.spec)
		delete(spec, "uid")
		m := metadata{Name: uid, ResourceVersion: fmt.Sprint(b.version), Annotations: map[string]string{"grafana.app/folder": b.folder}}
		if b.provisioned {
			m.Annotations["grafana.app/managedBy"] = "repo"
		}
		return kind{APIVersion: "dashboard.grafana.app/v1", Kind: "Dashboard", Metadata: m, Spec: spec}
	}
	status := func(code int, text string) {
		say(code, map[string]any{"kind": "Status", "message": text, "code": code})
	}
	if r.Method == http.MethodGet {
		if b, there := f.boards[uid]; there {
			say(http.StatusOK, resource(b))
			return
		}
		status(http.StatusNotFound, "dashboards.dashboard.grafana.app not found")
		return
	}
	var in kind
	if err := json.Unmarshal(raw, &in); err != nil || in.Kind != "Dashboard" || in.APIVersion != "dashboard.grafana.app/v1" {
		f.t.Errorf("%v: %s", err, raw)
	}
	f.interfere()
	old, there := f.boards[in.Metadata.Name]
	if there != (r.Method == http.MethodPut) || there && in.Metadata.ResourceVersion != fmt.Sprint(old.version) {
		status(http.StatusConflict, "the object has been modified")
		return
	}
	b := fakeBoard{spec: in.Spec, version: old.version + 1, folder: in.Metadata.Annotations["grafana.app/folder"]}
	f.boards[in.Metadata.Name] = b
	f.saved++
	f.messages = append(f.messages, in.Metadata.Annotations["grafana.app/message"])
	say(http.StatusOK, resource(b))
}
