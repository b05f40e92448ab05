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
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"plimsoll.dev/plimsoll/internal/disk"
)

// lookEvery is how often the files of a login are looked at again.
const lookEvery = 5 * time.Second

// login is what the files hold. All are read again when they change, as tokens do that are handed out for an hour; what cannot
// be read leaves the last one in force.
type login struct {
	opts Options

	at, asked disk.Look // now and then, and when somebody asks for it: a mount may be dead, and no request waits for that

	reading sync.Mutex // one reads at a time
	seen    string     // what the files looked like when they were last read; "" where they could not be: they may well be at the next look, as they are
	told    string     // why they could not be, in the log

	mu     sync.Mutex
	err    error // of the last read that was asked for
	auth   string
	pem    []byte      // the authority, and our own certificate
	config *tls.Config // another one when they are
}

// describe tells the files apart without reading them.
func (l *login) describe() (stamp string) {
	for _, f := range []string{l.opts.CAFile, l.opts.TokenFile, l.opts.CertFile, l.opts.KeyFile} {
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

// read reads the files; unless always, only when they look other than they did.
func (l *login) read(always bool) (did bool, err error) {
	l.reading.Lock()
	defer l.reading.Unlock()
	is := l.describe()
	if is == l.seen && !always {
		return false, nil
	}
	l.seen = "" // until they are read
	config, pem, err := l.opts.tls()
	if err != nil {
		return true, err
	}
	auth, err := l.opts.auth()
	if err != nil {
		return true, err
	}
	l.seen = is
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.config == nil || !bytes.Equal(l.pem, pem) {
		l.config, l.pem = config, pem
	}
	l.auth = auth
	return true, nil
}

// current returns what a request is to be sent with.
func (l *login) current() (auth string, config *tls.Config) {
	l.at.At(lookEvery, func() {
		switch did, err := l.read(false); {
		case err == nil && did:
			l.told = ""
			l.opts.Logger.Info("read the login again")
		case err != nil && l.told != err.Error():
			l.told = err.Error()
			l.opts.Logger.Warn("kept the old login", "err", err)
		}
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.auth, l.config
}

// tls trusts the authority in the file, or the system's if none is named, and shows the certificate if there is one. pem is what the files hold.
func (o *Options) tls() (config *tls.Config, pem []byte, err error) {
	config = &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		if pem, err = disk.ReadGiven(o.CAFile); err != nil {
			return nil, nil, fmt.Errorf("cannot read %s: %w", o.Flags.CAFile, err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, nil, fmt.Errorf("%s %q holds no PEM certificate", o.Flags.CAFile, o.CAFile)
		}
	}
	cert, key := o.Flags.Other("cert-file"), o.Flags.Other("key-file")
	switch {
	case o.CertFile == "" && o.KeyFile == "":
		return config, pem, nil
	case o.CertFile == "" || o.KeyFile == "":
		return nil, nil, fmt.Errorf("%s and %s go together: give both", cert, key)
	}
	own, err := disk.ReadGiven(o.CertFile)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read %s: %w", cert, err)
	}
	secret, err := disk.ReadGiven(o.KeyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read %s: %w", key, err)
	}
	pair, err := tls.X509KeyPair(own, secret)
	if err != nil {
		return nil, nil, fmt.Errorf("%s %q and %s %q are no certificate with its key: %w", cert, o.CertFile, key, o.KeyFile, err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, slices.Concat(pem, own, secret), nil
}

// auth is the Authorization header for what the file holds; "" without a file.
func (o *Options) auth() (string, error) {
	if o.TokenFile == "" {
		return "", nil
	}
	raw, err := disk.ReadGiven(o.TokenFile)
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", o.Flags.TokenFile, err)
	}
	text := strings.TrimSpace(string(raw))
	if text == "" || strings.ContainsFunc(text, unicode.IsControl) {
		return "", fmt.Errorf("%s %q: want user:password or a token, in one line and without control characters", o.Flags.TokenFile, o.TokenFile)
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
