package grafana

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// wantDone pushes and compares what became of the boards.
func wantDone(t *testing.T, o PushOptions, want ...string) {
	t.Helper()
	got, err := Push(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i, r := range got {
		if r.Done != want[i] || r.UID == "" || !strings.HasPrefix(r.Title, "Plimsoll / ") {
			t.Errorf("board %d: got %+v, want %q", i, r, want[i])
		}
	}
}

// TestPush creates boards, leaves them alone when nothing changed, and replaces what differs, on both of Grafana's APIs.
func TestPush(t *testing.T) {
	for name, noAPI := range map[string]bool{"api": false, "apis": true} {
		t.Run(name, func(t *testing.T) {
			f, o := startFake(t)
			f.noAPI = noAPI
			wantDone(t, o, "created", "created", "created")
			wantDone(t, o, "unchanged", "unchanged", "unchanged")
			if f.saved != 3 {
				t.Errorf("saved %d times, want 3", f.saved)
			}
			b := f.boards["plimsoll-containers"]
			b.spec["title"], b.folder, b.version = "by hand", "team", 12
			f.boards["plimsoll-containers"] = b
			wantDone(t, o, "unchanged", "updated", "unchanged")
			if b := f.boards["plimsoll-containers"]; b.folder != "team" || b.version != 13 || b.spec["title"] != "Plimsoll / Containers" {
				t.Errorf("the board is in folder %q, version %d, called %q", b.folder, b.version, b.spec["title"])
			}
			o.Source, o.Folder = Influx, "monitoring"
			wantDone(t, o, "created", "created", "created")
			if b := f.boards["plimsoll-machine-influx"]; len(f.boards) != 6 || b.folder != "monitoring" {
				t.Errorf("%d boards, the machine's in folder %q", len(f.boards), b.folder)
			}
			for _, m := range f.messages {
				if m != "plimsoll dashboards push" {
					t.Errorf("message %q", m)
				}
			}
		})
	}
}

// TestPushErrors: each way to fail says what to do, and can be told apart.
func TestPushErrors(t *testing.T) {
	f := func(name string, prepare func(*fakeGrafana, *PushOptions), kind error, words ...string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			t.Helper()
			g, o := startFake(t)
			prepare(g, &o)
			done, err := Push(t.Context(), o)
			if err == nil || len(done) != 0 {
				t.Fatalf("got %v, %v", done, err)
			}
			if kind != nil && !errors.Is(err, kind) {
				t.Errorf("%v: is not %v", err, kind)
			}
			for _, w := range append(words, "cannot push board") {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%v: does not say %q", err, w)
				}
			}
		})
	}
	raise := func(g *fakeGrafana) {
		for uid, b := range g.boards {
			b.version++
			g.boards[uid] = b
		}
	}
	provisioned := func(g *fakeGrafana) {
		g.boards["plimsoll-machine"] = fakeBoard{spec: map[string]any{}, version: 1, provisioned: true}
	}
	f("wrong token", func(_ *fakeGrafana, o *PushOptions) { o.Client = withToken(t, "bad") }, ErrRefused, "401", "Invalid API key", "token")
	f("no token", func(_ *fakeGrafana, o *PushOptions) { o.Client = nil }, ErrRefused, "401")
	f("not a Grafana", func(g *fakeGrafana, _ *PushOptions) { g.noAPI, g.noAPIs = true, true }, ErrNotGrafana, "path that Grafana is served under")
	f("only v2", func(g *fakeGrafana, _ *PushOptions) { g.noAPI, g.versions = true, []string{"v2"} }, ErrNotGrafana, "v2")
	f("changed meanwhile", func(g *fakeGrafana, _ *PushOptions) {
		g.boards["plimsoll-machine"] = fakeBoard{spec: map[string]any{}, version: 1}
		g.before = raise
	}, ErrConflict, "412", "changed by someone else", "push again")
	f("changed meanwhile, apis", func(g *fakeGrafana, _ *PushOptions) {
		g.noAPI = true
		g.boards["plimsoll-machine"] = fakeBoard{spec: map[string]any{}, version: 1}
		g.before = raise
	}, ErrConflict, "409", "push again")
	f("created meanwhile, apis", func(g *fakeGrafana, _ *PushOptions) {
		g.noAPI = true
		g.before = func(g *fakeGrafana) {
			g.boards["plimsoll-machine"] = fakeBoard{spec: map[string]any{}, version: 1}
		}
	}, ErrConflict, "409")
	f("provisioned", func(g *fakeGrafana, _ *PushOptions) { provisioned(g) }, ErrConflict, "provisioned from files")
	f("managed", func(g *fakeGrafana, _ *PushOptions) { g.noAPI = true; provisioned(g) }, ErrConflict, "managed")
	f("no such folder", func(_ *fakeGrafana, o *PushOptions) { o.Folder = "nowhere" }, nil, "404", "folder not found")
}

// TestPushElsewhere: what is not a Grafana at all.
func TestPushElsewhere(t *testing.T) {
	f := func(name string, h http.HandlerFunc, kind error, word string) {
		t.Helper()
		s := httptest.NewServer(h)
		defer s.Close()
		timeout := time.Minute
		if errors.Is(kind, context.DeadlineExceeded) {
			timeout = 300 * time.Millisecond
		}
		_, err := Push(t.Context(), PushOptions{URL: s.URL, Source: Influx, Timeout: timeout})
		if err == nil || kind != nil && !errors.Is(err, kind) || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	f("a login page", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }, ErrNotGrafana, "/login")
	f("HTML", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, ErrNotGrafana, "understand")
	f("silence", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, context.DeadlineExceeded, "cannot reach")
	f("forbidden", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, ErrRefused, "Editor")
	f("broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, nil, "502")
	if _, err := Push(t.Context(), PushOptions{URL: "http://127.0.0.1:1", Source: Influx}); err == nil || !strings.Contains(err.Error(), "cannot reach") {
		t.Errorf("nobody there: got %v", err)
	}
}

func TestPushLogin(t *testing.T) {
	g, o := startFake(t)
	g.token, o.Client = "Basic YWRtaW46cGFzczp3b3Jk", withToken(t, "admin:pass:word")
	wantDone(t, o, "created", "created", "created")
}

func TestPushOptions(t *testing.T) {
	f := func(url, word string) {
		t.Helper()
		_, err := Push(t.Context(), PushOptions{URL: url, Source: Prometheus})
		if err == nil || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v", url, err)
		}
	}
	f("", `""`)
	f("grafana.example.org", "grafana.example.org")
	f("ftp://h", "ftp://h")
	f("http://admin:secret@h", "token")
	f("http://h/?orgId=2", "no ?")
	if _, err := Push(t.Context(), PushOptions{URL: "http://h", Source: "loki"}); err == nil || !strings.Contains(err.Error(), `"loki"`) {
		t.Errorf("source: got %v", err)
	}
	if _, err := Push(t.Context(), PushOptions{URL: "http://h", Source: Influx, Timeout: -1}); err == nil {
		t.Error("a negative timeout passes")
	}
}

// A login in an address is not told, in one that cannot be read either.
func TestLoginInAnAddressIsNotTold(t *testing.T) {
	for _, address := range []string{"http://me:secret@[::1", "http://me:secret#word@host", "http://me:secret/word@host", "http://me:sec ret@host/%zz", "http://me:secret@host", "https://host/?token=secret", "me:secret@host"} {
		err := (&PushOptions{URL: address, Source: Influx}).Validate()
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "sec ret") {
			t.Errorf("%q: got %v, want an error without the secret", address, err)
		}
	}
}
