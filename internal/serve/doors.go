package serve

import (
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/prometheus/exporter-toolkit/web"

	"plimsoll.dev/plimsoll/internal/dial"
)

// openDoor reads the web configuration, if there is one. It refuses an address that others can reach unless there is TLS, and a login or a client
// certificate is asked for.
func (o *Options) openDoor() (*webFile, error) {
	listen, path := o.Listen, o.WebConfig
	if err := noLogin(listen, "--listen"); err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %q: %w; give host:port, such as 127.0.0.1:8082", listen, err)
	}
	loopback := dial.Loopback(host)
	if path == "" {
		if loopback {
			return nil, nil
		}
		return nil, fmt.Errorf("cannot listen on %q without TLS and a login: it is not a loopback address; give --web.config.file, or listen on 127.0.0.1", listen)
	}
	return openWebFile(path, o.Authenticator != nil, func(c *web.Config) error {
		switch {
		case o.Authenticator != nil && len(c.Users) > 0:
			return fmt.Errorf("cannot use web configuration %q: it has basic_auth_users, and logins are checked elsewhere already; take them out", path)
		case loopback:
		case c.TLSConfig.TLSCertPath == "" && c.TLSConfig.TLSCert == "":
			return fmt.Errorf("cannot listen on %q: web configuration %q has no tls_server_config, which an address that others can reach needs", listen, path)
		case o.Authenticator == nil && len(c.Users) == 0 && c.TLSConfig.ClientAuth != "RequireAndVerifyClientCert":
			return fmt.Errorf("cannot listen on %q: web configuration %q has neither basic_auth_users nor client_auth_type: RequireAndVerifyClientCert, one of which an address that others can reach needs", listen, path)
		}
		return nil
	})
}

// noLogin refuses an address to listen on that has a login in it, without showing it.
func noLogin(address, flag string) error {
	if hidden := dial.Redact(address); hidden != address {
		return fmt.Errorf("cannot listen on %q: %s wants host:port of this machine, such as 127.0.0.1:8082, and no login", hidden, flag)
	}
	return nil
}

// CheckDoor says why nobody may listen at an address with a web configuration; "": none.
func CheckDoor(listen, webConfig string) error {
	_, err := (&Options{Listen: listen, WebConfig: webConfig}).openDoor()
	return err
}

// hostCheck refuses, on a loopback listener, requests for any other host name: a page of another site whose name
// was made to point at 127.0.0.1 (DNS rebinding) must not read what is served here.
func hostCheck(listen string, next http.Handler) http.Handler {
	host, _, _ := net.SplitHostPort(listen)
	if !dial.Loopback(host) {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.Host
		if h, _, err := net.SplitHostPort(name); err == nil {
			name = h
		}
		if !dial.Loopback(name) {
			WriteProblem(w, http.StatusMisdirectedRequest, fmt.Sprintf("host %q is not served here: ask for localhost or 127.0.0.1", r.Host))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// sameSite refuses what a page of another site asks for: by any method, as an image that such a page shows costs what it asks for; only a
// person may follow a link to here. Browsers say where a request comes from, and others need not be kept from what they can do themselves.
func sameSite(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if page := r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document" && isPage(r.URL.Path); !page {
			written := r.WithContext(r.Context())
			written.Method = http.MethodPost // what is asked for is judged as what is written
			if err := cross.Check(written); err != nil {
				WriteProblem(w, http.StatusForbidden, "a page of another site may not ask for this")
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// isPage says whether a path is of what people look at, not of an API: a link to there may be anywhere.
func isPage(path string) bool { return strings.Count(path, "/") == 1 }
