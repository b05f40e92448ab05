package dial

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	_ "golang.org/x/crypto/x509roots/fallback" // the authorities of the web, for where the system has none, such as our own image
)

// Options say who we are and what is kept. All may be left out.
type Options struct {
	Flags Flags
	// CAFile is a PEM file with the certificate authority; empty: the system's, or where it has none those that are in the binary.
	CAFile string
	// TokenFile holds user:password or a token, in one line; empty: no login.
	TokenFile string
	// CertFile and KeyFile are PEM files with our certificate and its key, for servers that ask for one; empty: none.
	CertFile, KeyFile string
	// Plain lets plain HTTP leave this machine with a login.
	Plain bool
	// Authorize makes the Authorization header of what TokenFile holds; nil: as Authorize does.
	Authorize func(text string) string
	// Patience is how long a connection may take to come about, and its TLS after that; zero: 5 s.
	Patience time.Duration
	// Next sends the requests with their login on; nil: connections of our own.
	Next http.RoundTripper
	// Logger hears of logins that were read again; nil: nobody does.
	Logger *slog.Logger
}

// Transport is an http.RoundTripper that sends requests with a login.
type Transport struct {
	login *login
	to    string // the address that all connections lead to; empty: where the request's host says

	mu     sync.Mutex
	config *tls.Config
	next   *http.Transport
	looked time.Time // when connections were last begun anew
}

// renewEvery is how long connections to a host's name are used before new ones are made: the name may lead elsewhere by then.
const renewEvery = time.Minute

// New reads the files.
func New(o Options) (*Transport, error) {
	o.Patience = cmp.Or(o.Patience, 5*time.Second)
	if o.Authorize == nil {
		o.Authorize = Authorize
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	t := &Transport{login: &login{opts: o}}
	_, err := t.login.read(true)
	t.login.at.At(0, func() {}) // that was the first look
	return t, err
}

// Plain is a Transport without a login.
func Plain() *Transport {
	t, _ := New(Options{}) // only files can fail
	return t
}

// Read reads the files now, as one does when a server has refused the login.
func (t *Transport) Read() error {
	l := t.login
	hangs := l.asked.At(0, func() {
		_, err := l.read(true)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.err = err
	})
	if hangs > 0 {
		return fmt.Errorf("the files of the login cannot be read for %v: is their disk or mount there?", hangs.Round(time.Second))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Client is a client that follows no redirects: they keep a login from going where nobody sent it. Its deadlines are the callers'.
func Client(rt http.RoundTripper) *http.Client {
	return &http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// ClientTo is a client with the same login and connections of its own, which all lead to one address whatever the host of the request
// is: Host header and TLS name stay that host's. Without an address the host says where, as usual.
func (t *Transport) ClientTo(address string) *http.Client {
	return Client(&Transport{login: t.login, to: address})
}

// current returns what a request is to be sent with. Under another authority all connections are new.
func (t *Transport) current() (auth string, next http.RoundTripper) {
	auth, config := t.login.current()
	if o := &t.login.opts; o.Next != nil {
		return auth, o.Next
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.config != config {
		if t.next != nil {
			t.next.CloseIdleConnections()
		}
		t.config, t.next, t.looked = config, t.connections(config), time.Now()
	}
	if now := time.Now(); t.to == "" && now.Sub(t.looked) >= renewEvery {
		t.next.CloseIdleConnections()
		t.looked = now
	}
	return auth, t.next
}

func (t *Transport) connections(config *tls.Config) *http.Transport {
	o := &t.login.opts
	dialer := &net.Dialer{Timeout: o.Patience}
	out := &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSHandshakeTimeout: o.Patience,
		MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: true}
	if t.to != "" {
		out.Proxy = nil
		out.DialContext = func(ctx context.Context, network, host string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(host)
			if err != nil {
				return nil, err
			}
			return dialer.DialContext(ctx, network, net.JoinHostPort(t.to, port))
		}
	}
	return out
}

// ErrPlain is wrapped by the error of a request whose login would have left this machine in clear.
var ErrPlain = errors.New("the login is not sent to")

// RoundTrip sends a request. With a login it does so by https, or on this machine, or where that was asked for.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	auth, next := t.current()
	if auth != "" {
		if o := &t.login.opts; r.URL.Scheme != "https" && !Loopback(r.URL.Hostname()) && !o.Plain {
			if r.Body != nil {
				_ = r.Body.Close() // as a RoundTripper has to
			}
			return nil, fmt.Errorf("%w %q by plain HTTP: give its address with https, or %s if nobody on the way is to be feared", ErrPlain, r.URL.Host, o.Flags.Other("plain-http"))
		}
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", auth)
	}
	return next.RoundTrip(r)
}

// CloseIdleConnections passes the wish on.
func (t *Transport) CloseIdleConnections() {
	_, next := t.current()
	Client(next).CloseIdleConnections()
}

// Proxied says whether requests to an address go by a proxy, which looks the host up itself.
func Proxied(u *url.URL) bool {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u})
	return proxy != nil || err != nil
}
