package serve

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// An answer is gzipped for who asks for it, when it is worth it.
func TestGzipOnRequest(t *testing.T) {
	const big = 5000
	list := strings.Repeat("a", big)
	route := func(path string, h func(http.ResponseWriter, *http.Request) error) Route {
		return Route{Method: "GET", Pattern: path, Handle: h}
	}
	h, err := Handler(Options{Listen: "127.0.0.1:0", Routes: []Route{
		route("/big", func(w http.ResponseWriter, _ *http.Request) error { return WriteJSON(w, list) }),
		route("/small", func(w http.ResponseWriter, _ *http.Request) error { return WriteJSON(w, "a") }),
		route("/bad", func(http.ResponseWriter, *http.Request) error { return BadRequest("%s", list) }),
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, accept, encoding string
	}{
		{"/big", "gzip", "gzip"}, {"/big", "br, *;q=0.5", "gzip"}, {"/big", "", ""}, {"/big", "gzip;q=0", ""},
		{"/small", "gzip", ""}, {"/bad", "gzip", ""},
	} {
		r := httptest.NewRequest("GET", "http://localhost"+c.path, nil)
		r.Header.Set("Accept-Encoding", c.accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("Content-Encoding"); got != c.encoding {
			t.Errorf("%s for %q: encoding %q, want %q", c.path, c.accept, got, c.encoding)
			continue
		}
		if c.path != "/big" {
			continue
		}
		if got := w.Header().Get("Content-Length"); got != strconv.Itoa(w.Body.Len()) || w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s for %q: length %s of %d, Vary %q", c.path, c.accept, got, w.Body.Len(), w.Header().Get("Vary"))
		}
		var body io.Reader = w.Body
		if c.encoding == "gzip" {
			if w.Body.Len() > big/10 {
				t.Errorf("%d bytes of %d", w.Body.Len(), big)
			}
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatal(err)
			}
		}
		var got string
		if err := json.NewDecoder(body).Decode(&got); err != nil || got != list {
			t.Errorf("%s for %q: %v, %d bytes", c.path, c.accept, err, len(got))
		}
	}
	for header, want := range map[string]bool{"": false, "gzip": true, "GZIP": true, "*": true, "identity": false, "gzip;q=0": false, "gzip; q=0.0": false, "gzip;q=x": false, "deflate, gzip": true} {
		if got := TakesGzip(header); got != want {
			t.Errorf("%q: got %v, want %v", header, got, want)
		}
	}
}
