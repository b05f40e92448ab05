package view

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"plimsoll.dev/plimsoll/internal/serve"
)

// Proxy serves the page on an address of this machine through somebody's login to the API server. Others on the machine reach the address too, and so
// do pages of other sites in the same browser: what is served is below a path that cannot be guessed, for requests that name the address
// itself, and for reading alone. Nothing that a browser sends but what it wants reaches the API server.
type Proxy struct {
	host     string // the address, with the port
	secret   string // the path's first part
	once     string // a path that leads to it, once
	used     atomic.Bool
	upstream http.Handler
}

// NewProxy makes one for an address, to a server through a transport that logs in to it.
func NewProxy(address net.Addr, server *url.URL, login http.RoundTripper) *Proxy {
	_, port, _ := net.SplitHostPort(address.String())
	p := &Proxy{host: port, secret: rand.Text(), once: rand.Text()}
	p.upstream = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			out := http.Header{}
			for _, name := range []string{"Accept", "Accept-Encoding", "If-None-Match", "Last-Event-ID"} {
				if v := r.In.Header.Get(name); v != "" {
					out.Set(name, v)
				}
			}
			out.Set("User-Agent", "") // the login's own
			r.Out.Header, r.Out.Host = out, ""
			r.Out.URL = At(server, r.In.URL.RequestURI())
		},
		Transport: login, FlushInterval: -1,
		ModifyResponse: func(r *http.Response) error {
			for _, name := range []string{"Set-Cookie", "Www-Authenticate", "Location"} {
				r.Header.Del(name)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			serve.WriteProblem(w, http.StatusBadGateway, fmt.Sprintf("cannot reach the API server: %v", err))
		},
	}
	return p
}

// At is a path below the group, with its query, at an API server that may itself be below a path.
func At(server *url.URL, at string) *url.URL {
	u, err := url.Parse(strings.TrimSuffix(server.String(), "/") + at)
	if err != nil {
		return server
	}
	return u
}

// Address is where the page is.
func (p *Proxy) Address() string { return "http://" + p.name() + "/" + p.secret + "/" }

// Once is an address that leads there one time: others see what a program is started with.
func (p *Proxy) Once() string { return "http://" + p.name() + "/" + p.once }

func (p *Proxy) name() string { return net.JoinHostPort("127.0.0.1", p.host) }

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch first, rest, below := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/"); {
	case r.Host != p.name() && r.Host != net.JoinHostPort("localhost", p.host):
		serve.WriteProblem(w, http.StatusMisdirectedRequest, fmt.Sprintf("host %q is not served here", r.Host))
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		serve.WriteProblem(w, http.StatusMethodNotAllowed, "the page is only to be read")
	case same(first, p.once) && !below && !p.used.Swap(true):
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		http.Redirect(w, r, "/"+p.secret+"/", http.StatusSeeOther)
	case !same(first, p.secret):
		serve.WriteProblem(w, http.StatusNotFound, "the page is at the address that 'plimsoll page' has printed, and nowhere else")
	case !below:
		http.Redirect(w, r, "/"+p.secret+"/", http.StatusSeeOther)
	default:
		p.forward(w, r, "/"+rest)
	}
}

// forward asks the API server for what is at a path of Plimsoll's.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request, path string) {
	at, ok := Path(path, r.URL.RawQuery)
	if !ok {
		serve.WriteProblem(w, http.StatusNotFound, fmt.Sprintf("there is nothing at %q", path))
		return
	}
	u, err := url.Parse(at)
	if err != nil {
		serve.WriteProblem(w, http.StatusBadRequest, fmt.Sprintf("cannot read %q: %v", path, err))
		return
	}
	out := r.Clone(r.Context())
	out.URL = u
	if !strings.HasPrefix(at, streams) { // a stream lasts for as long as somebody looks
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(3 * time.Minute)) // not supported by test recorders
	}
	p.upstream.ServeHTTP(w, out)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
