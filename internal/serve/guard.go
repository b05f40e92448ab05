package serve

import (
	"context"
	"crypto/sha256"
	"net"
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
)

// placeKey is where a request's context has the function that gives its place back.
type placeKey struct{}

// guard stands before the login. To check a password costs a tenth of a second and one is checked at a time, so that whoever sends wrong
// ones could keep everybody waiting: of logins that never passed only a few are let that far, one of each name and host at a time.
type guard struct {
	slots   chan struct{}
	refused prometheus.Counter
	failed  prometheus.Counter

	mu      sync.Mutex
	good    map[[sha256.Size]byte]bool
	waiting int
	hosts   map[string]int
	names   map[string]*line
}

// line are the logins of one name and host: one is checked, the others wait.
type line struct {
	n    int
	turn chan struct{}
}

func newGuard(m *metrics) *guard {
	return &guard{slots: make(chan struct{}, strangers), refused: m.strangers, failed: m.failed, good: map[[sha256.Size]byte]bool{},
		hosts: map[string]int{}, names: map[string]*line{}}
}

// before is what comes before the login.
func (g *guard) before(login http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		auth := r.Header.Get("Authorization")
		g.mu.Lock()
		known := auth == "" || g.good[sha256.Sum256([]byte(auth))]
		g.mu.Unlock()
		if known {
			login.ServeHTTP(w, r)
			return
		}
		free, ok := g.wait(r)
		if !ok {
			g.refused.Inc()
			w.Header().Set("Connection", "close")
			WriteProblem(w, http.StatusTooManyRequests, "too many logins are being checked; try again")
			return
		}
		defer free()
		login.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), placeKey{}, free)))
	})
}

// wait waits until a stranger's login may be checked; free gives the place back.
func (g *guard) wait(r *http.Request) (free func(), ok bool) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	name, _, _ := r.BasicAuth()
	key := host + " " + name
	mine, ok := g.enter(host, key)
	if !ok {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(r.Context(), loginTime)
	defer cancel()
	select {
	case mine.turn <- struct{}{}:
	case <-ctx.Done():
		g.leave(host, key)
		return nil, false
	}
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		<-mine.turn
		g.leave(host, key)
		return nil, false
	}
	return sync.OnceFunc(func() {
		<-g.slots
		<-mine.turn
		g.leave(host, key)
	}), true
}

func (g *guard) enter(host, key string) (*line, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	mine := g.names[key]
	if g.waiting >= waiters || g.hosts[host] >= waitersOfHost || mine != nil && mine.n >= waitersOfName {
		return nil, false
	}
	if mine == nil {
		mine = &line{turn: make(chan struct{}, 1)}
		g.names[key] = mine
	}
	mine.n++
	g.hosts[host]++
	g.waiting++
	return mine, true
}

func (g *guard) leave(host, key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.names[key].n--; g.names[key].n == 0 {
		delete(g.names, key)
	}
	if g.hosts[host]--; g.hosts[host] == 0 {
		delete(g.hosts, host)
	}
	g.waiting--
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
	if free, ok := r.Context().Value(placeKey{}).(func()); ok {
		free()
	}
}

// forget makes the login of a request a stranger's again: it passes no more.
func (g *guard) forget(r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.good, sha256.Sum256([]byte(r.Header.Get("Authorization"))))
}
