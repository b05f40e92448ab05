package serve

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"

	"github.com/prometheus/exporter-toolkit/web"
)

// dnsNames is where a caller has the names in its certificate, besides its own.
const dnsNames = "dns"

// fileLogin is the Authenticator of the web configuration file. Passwords and certificates were checked before: exporter-toolkit's handler
// stands before all others and lets nobody in whose password is wrong, TLS nobody whose certificate is. What is left to say is who came in.
type fileLogin struct {
	path  string // "" for none
	local bool   // only this machine reaches the address

	mu   sync.Mutex
	file os.FileInfo // the file that the configuration is from
	read web.Config
}

// Authenticate returns who came in.
func (f *fileLogin) Authenticate(_ context.Context, r *http.Request) (Caller, error) {
	if name, _, ok := r.BasicAuth(); ok && f.path != "" {
		known, err := f.known(name)
		if err != nil {
			return Caller{}, fmt.Errorf("cannot read web configuration %q: %w", f.path, err)
		}
		if known { // otherwise no password was asked for, and anything may stand there
			return Caller{Name: name, Proof: "password"}, nil
		}
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
		return Caller{}, fmt.Errorf("web configuration %q asks for no login any more, and others reach this address: give it basic_auth_users or client certificates", f.path)
	}
	return Caller{Proof: "local"}, nil
}

// known says whether the file as it is now has a user of that name.
func (f *fileLogin) known(name string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, err := os.Stat(f.path)
	if err != nil {
		return false, err
	}
	if was := f.file; was == nil || !os.SameFile(was, now) || was.Size() != now.Size() || !was.ModTime().Equal(now.ModTime()) {
		c, err := readWebConfig(f.path)
		if err != nil {
			return false, err
		}
		f.file, f.read = now, c
	}
	_, ok := f.read.Users[name]
	return ok, nil
}
