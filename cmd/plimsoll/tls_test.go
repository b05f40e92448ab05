package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority writes a certificate for 127.0.0.1, and other hosts, that is its own authority, and its key.
func authority(t *testing.T, dir string, hosts ...string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "plimsoll"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// A collector reaches a server behind TLS and a login with --server-ca-file and --server-token-file, and with neither left out.
func TestCollectorThroughTheServersDoor(t *testing.T) {
	dir := t.TempDir()
	cert, key := authority(t, dir)
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// The hash is bcrypt's of "hunter2" with cost 4.
	web := write("web.yaml", "tls_server_config:\n  cert_file: "+cert+"\n  key_file: "+key+"\nbasic_auth_users:\n  ann: $2b$04$ptl5S3wpm4qaS0Rcb2ZcaOnLE3A9UhxiQyPPYoeMEJn3v0Ttpr4t2\n")
	login := write("login", "ann:hunter2\n")
	server := startRole(t, "server", "--data", t.TempDir(), "--web.config.file", web)
	_, port, err := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(server.url, "address "), " (scheme as in the web configuration)"))
	if err != nil {
		t.Fatalf("%q: %v", server.url, err)
	}
	url := "https://127.0.0.1:" + port
	startRole(t, "collector", "--server", url, "--server-ca-file", cert, "--server-token-file", login, "--node", "edge-1", "--queue", t.TempDir())
	top := func(args ...string) called {
		return call(t, nil, "", append([]string{"top", "nodes", "--server", url, "--timeout", "1m"}, args...)...)
	}
	until(t, "the server shows the machine", 2*time.Minute, func() bool {
		return strings.Contains(top("--server-ca-file", cert, "--server-token-file", login).out, "edge-1")
	})
	if got := top("--server-token-file", login); got.code != exitFailed || !strings.Contains(got.err, "certificate") {
		t.Errorf("without the authority: exit %d, %q; want 1 and a word about the certificate", got.code, got.err)
	}
	if got := top("--server-ca-file", cert); got.code != exitFailed || !strings.Contains(got.err, "401") {
		t.Errorf("without a login: exit %d, %q; want 1 and 401", got.code, got.err)
	}
	stranger := startRole(t, "collector", "--server", url, "--server-ca-file", cert, "--server-token-file", write("wrong", "ann:wrong\n"), "--node", "edge-2", "--queue", t.TempDir())
	until(t, "the stranger's health tells of the refusal", 2*time.Minute, func() bool {
		_, body := stranger.get(t, "/readyz?verbose")
		return strings.Contains(body, "[-]live failed") && strings.Contains(body, "401")
	})
	if got := top("--server-ca-file", cert, "--server-token-file", login); strings.Contains(got.out, "edge-2") {
		t.Errorf("the server took what a stranger sent: %s", got.out)
	}
}
