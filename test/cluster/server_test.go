package cluster_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/test/cluster/product"
)

// checkout is Plimsoll of this checkout, built once.
var checkout = sync.OnceValues(func() (*product.Product, error) {
	return product.Build(context.Background(), "../..", bin, os.Stderr)
})

// plimsoll is its command.
func plimsoll() (string, error) {
	p, err := checkout()
	if err != nil {
		return "", err
	}
	return p.Binary(), nil
}

// part is a Plimsoll process in the cluster's network.
type part struct {
	*exec.Cmd
	address string       // host:port of its door
	client  *http.Client // from this process to its door
	dir     string       // its files: ca.crt for who calls it
	ended   chan error
	command []string // how it was started
}

// kill ends it at once, as a machine's failure does.
func (p *part) kill(t *testing.T) {
	t.Helper()
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	p.ended <- nil
}

// again starts a part that was killed as it was, with its files.
func (p *part) again(t *testing.T) *part {
	t.Helper()
	next := &part{dir: p.dir, address: p.address, client: p.client}
	next.launch(t, "started again", p.command...)
	return next
}

// stops has a process wait, until the test ends or it is told to go on.
func (p *part) stops(t *testing.T) (goes func()) {
	t.Helper()
	if err := p.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	goes = func() { _ = p.Process.Signal(syscall.SIGCONT) }
	t.Cleanup(goes)
	return goes
}

// server starts a Plimsoll server that belongs to the cluster, with embedded store and TLS, until the test ends.
func server(t *testing.T, port int, args ...string) *part {
	t.Helper()
	return serverOf(t, nil, port, args...)
}

// serverOf is server with the certificate of another one; nil: one of its own.
func serverOf(t *testing.T, other *part, port int, args ...string) *part {
	t.Helper()
	p := &part{dir: t.TempDir(), address: fmt.Sprint("10.99.0.1:", port)}
	if other == nil {
		certificate(t, p.dir)
	} else if err := copyFiles(other.dir, p.dir, "ca.crt", "tls.crt", "tls.key"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "web.yaml"), []byte("tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start(t, append([]string{"server", "--kubeconfig", shared.Kubeconfig(), "--lease", "kube-system/plimsoll-" + fmt.Sprint(port), "--listen", p.address, "--web.config.file", filepath.Join(p.dir, "web.yaml"),
		"--data", filepath.Join(p.dir, "data")}, args...)...)
	p.client = clientTo(t, filepath.Join(p.dir, "ca.crt"))
	until(t, "the server is not ready", func() error {
		_, err := p.get("/readyz?exclude=samples&exclude=metric-storage-ready", "")
		return err
	})
	return p
}

func copyFiles(from, to string, names ...string) error {
	for _, name := range names {
		raw, err := os.ReadFile(filepath.Join(from, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), raw, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// start runs the command until the test ends; its log is shown if the test fails.
func (p *part) start(t *testing.T, args ...string) {
	t.Helper()
	path, err := plimsoll()
	if err != nil {
		t.Fatal(err)
	}
	p.launch(t, args[0], append([]string{path}, args...)...)
}

// launch is start of a command that becomes Plimsoll in the given role.
func (p *part) launch(t *testing.T, role string, command ...string) {
	t.Helper()
	p.command = command
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.Cmd = shared.Command(context.Background(), command[0], command[1:]...)
	p.Stdout, p.Stderr, p.ended = log, log, make(chan error, 1)
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // nsenter becomes the command
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.Wait() }()
	t.Cleanup(func() {
		_ = p.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-p.ended:
			if err != nil && p.ProcessState.ExitCode() > 0 {
				t.Errorf("plimsoll %s: %v", role, err)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("plimsoll %s does not end", role)
			_ = p.Process.Kill()
		}
		if t.Failed() {
			raw, _ := os.ReadFile(log.Name())
			t.Logf("plimsoll %s said:\n%s", role, tail(string(raw), 60))
		}
	})
}

func tail(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// certificate makes ca.crt, tls.crt and tls.key for the first node's address and for Services of the name plimsoll.
func certificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "plimsoll"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.ParseIP("10.99.0.1"), net.ParseIP("127.0.0.1")}, DNSNames: []string{"localhost", "plimsoll.kube-system.svc", "plimsoll-live.kube-system.svc", "adapter.kube-system.svc"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"ca.crt": {Type: "CERTIFICATE", Bytes: der}, "tls.crt": {Type: "CERTIFICATE", Bytes: der}, "tls.key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// clientTo is a client whose connections begin in the cluster's network.
func clientTo(t *testing.T, ca string) *http.Client {
	t.Helper()
	raw, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(raw)
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: shared.Dial, TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
}

// ask sends a request with a token, "" for none, and returns the status and the body.
func (p *part) ask(method, path, token string, header http.Header, body io.Reader) (int, string, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, "https://"+p.address+path, body)
	if err != nil {
		return 0, "", err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw), err
}

// get is ask for what must be answered with 200.
func (p *part) get(path, token string) (string, error) {
	code, body, err := p.ask("GET", path, token, nil, nil)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", path, code, strings.TrimSpace(body))
	}
	return body, err
}

// read is get of JSON.
func (p *part) read(t *testing.T, path, token string, into any) {
	t.Helper()
	body, err := p.get(path, token)
	if err == nil {
		err = json.Unmarshal([]byte(body), into)
	}
	if err != nil {
		t.Fatal(err)
	}
}
