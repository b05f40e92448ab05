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
		login.ServeHTTP(w, r.WithContext(withPass(r.Context(), free)))
	})
}

// behind is what comes behind the login: who gets here has passed.
func (g *guard) behind(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if auth := r.Header.Get("Authorization"); auth != "" {
			g.mu.Lock()
			if len(g.good) >= maxGood {
				clear(g.good)
			}
			g.good[sha256.Sum256([]byte(auth))] = true
			g.mu.Unlock()
		}
		if passed := passOf(r.Context()); passed != nil {
			passed()
		}
		next.ServeHTTP(w, r)
	})
}

type passKey struct{}

func withPass(ctx context.Context, passed func()) context.Context {
	return context.WithValue(ctx, passKey{}, passed)
}

func passOf(ctx context.Context) func() {
	passed, _ := ctx.Value(passKey{}).(func())
	return passed
}
