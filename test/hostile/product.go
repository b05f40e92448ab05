package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// own is the name that the attacked machine gives itself.
const own = "attacked"

// users are those with a login; the password is the name twice. One of them is hostile, and may send for every node.
var users = []string{"honest", "reader", "insider"}

// product is the Plimsoll that is attacked.
type product struct {
	program, dir string
	verbose      bool
	roots        *x509.CertPool
	cmd          *exec.Cmd
	ended        chan error
	addr         string // where it listens

	mu      sync.Mutex
	clients map[string]*http.Client // of attackers, by address
}

// prepare writes the files of one Plimsoll: logins, a certificate, who may send for what.
func prepare(program string, verbose bool) (p *product, err error) {
	p = &product{verbose: verbose, roots: x509.NewCertPool()}
	if p.program, err = filepath.Abs(program); err != nil {
		return nil, err
	}
	if p.dir, err = os.MkdirTemp("", "hostile"); err != nil {
		return nil, err
	}
	var web strings.Builder
	web.WriteString("tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\nbasic_auth_users:\n")
	for _, u := range users {
		hash, err := bcrypt.GenerateFromPassword([]byte(u+u), bcrypt.DefaultCost)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&web, "  %s: %s\n", u, hash)
	}
	cert, key, err := certificate()
	if err != nil {
		return nil, err
	}
	p.roots.AppendCertsFromPEM(cert)
	for name, text := range map[string][]byte{"web.yaml": []byte(web.String()), "cert.pem": cert, "key.pem": key,
		"senders.yaml": []byte("honest: [honest]\nreader: []\ninsider: ['*']\n")} {
		if err := os.WriteFile(filepath.Join(p.dir, name), text, 0o600); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func certificate() (cert, key []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: own}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		return nil, nil, err
	}
	raw, err := x509.MarshalECPrivateKey(k)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}), err
}

var listening = regexp.MustCompile(`address (127\.0\.0\.1:\d+)`)

// start starts it as a user would: no limit of memory is given to it. It ends when this process does, however that ends.
func (p *product) start(ctx context.Context) error {
	p.cmd = exec.Command(p.program, "run", "--demo", "--receive", "--listen=127.0.0.1:0", "--node="+own, "--data="+filepath.Join(p.dir, "data"),
		"--web.config.file="+filepath.Join(p.dir, "web.yaml"), "--senders="+filepath.Join(p.dir, "senders.yaml"))
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GOMEMLIMIT=") && !strings.HasPrefix(v, "GOGC=") && !strings.HasPrefix(v, "PLIMSOLL_") {
			p.cmd.Env = append(p.cmd.Env, v)
		}
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := p.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	at := make(chan string, 1)
	var last string
	p.ended = make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(said)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			last = lines.Text()
			if p.verbose {
				fmt.Fprintln(os.Stderr, last)
			}
			if m := listening.FindStringSubmatch(last); m != nil {
				select {
				case at <- m[1]:
				default:
				}
			}
		}
		_, _ = io.Copy(io.Discard, said) // a line that is too long
		p.ended <- errors.Join(p.cmd.Wait(), lines.Err())
	}()
	select {
	case p.addr = <-at:
	case err := <-p.ended:
		return fmt.Errorf("it ended: %w: %s", err, last)
	case <-time.After(time.Minute):
		p.kill()
		return errors.New("it did not listen within a minute")
	case <-ctx.Done():
		p.kill()
		return ctx.Err()
	}
	return nil
}

// kill ends it as nothing that it could notice.
func (p *product) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// end asks it to end.
func (p *product) end() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.ended:
		return err
	case <-time.After(30 * time.Second):
		p.kill()
		return errors.New("it did not end within 30 s of SIGTERM")
	}
}

func (p *product) clean() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill() // it may be gone
	}
	_ = os.RemoveAll(p.dir)
}

// client asks from an address of this machine, as a login; without one where that is empty.
func (p *product) client(from string, timeout time.Duration) *http.Client {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: timeout}
	return &http.Client{Timeout: timeout, Transport: &http.Transport{DialContext: d.DialContext, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4,
		TLSClientConfig: &tls.Config{RootCAs: p.roots}}}
}

// kept is a client that attackers share: a handshake costs the attacked as much as the attacker.
func (p *product) kept(from string) *http.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.clients == nil {
		p.clients = map[string]*http.Client{}
	}
	if p.clients[from] == nil {
		p.clients[from] = p.client(from, time.Minute)
	}
	return p.clients[from]
}

func (p *product) request(ctx context.Context, method, path, user string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, "https://"+p.addr+path, body)
	if err == nil && user != "" {
		r.SetBasicAuth(user, user+user)
	}
	return r, err
}

// ask reads JSON as the reader.
func (p *product) ask(ctx context.Context, path string, into any) error {
	r, err := p.request(ctx, http.MethodGet, path, "reader", nil)
	if err != nil {
		return err
	}
	c := p.client(fromReader, 30*time.Second)
	defer c.CloseIdleConnections()
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if text, ok := into.(*string); ok {
		raw, err := io.ReadAll(resp.Body)
		*text = string(raw)
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
