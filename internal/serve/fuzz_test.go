package serve

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// FuzzSenders: a caller gets nodes that the file names, its own name's, or all where the file says so.
func FuzzSenders(f *testing.F) {
	for _, s := range []string{"ann: [n1, n2]\nbob: ['*']\n", "'*': ['=']\nann: []\n", "ann: n1", "- ann", "ann: [[n1]]", "ann: &a [n1]\nbob: *a\n", "{}", "ann: ~"} {
		f.Add(s, "ann")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		nodes, err := parseSenders([]byte(text))
		if err != nil {
			return
		}
		s := &Senders{rule: "made"}
		s.nodes.Store(&nodes)
		c := Caller{Name: name}
		s.bind(&c)
		named := slices.Concat(nodes[name], nodes[everything])
		if c.Nodes == nil && !slices.Contains(named, everything) {
			t.Errorf("%q: %q speaks for all", text, name)
		}
		for _, n := range c.Nodes {
			if !slices.Contains(named, n) && n != strings.TrimPrefix(name, nodePrefix) {
				t.Errorf("%q: %q speaks for %q", text, name, n)
			}
		}
	})
}

// FuzzWebConfig: whatever the file says, an address that others reach is open to nobody without TLS and a login.
func FuzzWebConfig(f *testing.F) {
	for _, s := range []string{"", "basic_auth_users:\n  ann: $2y$10$abcdefghijklmnopqrstuuMhN5zXs0j1ePp1qDqWm4C2BhnqFbPKa\n", "tls_server_config:\n  cert_file: a\n  key_file: b\n",
		"tls_server_config: {client_auth_type: RequireAndVerifyClientCert}", "http_server_config: {http2: false, headers: {X: y}}", "rate_limit: {interval: 1s, burst: 2}", "a: *b"} {
		f.Add(s)
	}
	path := filepath.Join(f.TempDir(), "web.yaml")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, listen := range []string{"0.0.0.0:0", "127.0.0.1:0"} {
			file, err := (&Options{Listen: listen, WebConfig: path}).openDoor()
			if err != nil {
				continue
			}
			if c := file.current(); listen == "0.0.0.0:0" && (c.tls == nil || len(c.Users) == 0 && c.TLSConfig.ClientAuth != "RequireAndVerifyClientCert") {
				t.Errorf("%q: the door is open", text)
			}
		}
	})
}

// FuzzDoor: a request with any host, origin and site is let in only if it is for this machine, and not from a page of another site.
func FuzzDoor(f *testing.F) {
	f.Add("GET", "/api/v1/query", "localhost:8082", "http://evil.example", "cross-site", "cors", "empty")
	f.Add("POST", "/", "127.0.0.1", "null", "same-origin", "navigate", "document")
	f.Add("GET", "/x", "[::1]:1", "", "", "", "")
	f.Add("GET", "//evil", "localhost.", "http://localhost", "none", "navigate", "iframe")
	in := false
	h := hostCheck("127.0.0.1:8082", sameSite(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { in = true })))
	f.Fuzz(func(t *testing.T, method, path, host, origin, site, mode, dest string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Method, r.URL, r.Host = method, &url.URL{Path: path}, host
		r.Header = http.Header{"Origin": {origin}, "Sec-Fetch-Site": {site}, "Sec-Fetch-Mode": {mode}, "Sec-Fetch-Dest": {dest}}
		in = false
		h.ServeHTTP(httptest.NewRecorder(), r)
		if !in {
			return
		}
		name := host
		if h, _, err := net.SplitHostPort(host); err == nil {
			name = h
		}
		name, _, _ = strings.Cut(strings.Trim(name, "[]"), "%") // a zone takes nobody off the machine
		if ip := net.ParseIP(name); !strings.EqualFold(name, "localhost") && (ip == nil || !ip.IsLoopback()) {
			t.Errorf("host %q was let in", host)
		}
		if site == "cross-site" && (strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/plimsoll/") || method != "GET" || dest != "document") {
			t.Errorf("%s %q of another site, as %q, was let in", method, path, dest)
		}
	})
}
