package serve

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// dnsNames is where a caller has the names in its certificate, besides its own.
const dnsNames = "dns"

// maxChecked is how many passwords' results are remembered.
const maxChecked = 1000

// fileLogin is the Authenticator of the web configuration file: its users' passwords, and client certificates that TLS has verified.
type fileLogin struct {
	file  *webFile // nil: none
	local bool     // only this machine reaches the address

	turn sync.Mutex // one password is checked at a time, as it takes a tenth of a second of a core
	took time.Duration

	mu      sync.Mutex
	checked map[[sha256.Size]byte]bool
}

// Authenticate returns who came in.
func (f *fileLogin) Authenticate(ctx context.Context, r *http.Request) (Caller, error) {
	users := map[string]string{}
	if f.file != nil {
		for name, hash := range f.file.current().Users {
			users[name] = string(hash)
		}
	}
	if len(users) > 0 {
		name, password, ok := r.BasicAuth()
		if !ok {
			return Caller{}, fmt.Errorf("%w: give a user and a password", ErrLogin)
		}
		hash, known := users[name]
		if right, err := f.right(ctx, name, hash, password, known); !right {
			return Caller{}, cmp.Or(err, fmt.Errorf("%w: the user or the password is wrong", ErrLogin))
		}
		return Caller{Name: name, Proof: "password"}, nil
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		cert := r.TLS.VerifiedChains[0][0]
		out := Caller{Name: cmp.Or(cert.Subject.CommonName, cert.Subject.String()), Groups: cert.Subject.Organization, Proof: "certificate"}
		if len(cert.DNSNames) > 0 {
			out.Extra = map[string][]string{dnsNames: cert.DNSNames}
		}
		return out, nil
	}
	if !f.local {
		return Caller{}, errors.New("the web configuration asks for no login, and others reach this address")
	}
	return Caller{Proof: "local"}, nil
}

// right checks a password. For a user that is not there it takes as long, and costs nothing.
func (f *fileLogin) right(ctx context.Context, name, hash, password string, known bool) (right bool, err error) {
	key := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", name, hash, password))
	f.mu.Lock()
	right, checked := f.checked[key]
	took := f.took
	f.mu.Unlock()
	if checked {
		return right, nil
	}
	if !known {
		select {
		case <-time.After(cmp.Or(took, 50*time.Millisecond)):
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	f.turn.Lock()
	defer f.turn.Unlock()
	if err := ctx.Err(); err != nil {
		return false, err
	}
	began := time.Now()
	right = bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
	f.mu.Lock()
	defer f.mu.Unlock()
	f.took = time.Since(began)
	if f.checked == nil || len(f.checked) >= maxChecked {
		f.checked = map[[sha256.Size]byte]bool{}
	}
	f.checked[key] = right
	return right, nil
}
