package serve

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"
)

// Once the end is near every request is answered and every client comes by a new connection with its next one, by HTTP/1.1 and by HTTP/2.
func TestParting(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		ending := make(chan struct{})
		s := httptest.NewUnstartedServer(parting(ending, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })))
		s.EnableHTTP2 = h2
		s.StartTLS()
		t.Cleanup(s.Close)
		client := s.Client()
		client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
		ask := func() (reused bool) {
			t.Helper()
			trace := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
			req, err := http.NewRequestWithContext(trace, "GET", s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "ok" || (resp.ProtoMajor == 2) != h2 {
				t.Fatalf("%s %q %v", resp.Proto, body, err)
			}
			return reused
		}
		ask()
		if !ask() {
			t.Errorf("HTTP/2 %v: a connection is not kept", h2)
		}
		close(ending)
		if !ask() { // which the server could not tell anything before
			t.Errorf("HTTP/2 %v: the last request came by a new connection", h2)
		}
		for range 5 {
			if ask() {
				t.Errorf("HTTP/2 %v: a connection is kept at the end", h2)
			}
		}
	}
}
