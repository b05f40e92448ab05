package serve

import (
	"context"
	"crypto/sha256"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	strangers = 4    // logins that are checked at a time, of those that have not passed before
	maxGood   = 1000 // logins that are remembered
)

// placeKey is where a request's context has the function that gives its place back.
type placeKey struct{}

// guard stands before the login. To check a password costs a tenth of a second and one is checked at a time, so that whoever sends wrong
// ones could keep everybody waiting: of logins that never passed only a few are let that far.
type guard struct {
	slots   chan struct{}
	refused prometheus.Counter

	mu   sync.Mutex
	good map[[sha256.Size]byte]bool
}

func newGuard(m *metrics) *guard {
	return &guard{slots: make(chan struct{}, strangers), refused: m.strangers, good: map[[sha256.Size]byte]bool{}}
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
		select {
		case g.slots <- struct{}{}:
		default:
			g.refused.Inc()
			w.Header().Set("Connection", "close")
			writeProblem(w, http.StatusTooManyRequests, "too many logins are being checked; try again")
			return
		}
		free := sync.OnceFunc(func() { <-g.slots })
		defer free()
		login.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), placeKey{}, free)))
	})
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
