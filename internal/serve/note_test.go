package serve

import (
	"net/http/httptest"
	"testing"
)

// A check that passes may have something to say, to whoever asks for all.
func TestHealthNote(t *testing.T) {
	said := ""
	h := healthHandler("/readyz", []Check{{Name: "store", Test: func() error { return nil }, Note: func() string { return said }}, {Name: "door", Test: func() error { return nil }}})
	f := func(path, want string) {
		t.Helper()
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, httptest.NewRequest("GET", path, nil)); w.Code != 200 || w.Body.String() != want {
			t.Errorf("%s: got %d %q, want %q", path, w.Code, w.Body, want)
		}
	}
	f("/readyz?verbose", "[+]store ok\n[+]door ok\nreadyz check passed\n")
	said = "Repaired: a segment is missing"
	f("/readyz?verbose", "[+]store ok: Repaired: a segment is missing\n[+]door ok\nreadyz check passed\n")
	f("/readyz", "ok")
}
