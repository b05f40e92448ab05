package dial

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
)

// lookEvery is how often the files of a login are looked at again.
const lookEvery = 5 * time.Second

// login is what the two files hold. Both are read again when they change, as tokens do that are handed out for an hour; what cannot
// be read leaves the last one in force.
type login struct {
	opts Options

	mu     sync.Mutex
	looked time.Time
	seen   string // what the files looked like when they were last read, or could not be
	auth   string
	pem    []byte      // the authority
	config *tls.Config // another one when the authority is
}

// describe tells the files apart without reading them.
func (l *login) describe() (stamp string) {
	for _, f := range []string{l.opts.CAFile, l.opts.TokenFile} {
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

// read reads the files. The caller holds the lock.
func (l *login) read() error {
	l.looked, l.seen = time.Now(), l.describe()
	config, pem, err := l.opts.tls()
	if err != nil {
		return err
	}
	auth, err := l.opts.auth()
	if err != nil {
		return err
	}
	if l.config == nil || !bytes.Equal(l.pem, pem) {
		l.config, l.pem = config, pem
	}
	l.auth = auth
	return nil
}

// current returns what a request is to be sent with.
func (l *login) current() (auth string, config *tls.Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.looked) >= lookEvery {
		l.looked = now
		if l.describe() != l.seen {
			if err := l.read(); err != nil {
				l.opts.Logger.Warn("kept the old login", "err", err)
			} else {
				l.opts.Logger.Info("read the login again")
			}
		}
	}
	return l.auth, l.config
}

// tls trusts the authority in the file, or the system's if none is named.
func (o *Options) tls() (config *tls.Config, pem []byte, err error) {
	config = &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile == "" {
		return config, nil, nil
	}
	if pem, err = os.ReadFile(o.CAFile); err != nil {
		return nil, nil, fmt.Errorf("cannot read %s: %w", o.Flags.CAFile, err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, nil, fmt.Errorf("%s %q holds no PEM certificate", o.Flags.CAFile, o.CAFile)
	}
	return config, pem, nil
}

// auth is the Authorization header for what the file holds; "" without a file.
func (o *Options) auth() (string, error) {
	if o.TokenFile == "" {
		return "", nil
	}
	raw, err := os.ReadFile(o.TokenFile)
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", o.Flags.TokenFile, err)
	}
	text := strings.TrimSpace(string(raw))
	if text == "" || strings.ContainsAny(text, "\r\n") {
		return "", fmt.Errorf("%s %q: want user:password or a token, in one line", o.Flags.TokenFile, o.TokenFile)
	}
	return o.Authorize(text), nil
}

// Authorize makes an Authorization header: of user:password the Basic one, of a token the Bearer one.
func Authorize(text string) string {
	if strings.Contains(text, ":") {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(text))
	}
	return "Bearer " + text
}
