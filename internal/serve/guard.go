package serve

import (
	"context"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	strangers = 4       // logins that are checked at a time, of those that have not passed before
	maxGood   = 1 << 14 // logins that are remembered
	// waiters are how many logins wait to be checked, of all, of one host, and of one name from one host.
	waiters, waitersOfHost, waitersOfName = 256, 64, 4
	loginTime                             = 5 * time.Second // how long one waits
	sharers                               = 1 << 10         // requests that wait for the check of another one of the same login
)

// checkKey is where a stranger's request has its check in its context.
type checkKey struct{}

// guard stands before the login. To check a password costs a tenth of a second and one is checked at a time, so that whoever sends wrong
// ones could keep everybody waiting: of logins that never passed only a few are let that far, one of each name and host at a time. A client that
// begins with many requests at once has one login: the first of them is checked, and the others have its answer.
type guard struct {
	slots   chan struct{}
	refused prometheus.Counter
	failed  prometheus.Counter

	mu      sync.Mutex
	good    map[[sha256.Size]byte]bool
	waiting int
	hosts   map[string]int
	names   map[string]*line
	checks  map[[sha256.Size]byte]*check
}

// check is the one of a host's login that is waited for or under way.
type check struct {
	free  func()        // gives its place back
	ended chan struct{} // closed by free
	n     int           // requests that wait for it
	err   error         // why it was refused, once ended is closed; nil: it passed, or nobody knows, as the client went away
}

// line are the logins of one name and host: one is checked, the others wait.
type line struct {
	n    int
	turn chan struct{}
}

func newGuard(m *metrics) *guard {
	return &guard{slots: make(chan struct{}, strangers), refused: m.strangers, failed: m.failed, good: map[[sha256.Size]byte]bool{},
		hosts: map[string]int{}, names: map[string]*line{}, checks: map[[sha256.Size]byte]*check{}}
}

// before is what comes before the login.
func (g *guard) before(login http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := g.wait(r)
		switch {
		case !ok:
			g.refused.Inc()
			w.Header().Set("Connection", "close")
			WriteProblem(w, http.StatusTooManyRequests, "too many logins are being checked; try again")
		case c == nil:
			login.ServeHTTP(w, r)
		default:
			defer c.free()
			login.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), checkKey{}, c)))
		}
	})
}

// wait waits until a login is known, which needs no check (nil), until another's check of it has ended, or until it may be checked itself.
func (g *guard) wait(r *http.Request) (*check, bool) {
	ctx, cancel := context.WithTimeout(r.Context(), loginTime)
	defer cancel()
	auth, host := r.Header.Get("Authorization"), hostOf(r)
	key := sha256.Sum256([]byte(host + " " + auth))
	for {
		g.mu.Lock()
		if auth == "" || g.good[sha256.Sum256([]byte(auth))] {
			g.mu.Unlock()
			return nil, true
		}
		c := g.checks[key]
		if c == nil {
			c, mine, ok := g.enterLocked(r, host, key)
			g.mu.Unlock()
			return c, ok && g.place(ctx, c, mine)
		}
		full := c.n >= sharers
		c.n++
		g.mu.Unlock()
		if full {
			return nil, false
		}
		select {
		case <-c.ended:
		case <-ctx.Done():
			return nil, false
		}
		if c.err != nil {
			return c, true
		}
	}
}

// place waits for a place among those that are checked.
func (g *guard) place(ctx context.Context, c *check, mine *line) bool {
	select {
	case mine.turn <- struct{}{}:
	case <-ctx.Done():
		c.free()
		return false
	}
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		<-mine.turn
		c.free()
		return false
	}
	leave := c.free
	c.free = sync.OnceFunc(func() {
		<-g.slots
		<-mine.turn
		leave()
	})
	return true
}

// enterLocked takes a place in the line of a name and host.
func (g *guard) enterLocked(r *http.Request, host string, of [sha256.Size]byte) (*check, *line, bool) {
	name, _, _ := r.BasicAuth()
	key := host + " " + name
	mine := g.names[key]
	if g.waiting >= waiters || g.hosts[host] >= waitersOfHost || mine != nil && mine.n >= waitersOfName {
		return nil, nil, false
	}
	if mine == nil {
		mine = &line{turn: make(chan struct{}, 1)}
		g.names[key] = mine
	}
	mine.n++
	g.hosts[host]++
	g.waiting++
	c := &check{ended: make(chan struct{})}
	c.free = sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if mine.n--; mine.n == 0 {
			delete(g.names, key)
		}
		if g.hosts[host]--; g.hosts[host] == 0 {
			delete(g.hosts, host)
		}
		g.waiting--
		delete(g.checks, of)
		close(c.ended)
	})
	g.checks[of] = c
	return c, mine, true
}

// passed remembers the login of a request that was let in, and gives its place back.
func (g *guard) passed(r *http.Request) {
	if auth := r.Header.Get("Authorization"); auth != "" {
		g.mu.Lock()
		if len(g.good) >= maxGood {
			clear(g.good)
		}
		g.good[sha256.Sum256([]byte(auth))] = true
		g.mu.Unlock()
	}
	if c, ok := r.Context().Value(checkKey{}).(*check); ok {
		c.free()
	}
}

// answered returns why a login was refused that another request had checked.
func (g *guard) answered(r *http.Request) error {
	c, ok := r.Context().Value(checkKey{}).(*check)
	if !ok {
		return nil
	}
	select {
	case <-c.ended:
		return c.err
	default:
		return nil
	}
}

// turnedAway tells those who wait for a request's check why it was not let in.
func (g *guard) turnedAway(r *http.Request, why error) {
	c, ok := r.Context().Value(checkKey{}).(*check)
	if !ok || r.Context().Err() != nil { // nobody knows
		return
	}
	select {
	case <-c.ended: // it is another's
	default:
		c.err = why
		c.free()
	}
}

// forget makes the login of a request a stranger's again: it passes no more.
func (g *guard) forget(r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.good, sha256.Sum256([]byte(r.Header.Get("Authorization"))))
}
