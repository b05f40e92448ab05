package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/scope"
)

// askTime is how long it may take to learn who asks, and whether they may.
const askTime = 5 * time.Second

var (
	// ErrLogin is wrapped by an Authenticator whose caller is at fault: it has no login, one that is over, one for somebody else.
	ErrLogin = errors.New("cannot log in")
	// ErrDenied is wrapped by an Authorizer, together with the right that is missing.
	ErrDenied = errors.New("a right is missing")
)

// Caller is who sends a request.
type Caller struct {
	Name   string // "" for whoever is on this machine
	UID    string // that tells the caller from a later one of the name; "" where there is none
	Groups []string
	Proof  string // how it was proven: "password", "certificate", "local", or another Authenticator's word

	// Nodes are those that a sender's login is bound to: it speaks for no others. nil: it is not bound; empty: it speaks for none.
	Nodes []string
	Pod   string              // that it is bound to; "": not bound
	Extra map[string][]string // what else an Authenticator has to tell its Authorizer
}

// String names the caller in a sentence.
func (c Caller) String() string {
	if c.Name == "" {
		return "a caller without a name"
	}
	return strconv.Quote(c.Name)
}

// SpeaksFor says whether the caller may send what is said of a node.
func (c Caller) SpeaksFor(node string) bool { return c.Nodes == nil || slices.Contains(c.Nodes, node) }

// Access is what a caller wants.
type Access struct {
	Verb  string // the method in small letters
	Path  string // as asked for
	Query string // as asked for, without the question mark
	Route string // the pattern that it matches; "" where there is nothing
}

// Authenticator says who sends a request, from its header and its connection alone. An error that wraps ErrLogin is told to the caller; any
// other means that it could not be found out, which keeps the caller out too. It is asked for each request; what it remembers, and for how
// long, is its own business.
type Authenticator interface {
	Authenticate(ctx context.Context, r *http.Request) (Caller, error)
}

// Authorizer says by nil that a caller may. An error that wraps ErrDenied is told to the caller; any other means that it could not be found
// out, which keeps the caller out too.
type Authorizer interface {
	Authorize(ctx context.Context, c Caller, a Access) error
}

// Scoper is an Authorizer that knows what those see of the cluster who may not see all of it. An error that wraps ErrDenied says which rights
// would show something.
type Scoper interface {
	Scope(ctx context.Context, c Caller) (scope.Scope, error)
}

type callerKey struct{}

// CallerOf returns who sent the request of a handler's context.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// WithCaller returns a context for which CallerOf returns c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// login stands before every route.
type login struct {
	who    Authenticator
	nodes  *Senders
	may    Authorizer // nil: everybody who is known may everything
	open   bool       // who is not asked about open routes
	basic  bool       // a login is a user and a password
	guard  *guard
	log    *slog.Logger
	fails  seldom // logins that were refused
	nobody seldom // times when nobody could be asked
}

func newLogin(o Options, file *webFile, g *guard) *login {
	l := &login{who: o.Authenticator, nodes: o.Senders, may: o.Authorizer, open: true, guard: g, log: o.Logger, fails: seldom{every: time.Minute}, nobody: seldom{every: time.Minute}}
	if l.who == nil {
		host, _, _ := net.SplitHostPort(o.Listen)
		l.who, l.open, l.basic = &fileLogin{file: file, local: dial.Loopback(host)}, false, true
	}
	return l
}

// before lets through to a route who may.
func (l *login) before(route Route, next http.Handler) http.Handler {
	if route.open && l.open {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, sees, err := l.ask(r, route)
		if err != nil {
			status := statusOf(err)
			if status == http.StatusUnauthorized && l.basic {
				w.Header().Set("WWW-Authenticate", `Basic realm="plimsoll"`)
			}
			writeTo(w, r, status, err.Error())
			return
		}
		next.ServeHTTP(w, r.WithContext(scope.With(WithCaller(r.Context(), caller), sees)))
	})
}

// ask returns who sends a request, if they may, and what of the cluster they see.
func (l *login) ask(r *http.Request, route Route) (Caller, scope.Scope, error) {
	ctx, cancel := context.WithTimeout(r.Context(), askTime)
	defer cancel()
	err := l.guard.answered(r)
	var caller Caller
	if err == nil {
		caller, err = l.who.Authenticate(ctx, r)
	}
	if err != nil {
		l.guard.turnedAway(r, err)
	}
	switch {
	case errors.Is(err, ErrLogin):
		l.guard.forget(r)
		l.failed(r, err)
		return Caller{}, scope.Scope{}, &StatusError{http.StatusUnauthorized, err}
	case err != nil:
		return Caller{}, scope.Scope{}, l.unsure(r, "who you are", err)
	}
	l.nodes.bind(&caller)
	l.guard.passed(r)
	if l.may == nil || route.open {
		return caller, scope.Whole(), nil
	}
	a := Access{Verb: verb(r), Path: r.URL.Path, Query: r.URL.RawQuery, Route: route.Pattern}
	sees, err := l.sees(ctx, r, caller, a, route)
	switch {
	case errors.Is(err, ErrDenied):
		return Caller{}, scope.Scope{}, Errorf(http.StatusForbidden, "%s may not %s %q: %w", caller, a.Verb, a.Path, err)
	case err != nil:
		return Caller{}, scope.Scope{}, l.unsure(r, "what you may do", err)
	}
	return caller, sees, nil
}

// verb is what a rule calls a request: who may get something may ask for its head.
func verb(r *http.Request) string {
	if r.Method == http.MethodHead {
		return "get"
	}
	return strings.ToLower(r.Method)
}

// sees returns what a caller sees of the cluster who has the right to a path. Who has none to the path of a limited route may see a part.
func (l *login) sees(ctx context.Context, r *http.Request, c Caller, a Access, route Route) (scope.Scope, error) {
	if route.Whole != nil { // the path has a right of its own, which shows nothing yet
		if err := l.may.Authorize(ctx, c, a); err != nil {
			return scope.Scope{}, err
		}
		a = Access{Verb: a.Verb, Path: route.Whole(r), Route: route.Pattern}
	}
	err := l.may.Authorize(ctx, c, a)
	if err == nil {
		return scope.Whole(), nil
	}
	parts, ok := l.may.(Scoper)
	if !route.Limited || !ok || !errors.Is(err, ErrDenied) {
		return scope.Scope{}, err
	}
	sees, partly := parts.Scope(ctx, c)
	if errors.Is(partly, ErrDenied) {
		return scope.Scope{}, fmt.Errorf("%w, nor is there any of which it would show a part: %w", err, partly)
	}
	if partly == nil && sees.Nothing() {
		return scope.Scope{}, err
	}
	return sees, partly
}

// failed counts a login that was not let in, and tells of it now and then.
func (l *login) failed(r *http.Request, err error) {
	if r.Header.Get("Authorization") == "" && (r.TLS == nil || len(r.TLS.PeerCertificates) == 0) {
		return // a browser asks first
	}
	l.guard.failed.Inc()
	if n, ok := l.fails.line(); ok {
		name, _, _ := r.BasicAuth()
		l.log.Warn("a login was refused", "user", name, "from", r.RemoteAddr, "path", r.URL.Path, "err", err, "since_the_last_line", n)
	}
}

// unsure is the answer where nobody could be asked. Why is for the log: a stranger is not told of what stands behind.
func (l *login) unsure(r *http.Request, what string, err error) error {
	if gone := r.Context().Err(); gone != nil {
		return gone
	}
	if _, ok := l.nobody.line(); ok {
		l.log.Warn("callers are kept out, it cannot be checked who they are and what they may do", "path", r.URL.Path, "err", err)
	}
	return Errorf(http.StatusServiceUnavailable, "it cannot be checked at present %s, and nobody gets in unchecked; try again", what)
}
