package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestSize holds the page to its promise: at most 100 KB gzip in all.
func TestSize(t *testing.T) {
	const most = 100_000
	sum := 0
	for name, f := range load(dist).byName {
		t.Logf("%-24s %7d bytes, %6d gzip", name, len(f.plain), len(f.zip))
		sum += len(f.zip)
	}
	t.Logf("all: %d gzip, at most %d", sum, most)
	if sum == 0 || sum > most {
		t.Errorf("the page's files have %d bytes gzip, want at most %d and more than none", sum, most)
	}
}

func TestIndexNamesItsFiles(t *testing.T) {
	r := get(t, "/")
	if r.StatusCode != http.StatusOK || r.Header.Get("Cache-Control") != "no-cache" {
		t.Fatalf("got status %d, Cache-Control %q", r.StatusCode, r.Header.Get("Cache-Control"))
	}
	html := body(t, r)
	refs := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(html, -1)
	if len(refs) != 3 {
		t.Fatalf("got %d files named in the index, want 3: %v", len(refs), refs)
	}
	for _, ref := range refs {
		f := get(t, "/"+ref[1])
		if f.StatusCode != http.StatusOK || !strings.Contains(f.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: got status %d, Cache-Control %q", ref[1], f.StatusCode, f.Header.Get("Cache-Control"))
		}
	}
	if regexp.MustCompile(`(?i)<style|\sstyle=|<script>|\son\w+=`).MatchString(html) {
		t.Errorf("the index has inline script or style, which its own policy forbids:\n%s", html)
	}
}

func TestNothingIsFetchedFromElsewhere(t *testing.T) {
	for name, f := range load(dist).byName {
		for _, m := range regexp.MustCompile(`https?://[^"'\s)]+`).FindAllString(string(f.plain), -1) {
			if !strings.HasPrefix(m, "http://www.w3.org/") { // names of namespaces
				t.Errorf("%s holds the address %q", name, m)
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	for _, path := range []string{"/", "/nothing.js"} {
		h := get(t, path).Header
		for name, want := range map[string]string{
			"Content-Security-Policy":    csp,
			"X-Content-Type-Options":     "nosniff",
			"Referrer-Policy":            "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s: got %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestStatus(t *testing.T) {
	f := func(path string, want int) {
		t.Helper()
		if got := get(t, path).StatusCode; got != want {
			t.Errorf("%s: got %d, want %d", path, got, want)
		}
	}
	f("/", 200)
	f("/index.html", 200)
	f("/favicon.ico", 200)
	f("/dist/index.html", 404)
	f("/page-0000000000.js", 404)
	f("/../web.go", 404)
	f("/plimsoll/v1/nothing", 404)

	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: got %d, want 405", w.Code)
	}
}

func TestGzip(t *testing.T) {
	r := get(t, "/", "Accept-Encoding", "br, gzip;q=0.5")
	if r.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("got Content-Encoding %q", r.Header.Get("Content-Encoding"))
	}
	z, err := gzip.NewReader(bytes.NewBufferString(body(t, r)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(b), body(t, get(t, "/")); got != want {
		t.Errorf("the packed index differs from the plain one:\n%s\n%s", got, want)
	}
}

func TestNotModified(t *testing.T) {
	plain := get(t, "/").Header.Get("ETag")
	if r := get(t, "/", "If-None-Match", `"x", W/`+plain); r.StatusCode != http.StatusNotModified || body(t, r) != "" {
		t.Errorf("got status %d, want 304 and no body", r.StatusCode)
	}
	if r := get(t, "/", "If-None-Match", `"x"`); r.StatusCode != http.StatusOK {
		t.Errorf("got status %d, want 200", r.StatusCode)
	}
	if zipped := get(t, "/", "Accept-Encoding", "gzip").Header.Get("ETag"); zipped == plain {
		t.Errorf("both forms have the tag %s", plain)
	}
}
