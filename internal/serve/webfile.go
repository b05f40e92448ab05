package serve

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v3"

	"plimsoll.dev/plimsoll/internal/disk"
)

// lookEvery is how often the files are looked at.
const lookEvery = 100 * time.Millisecond

// maxWebConfig is the most bytes of a web configuration.
const maxWebConfig = 1 << 20

// bcryptLength is how long what bcrypt makes is.
const bcryptLength = 60

// webFile is a web configuration in exporter-toolkit's format, which is looked at again whenever somebody comes in. What it says is in force
// once all of it can be used and it keeps at least the rules of the one before: a file that is cut off in the middle of a write, or has lost its
// logins, opens nothing and shuts nobody out, and is told of.
type webFile struct {
	path  string
	check func(*web.Config) error // what the address needs
	asks  bool                    // clients are asked for certificates, which an Authenticator looks at

	now  atomic.Pointer[rules]
	err  atomic.Pointer[error] // why what is there now is not in force
	seen string                // what the files looked like when they were last read; of who looks
	at   disk.Look             // a mount may be dead: nobody who comes in waits for that
	stat func(string) (os.FileInfo, error)
}

// rules are a configuration in force.
type rules struct {
	web.Config
	seen string           // what the files looked like before they were read
	tls  *tls.Config      // nil: none
	pair *tls.Certificate // nil: none
}

// openWebFile reads the file for the first time.
func openWebFile(path string, asks bool, check func(*web.Config) error) (*webFile, error) {
	f := &webFile{path: path, check: check, asks: asks, stat: os.Stat}
	r, err := f.load(nil)
	if err != nil {
		return nil, err
	}
	f.now.Store(r)
	f.seen = r.seen
	return f, nil
}

// current returns the rules in force, after a look now and then at whether there are others.
func (f *webFile) current() *rules {
	f.at.At(lookEvery, f.look)
	return f.now.Load()
}

// look puts what is in the files in force, if it can be.
func (f *webFile) look() {
	r := f.now.Load()
	if f.describe(r) == f.seen {
		return
	}
	f.seen = "" // what cannot be read now may be read at the next look, as it is
	next, err := f.load(r)
	if errors.Is(err, errYoung) { // what was told before stays told
		return
	}
	if f.err.Store(&err); err == nil {
		f.now.Store(next)
		f.seen = next.seen
	}
}

// problem is why what is in the files is not in force, by a look that is no older than every; nil if it is.
func (f *webFile) problem(every time.Duration) error {
	if hangs := f.at.At(every, f.look); hangs > 0 {
		return fmt.Errorf("the web configuration %q cannot be read for %v: is its disk or mount there?", f.path, hangs.Round(time.Second))
	}
	if err := f.err.Load(); err != nil {
		return *err
	}
	return nil
}

// describe tells the files apart without reading them.
func (f *webFile) describe(r *rules) string {
	files := []string{f.path}
	if r != nil {
		files = append(files, r.TLSConfig.TLSCertPath, r.TLSConfig.TLSKeyPath, r.TLSConfig.ClientCAs)
	}
	var b bytes.Buffer
	for _, name := range files {
		if name == "" {
			continue
		}
		st, err := f.stat(name)
		if err != nil {
			fmt.Fprintln(&b, name, err)
			continue
		}
		fmt.Fprintln(&b, name, st.Size(), st.ModTime().UnixNano(), st.Mode())
		if sys, ok := st.Sys().(*syscall.Stat_t); ok { // another file in its place
			fmt.Fprintln(&b, sys.Dev, sys.Ino, sys.Ctim)
		}
	}
	return b.String()
}

// load reads the files and says what in them cannot be used, or is less than was in force.
func (f *webFile) load(was *rules) (*rules, error) {
	st, err := f.stat(f.path)
	if err == nil && (!st.Mode().IsRegular() || st.Size() > maxWebConfig) {
		err = fmt.Errorf("it is no file of at most %d bytes", maxWebConfig)
	}
	var raw []byte
	if err == nil {
		raw, err = os.ReadFile(f.path)
	}
	if err == nil {
		err = web.Validate(f.path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use web configuration %q: %w", f.path, err)
	}
	r := &rules{}
	r.HTTPConfig.HTTP2 = true
	if err := yaml.Unmarshal(raw, &r.Config); err != nil {
		return nil, fmt.Errorf("cannot read web configuration %q: %w", f.path, err)
	}
	r.TLSConfig.SetDirectory(filepath.Dir(f.path))
	r.seen = f.describe(r) // before what it names is read: what changes later is looked at again
	if again, err := os.ReadFile(f.path); err != nil || !bytes.Equal(raw, again) {
		return nil, fmt.Errorf("web configuration %q changes while it is read", f.path)
	}
	for name, hash := range r.Users {
		if len(hash) < bcryptLength { // which bcrypt itself does not look at
			return nil, fmt.Errorf("cannot use web configuration %q: the password of %q is cut off", f.path, name)
		}
	}
	if err := f.check(&r.Config); err != nil {
		return nil, err
	}
	if was != nil {
		if err := weaker(&was.Config, &r.Config); err != nil {
			return nil, fmt.Errorf("web configuration %q %w: what was there before stays in force until a restart", f.path, err)
		}
		if age := time.Since(st.ModTime()); age >= 0 && age < standing && fewer(&was.Config, &r.Config) {
			return nil, errYoung
		}
	}
	if r.TLSConfig.IsEnabled() {
		if r.tls, err = r.door(); err != nil {
			return nil, fmt.Errorf("cannot use web configuration %q: %w", f.path, err)
		}
		if f.asks && r.tls.ClientAuth == tls.NoClientCert {
			r.tls.ClientAuth = tls.RequestClientCert
		}
	}
	return r, nil
}

// standing is how long a file stands that has fewer logins before they are gone: until then it may be one of which only a part is written.
const standing = 2 * time.Second

// errYoung is a file that may not be whole yet.
var errYoung = errors.New("the web configuration has fewer logins, and is being written perhaps")

// fewer says whether a login is there no more.
func fewer(was, is *web.Config) bool {
	for name := range was.Users {
		if _, ok := is.Users[name]; !ok {
			return true
		}
	}
	return false
}

// weaker says which rule of a configuration another one has not.
func weaker(was, is *web.Config) error {
	const verified = "RequireAndVerifyClientCert"
	switch {
	case len(was.Users) > 0 && len(is.Users) == 0:
		return errors.New("has no users any more")
	case was.TLSConfig.IsEnabled() != is.TLSConfig.IsEnabled():
		return errors.New("has TLS where it had none, or none where it had")
	case was.TLSConfig.ClientAuth == verified && is.TLSConfig.ClientAuth != verified:
		return errors.New("asks for no client certificates any more")
	case len(was.TLSConfig.ClientAllowedSans) > 0 && len(is.TLSConfig.ClientAllowedSans) == 0:
		return errors.New("lets in all client certificates")
	}
	return nil
}

// door is the TLS of connections. The certificate is read once: another one in its place is another look's.
func (r *rules) door() (*tls.Config, error) {
	out, err := web.ConfigToTLSConfig(&r.TLSConfig)
	if err != nil {
		return nil, err
	}
	if r.pair, err = out.GetCertificate(nil); err != nil {
		return nil, err
	}
	out.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return r.pair, nil }
	out.NextProtos = []string{"http/1.1"}
	if r.HTTPConfig.HTTP2 {
		out.NextProtos = []string{"h2", "http/1.1"}
	}
	return out, nil
}

// forClient is asked for each connection.
func (f *webFile) forClient(*tls.ClientHelloInfo) (*tls.Config, error) { return f.current().tls, nil }

// end is when the certificate in force ends, zero without one.
func (r *rules) end() time.Time {
	if r.tls == nil {
		return time.Time{}
	}
	return r.pair.Leaf.NotAfter
}

// before sets the headers that the file asks for on every answer, and keeps its rate of requests.
func (f *webFile) before(next http.Handler) http.Handler {
	if f == nil {
		return next
	}
	var spent bucket
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := f.current()
		if l := c.RateLimiterConfig; l.Interval > 0 && !spent.take(time.Now(), l.Interval, l.Burst) {
			WriteProblem(w, http.StatusTooManyRequests, "more requests than the web configuration allows; try again")
			return
		}
		for k, v := range c.HTTPConfig.Header {
			w.Header().Set(k, v)
		}
		next.ServeHTTP(w, r)
	})
}

// bucket lets a burst of requests through, and then one each interval.
type bucket struct {
	mu   sync.Mutex
	full time.Time // when it is empty again
}

func (b *bucket) take(now time.Time, interval time.Duration, burst int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full.Before(now) {
		b.full = now
	}
	if b.full.Sub(now) > time.Duration(burst-1)*interval {
		return false
	}
	b.full = b.full.Add(interval)
	return true
}
