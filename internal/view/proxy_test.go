package view

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// login is a transport that shows one.
type login struct{ t *testing.T }

func (l login) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer person")
	return http.DefaultTransport.RoundTrip(r)
}

// Only who knows the address gets to the API server, by its host's own name, for reading; of what a browser sends nothing goes on but what it wants.
func TestProxy(t *testing.T) {
	var asked []string
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.RequestURI())
		if r.Header.Get("Authorization") != "Bearer person" || r.Header.Get("Cookie")+r.Header.Get("Origin")+r.Header.Get("X-Remote-User")+r.Header.Get("X-Forwarded-For")+r.Header.Get("Impersonate-User") != "" || r.Header.Get("Accept") != "a/b" {
			t.Errorf("it is sent %v", r.Header)
		}
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		_, _ = fmt.Fprint(w, "hello")
	}))
	defer api.Close()
	at, err := url.Parse(api.URL + "/k8s/cluster-1")
	if err != nil {
		t.Fatal(err)
	}
	p := NewProxy(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4321}, at, login{t})
	ask := func(method, host, path string) *http.Response {
		r := httptest.NewRequest(method, "http://"+host+path, nil)
		for name, v := range map[string]string{"Accept": "a/b", "Authorization": "Bearer other", "Cookie": "c=d", "Origin": "http://evil.example", "X-Remote-User": "admin", "Impersonate-User": "admin", "X-Forwarded-For": "1.2.3.4"} {
			r.Header.Set(name, v)
		}
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		return w.Result()
	}
	secret := strings.TrimSuffix(strings.TrimPrefix(p.Address(), "http://127.0.0.1:4321"), "/")
	once := strings.TrimPrefix(p.Once(), "http://127.0.0.1:4321")
	f := func(method, host, path string, status int, want string) {
		t.Helper()
		asked = nil
		got := ask(method, host, path)
		if got.StatusCode != status || strings.Join(asked, " ") != want || got.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s %s%s: got %d %v after asking %q, want %d and %q", method, host, path, got.StatusCode, got.Header, asked, status, want)
		}
	}
	const ours, base = "127.0.0.1:4321", "/k8s/cluster-1" + Base
	f("GET", ours, secret+"/", 200, "GET "+base+"/pages")
	f("GET", "localhost:4321", secret+"/page-1.js", 200, "GET "+base+"/pages/page-1.js")
	f("GET", ours, secret+"/plimsoll/v1/stream?limit=3", 200, "GET "+base+"/stream?watch=true&limit=3")
	f("GET", ours, secret+"/plimsoll/v1/workloads/a/b/c%2Fd?limit=1", 200, "GET "+base+"/namespaces/a/workloads/b/named/c%2Fd?limit=1")
	f("GET", ours, secret, 303, "")
	for _, path := range []string{"/", "/plimsoll/v1/overview", secret[:len(secret)-1] + "/", "/x" + secret + "/", "/" + secret + "/"} {
		f("GET", ours, path, 404, "")
	}
	for _, path := range []string{"/api/v1/secrets", "/plimsoll/v1/../../../api/v1/secrets", "/plimsoll/v1/%2e%2e", "/../../../../api/v1/secrets", "//api/v1"} {
		f("GET", ours, secret+path, 404, "")
	}
	f("POST", ours, secret+"/plimsoll/v1/overview", 405, "")
	for _, host := range []string{"evil.example", "evil.example:4321", "127.0.0.1:80", "127.0.0.1", "localhost.evil.example:4321"} {
		f("GET", host, secret+"/", 421, "")
	}
	if got := ask("GET", ours, once); got.StatusCode != 303 || got.Header.Get("Location") != secret+"/" {
		t.Errorf("once: got %d %v", got.StatusCode, got.Header)
	}
	f("GET", ours, once, 404, "")
	api.Close()
	got := ask("GET", ours, secret+"/")
	if text, _ := io.ReadAll(got.Body); got.StatusCode != 502 || !strings.Contains(string(text), "cannot reach the API server") {
		t.Errorf("away: got %d %s", got.StatusCode, text)
	}
}
