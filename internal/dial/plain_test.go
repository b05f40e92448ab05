package dial

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A login leaves this machine by https alone, unless somebody has asked for plain HTTP; without a login there is none to lose, and whoever gives
// addresses is told by Check.
func TestLoginIsNotSentInClear(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "login"), "ann:secret", 1)
	f := func(address, file string, plain, sent bool) {
		t.Helper()
		was := false
		tr, err := New(Options{Flags: flags, TokenFile: file, Plain: plain, Next: next(func(r *http.Request) (*http.Response, error) {
			was = true
			return &http.Response{StatusCode: 204, Body: http.NoBody, Request: r}, nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader("body"))
		resp, err := Client(tr).Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		if was != sent || (err == nil) != sent || err != nil && (!errors.Is(err, ErrPlain) || !strings.Contains(err.Error(), "--server-plain-http") || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s with %q, plain %v: sent %v, %v", address, file, plain, was, err)
		}
	}
	f("https://10.0.0.1:8082/x", file, false, true)
	f("http://10.0.0.1:8082/x", file, false, false)
	f("http://plimsoll.example/x", file, false, false)
	f("http://127.0.0.1.example/x", file, false, false)
	f("http://127.0.0.1:8082/x", file, false, true)
	f("http://localhost:8082/x", file, false, true)
	f("http://[::1]:8082/x", file, false, true)
	f("http://10.0.0.1:8082/x", file, true, true)
	f("http://10.0.0.1:8082/x", "", false, true)
	if err := flags.Check("http://10.0.0.1", true); err != nil {
		t.Errorf("plain HTTP was asked for: %v", err)
	}
}

// pair writes a certificate and its key, signed by themselves.
func pair(t *testing.T, dir, name string, at int64) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(at), NotAfter: time.Now().Add(time.Hour), Subject: pkix.Name{CommonName: name}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert = write(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), at)
	key = write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})), at)
	return cert, key
}

// Servers that ask for a certificate are shown ours, and another one once that is in its place.
func TestOwnCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	defer server.Close()
	dir := t.TempDir()
	ca := write(t, filepath.Join(dir, "ca.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})), 1)
	cert, key := pair(t, dir, "n1", 1)
	tr, err := New(Options{Flags: flags, CAFile: ca, CertFile: cert, KeyFile: key})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.CloseIdleConnections()
	get := func() string {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		resp, err := Client(tr).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return string(text)
	}
	if got := get(); got != "n1" {
		t.Errorf("got %q", got)
	}
	pair(t, dir, "n1 anew", 2)
	if err := tr.Read(); err != nil {
		t.Fatal(err)
	}
	if got := get(); got != "n1 anew" {
		t.Errorf("after another one came: got %q", got)
	}
	for _, o := range []Options{{CertFile: cert}, {KeyFile: key}, {CertFile: key, KeyFile: cert}, {CertFile: ca, KeyFile: key}, {CertFile: cert + "x", KeyFile: key}} {
		o.Flags = flags
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), "--server-cert-file") {
			t.Errorf("%+v: got %v", o, err)
		}
	}
}
