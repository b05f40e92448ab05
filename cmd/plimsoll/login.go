package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"
)

// lookEvery is how often the files of a login are looked at again.
const lookEvery = 5 * time.Second

// login carries requests with the certificate authority and the token of two files. Both are read again when they change, as
// tokens do that are handed out for an hour; what cannot be read leaves the last one in force.
type login struct {
	caFile, tokenFile string
	idle              int
	every             time.Duration // how often the files are looked at
	log               *slog.Logger

	mu     sync.Mutex
	looked time.Time
	stamp  string // what the files looked like when they were read
	tried  string
	auth   string
	next   *http.Transport
}

// newLogin reads the files.
func newLogin(caFile, tokenFile string, idle int, log *slog.Logger) (*login, error) {
	l := &login{caFile: caFile, tokenFile: tokenFile, idle: idle, every: lookEvery, log: log}
	l.looked, l.stamp = time.Now(), l.look()
	l.tried = l.stamp
	return l, l.read()
}

// look describes the files without reading them.
func (l *login) look() (stamp string) {
	for _, f := range []string{l.caFile, l.tokenFile} {
		if f == "" {
			continue
		}
		if st, err := os.Stat(f); err == nil {
			stamp += fmt.Sprintf("%s %d %d\n", f, st.Size(), st.ModTime().UnixNano())
		} else if !errors.Is(err, fs.ErrNotExist) {
			stamp += f + " " + err.Error() + "\n"
		}
	}
	return stamp
}

func (l *login) read() error {
	config, err := clientTLS(l.caFile)
	if err != nil {
		return err
	}
	auth, err := readAuth(l.tokenFile)
	if err != nil {
		return err
	}
	old := l.next
	l.auth = auth
	l.next = &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 5 * time.Second, MaxIdleConnsPerHost: l.idle,
		IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: true}
	if old != nil {
		old.CloseIdleConnections()
	}
	return nil
}

// current returns what a request is to be sent with.
func (l *login) current() (auth string, next *http.Transport) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.looked) >= l.every {
		l.looked = now
		if stamp := l.look(); stamp != l.stamp && stamp != l.tried {
			l.tried = stamp
			if err := l.read(); err != nil {
				l.log.Warn("kept the old login", "err", err)
			} else {
				l.stamp = stamp
				l.log.Info("read the login again")
			}
		}
	}
	return l.auth, l.next
}

// RoundTrip sends a request.
func (l *login) RoundTrip(r *http.Request) (*http.Response, error) {
	auth, next := l.current()
	if auth != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", auth)
	}
	return next.RoundTrip(r)
}

// CloseIdleConnections passes the wish on.
func (l *login) CloseIdleConnections() {
	_, next := l.current()
	next.CloseIdleConnections()
}

// noRedirects keeps a login from going where nobody sent it.
func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
