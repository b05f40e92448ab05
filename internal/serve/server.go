// Package serve is the HTTP life cycle of every Plimsoll process: one listener, its doors (TLS, Host and origin
// checks), one login (who asks, and may they), limits on every handler, one place that turns errors into answers, health and own metrics.
package serve

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// drain is how long requests may take to end at shutdown.
const drain = 5 * time.Second

// Options configure a Server.
type Options struct {
	// Listen is the address, host:port. Without a WebConfig only a loopback address is accepted.
	Listen string
	// WebConfig is the path of an exporter-toolkit web configuration file (TLS, login); "" for none.
	WebConfig string
	// Listener is the port that Take has taken; nil: Listen takes it.
	Listener net.Listener
	// Authenticator says who asks; nil: the web configuration's login, without one whoever is on this machine.
	Authenticator Authenticator
	// Authorizer says whether a caller may; nil: everybody who is let in may everything.
	Authorizer Authorizer
	// Senders say which nodes a caller speaks for whom the Authenticator has bound to none; nil: to all.
	Senders *Senders
	// Ending is closed once the process is to be asked nothing more, a while before Run ends: who asks all the same is answered, and its connection
	// takes no further request. nil: that is not known before.
	Ending <-chan struct{}
	// Routes are all that is served.
	Routes     []Route
	Logger     *slog.Logger
	Registerer prometheus.Registerer

	maxConns   int // the most connections at once, of which one host has half at most; tests make it small
	maxWaiting int // bytes of answers that wait to be read; tests make it small
	readTime   time.Duration
}

// Validate fills defaults in and reports what cannot be served.
func (o *Options) Validate() error {
	if o.Listen == "" {
		return errors.New(`cannot listen on "": give an address such as 127.0.0.1:8082`)
	}
	if o.maxConns == 0 {
		o.maxConns = defaultConns()
	}
	o.maxWaiting, o.readTime = cmp.Or(o.maxWaiting, waitingBytes), cmp.Or(o.readTime, usualReadTime)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if _, err := o.openDoor(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, r := range o.Routes {
		if seen[r.Method+" "+r.Pattern] {
			return fmt.Errorf("route %q is there twice", r.Method+" "+r.Pattern)
		}
		seen[r.Method+" "+r.Pattern] = true
	}
	return nil
}

// Server serves the routes. New builds it, Listen takes the port, Run serves until its context ends.
type Server struct {
	opts     Options
	file     *webFile // nil: none
	http     *http.Server
	metrics  *metrics
	guard    *guard
	listener net.Listener
	base     context.Context
	stop     context.CancelFunc

	mu    sync.Mutex
	door  error // what is wrong with it
	since time.Time
}

// New checks the options and builds the handler chain. It starts nothing.
func New(o Options) (*Server, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	file, err := o.openDoor()
	if err != nil {
		return nil, err
	}
	s := &Server{opts: o, file: file, metrics: newMetrics(o.Registerer)}
	s.guard = newGuard(s.metrics)
	s.base, s.stop = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler:           handler(o, file, s.metrics, s.guard),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       usualTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 64},
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
		// Streams watch their request's context; it ends when shutdown begins, not when it gives up.
		BaseContext: func(net.Listener) context.Context { return s.base },
	}
	return s, nil
}

// Handler builds what a Server would serve, for use inside one process.
func Handler(o Options) (http.Handler, error) {
	if o.WebConfig != "" {
		return nil, fmt.Errorf("cannot use web configuration %q: inside one process nothing checks its logins", o.WebConfig)
	}
	s, err := New(o)
	if err != nil {
		return nil, err
	}
	return s.http.Handler, nil
}

// Take takes the port of a Server that is made later, if it may be opened at all: who finds it taken has touched nothing else yet.
func Take(ctx context.Context, o Options) (net.Listener, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return listen(ctx, o.Listen, "--listen")
}

// listen takes a port; flag is the one that gave the address.
func listen(ctx context.Context, address, flag string) (net.Listener, error) {
	if err := noLogin(address, flag); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot listen on %q: another process is there; choose another address with %s: %w", address, flag, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("cannot listen on %q: only root may take a port below 1024: %w", address, err)
	}
	return nil, fmt.Errorf("cannot listen on %q: %s wants host:port of this machine, such as 127.0.0.1:8082: %w", address, flag, err)
}

// Listen takes the port, so that a caller can say the address (with port 0 the real one) before Run.
func (s *Server) Listen(ctx context.Context) (net.Addr, error) {
	if s.listener = s.opts.Listener; s.listener == nil {
		l, err := Take(ctx, s.opts)
		if err != nil {
			return nil, err
		}
		s.listener = l
	}
	return s.listener.Addr(), nil
}

// Run serves until ctx ends, then lets requests end within the drain time. It calls Listen if nobody has.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		if _, err := s.Listen(ctx); err != nil {
			return err
		}
	}
	listener := newBounded(s.listener, s.opts, s.metrics)
	s.http.Handler = listener.atWork(s.guard.before(parting(s.opts.Ending, s.http.Handler)))
	s.http.ConnContext = listener.known
	var watching sync.WaitGroup
	defer watching.Wait()
	watch, end := context.WithCancel(ctx)
	defer end()
	watching.Go(func() { s.watchDoor(watch) })
	failed := make(chan error, 1)
	go func() { failed <- s.serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("cannot serve on %q: %w", s.opts.Listen, err)
	case <-ctx.Done():
	}
	s.stop()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := s.http.Shutdown(last); err != nil {
		s.opts.Logger.Warn("requests were cut off at shutdown", "after", drain)
		_ = s.http.Close() // the error of a second close says nothing new
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve on %q: %w", s.opts.Listen, err)
	}
	return nil
}

// parting has clients go elsewhere with their next request once ending is closed: an API server that passes requests on would else use a connection that it
// has until it is closed under it. By HTTP/2 the header is a GOAWAY.
func parting(ending <-chan struct{}, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-ending:
			w.Header().Set("Connection", "close")
		default:
		}
		next.ServeHTTP(w, r)
	})
}

// serve answers on a listener, by TLS where the web configuration says so.
func (s *Server) serve(l net.Listener) error {
	if s.file == nil || s.file.current().tls == nil {
		return s.http.Serve(l)
	}
	if !s.file.current().HTTPConfig.HTTP2 {
		s.http.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	}
	s.http.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: s.file.forClient}
	return s.http.ServeTLS(l, "", "")
}

// Close releases the port; Run does so too when it ends.
func (s *Server) Close() error {
	if s.listener == nil {
		return nil
	}
	if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
