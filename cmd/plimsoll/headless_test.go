package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// port is the servers'.
const port = "8082"

// headless is a collector, whose name server is the test's, and the servers that a name leads to.
type headless struct {
	*running
	dns     *nameServer
	name    string // of the servers, as the collector has it
	web     string
	http    *http.Client
	servers map[string]*running // by address
}

// sent is how many batches an address took, -1 where it is no server.
func (h *headless) sent(t *testing.T, address string) float64 {
	t.Helper()
	label := h.name
	if address != "" {
		label += " (" + address + ")"
	}
	return h.metric(t, "plimsoll_collector_live_sent_total", label)
}

// metric is one of the collector's own, of a server.
func (h *headless) metric(t *testing.T, name, server string) float64 {
	t.Helper()
	_, body := h.get(t, "/metrics")
	_, after, ok := strings.Cut(body, name+`{server="`+server+`"} `)
	if !ok {
		return -1
	}
	line, _, _ := strings.Cut(after, "\n")
	v, err := strconv.ParseFloat(line, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// taken is how many samples a server took, by its own count.
func (h *headless) taken(t *testing.T, address string) (n float64) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+":"+port+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("ann", "hunter2")
	resp, err := h.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if name, v, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.HasPrefix(name, "plimsoll_live_samples_applied_total") {
			x, _ := strconv.ParseFloat(v, 64)
			n += x
		}
	}
	return n
}

// serve starts the server at an address.
func (h *headless) serve(t *testing.T, address string) {
	t.Helper()
	h.servers[address] = startRole(t, "server", "--listen", address+":"+port, "--data", t.TempDir(), "--web.config.file", h.web)
}

// inNetwork runs a test again, in a network of its own with these addresses, a name server of its own and processes of its own, all of which
// are gone when it ends. It says whether this is that run.
func inNetwork(t *testing.T, addresses ...string) bool {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: the test makes a network with a name server")
	}
	if os.Getenv("PLIMSOLL_TEST_NETWORK") == "" {
		runtime.LockOSThread() // the child ends with it
		c := exec.Command("/proc/self/exe", "-test.run", "^"+t.Name()+"$", "-test.v")
		c.Env = append(os.Environ(), "PLIMSOLL_TEST_NETWORK=1")
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		out, err := c.CombinedOutput()
		t.Logf("%s", out)
		if err != nil {
			t.Errorf("in its network: %v", err)
		}
		return false
	}
	resolv := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(resolv, []byte("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""), syscall.Mount("proc", "/proc", "proc", 0, ""),
		syscall.Mount(resolv, "/etc/resolv.conf", "", syscall.MS_BIND, "")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(s)
	for i, a := range append([]string{"127.0.0.1"}, addresses...) {
		r, err := unix.NewIfreq([]string{"lo", fmt.Sprintf("lo:%d", i)}[min(i, 1)])
		if err != nil {
			t.Fatal(err)
		}
		up, _ := unix.NewIfreq(r.Name())
		up.SetUint16(unix.IFF_UP)
		if err := errors.Join(r.SetInet4Addr(net.ParseIP(a).To4()), unix.IoctlIfreq(s, unix.SIOCSIFADDR, r), unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, up)); err != nil {
			t.Fatalf("%s: %v", a, err)
		}
	}
	return true
}

// startHeadless starts a name server, a server at each address, and a collector of the first one's name.
func startHeadless(t *testing.T, addresses ...string) *headless {
	t.Helper()
	const host = "plimsoll.test"
	dir := t.TempDir()
	h := &headless{dns: startNameServer(t), servers: map[string]*running{}}
	cert, key := authority(t, dir, append(addresses, host)...)
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// The hash is bcrypt's of "hunter2" with cost 4.
	h.web = write("web.yaml", "tls_server_config:\n  cert_file: "+cert+"\n  key_file: "+key+"\nbasic_auth_users:\n  ann: $2b$04$ptl5S3wpm4qaS0Rcb2ZcaOnLE3A9UhxiQyPPYoeMEJn3v0Ttpr4t2\n")
	pem, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	h.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}, Timeout: time.Minute}
	for _, a := range addresses {
		h.serve(t, a)
	}
	h.name = "https://" + host + ":" + port
	h.dns.set(noError, addresses[0])
	h.running = startRole(t, "collector", "--server", h.name, "--server-ca-file", cert, "--server-token-file", write("login", "ann:hunter2\n"), "--node", "edge-1", "--queue", t.TempDir())
	t.Cleanup(func() {
		if t.Failed() {
			all, tcp := h.dns.counts()
			t.Logf("the name server answered %d, %d by TCP; the collector: %s", all, tcp, h.log())
		}
	})
	return h
}

// soon waits until something is so, and complains where it took longer than the documented five seconds, and some for a busy machine.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	began := time.Now()
	until(t, what, 0, ok)
	took := time.Since(began)
	t.Logf("%s: after %v", what, took.Round(100*time.Millisecond))
	if took > 20*time.Second {
		t.Errorf("%s: took %v", what, took)
	}
}

// A collector follows the addresses of its server's name, as a real name server tells them: one that comes gets samples within a look-up's
// time, one that goes is let alone and delays no other, and where the name server fails all stays as it was, which is counted and said.
func TestServersOfAName(t *testing.T) {
	const a, b, c = "192.0.2.2", "192.0.2.3", "192.0.2.4"
	if !inNetwork(t, a, b, c) {
		return
	}
	h := startHeadless(t, a, b, c)
	soon(t, "the only server gets samples", func() bool { return h.sent(t, "") > 2 && h.taken(t, a) > 0 })
	failures := func() float64 { return h.metric(t, "plimsoll_collector_live_lookups_failed_total", h.name) }
	if got := failures(); got != 0 {
		t.Errorf("look-ups that failed: %g", got)
	}
	health := func(parts ...string) bool {
		_, body := h.get(t, "/readyz?verbose")
		for _, p := range parts {
			if !strings.Contains(body, p) {
				return false
			}
		}
		return true
	}

	h.dns.set(noError, c, a, b, a)
	soon(t, "two that are added get samples, by their own count", func() bool { return h.taken(t, b) > 0 && h.taken(t, c) > 0 })
	if h.sent(t, "") >= 0 {
		t.Error("the name itself is still sent to")
	}

	// One hangs; the others get every second's samples.
	if err := h.servers[c].cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	was, began := h.sent(t, a)+h.sent(t, b), time.Now()
	until(t, "health tells of the one that hangs, and of no other", 0, func() bool { return health("[-]live failed", "("+c+") has not taken the live lane") })
	if health("("+a+")") || health("("+b+")") {
		t.Error("health tells of those that are well")
	}
	got, seconds := h.sent(t, a)+h.sent(t, b)-was, time.Since(began).Seconds()
	t.Logf("beside one that hangs two others took %g batches in %.1f s", got, seconds)
	if got < 1.5*seconds {
		t.Errorf("beside one that hangs two others took %g batches in %.1f s", got, seconds)
	}
	h.dns.set(noError, a, b)
	soon(t, "it is forgotten", func() bool { return h.sent(t, c) < 0 && health("[+]live ok") })
	if err := h.servers[c].cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // what is under way
	before := h.taken(t, c)

	for _, code := range []int{servFail, nxDomain, silence} {
		fails, x, y := failures(), h.sent(t, a), h.sent(t, b)
		h.dns.set(code)
		until(t, fmt.Sprintf("a look-up fails by %d, and both servers go on", code), 0, func() bool {
			return failures() > fails && h.sent(t, a) > x+4 && h.sent(t, b) > y+4 && h.sent(t, "") < 0
		})
		h.dns.set(noError, a, b)
		fails = failures()
		all, _ := h.dns.counts()
		until(t, "look-ups succeed again", 0, func() bool { now, _ := h.dns.counts(); return now >= all+2 })
		if got := failures(); got > fails+1 {
			t.Errorf("%g look-ups failed after the name server was well", got-fails)
		}
	}
	if n := strings.Count(h.log(), "cannot look the server's name up"); n != 3 {
		t.Errorf("told %d times, want once for each time that it failed: %s", n, h.log())
	}
	if after := h.taken(t, c); after != before {
		t.Errorf("one that is gone took %g samples more", after-before)
	}

	many := []string{a, b}
	for i := range 38 { // where nothing listens
		many = append(many, fmt.Sprintf("127.0.9.%d", i+1))
	}
	h.dns.set(noError, many...)
	x, y := h.sent(t, a), h.sent(t, b)
	soon(t, "forty addresses, by TCP", func() bool { _, tcp := h.dns.counts(); return tcp > 0 && h.sent(t, "127.0.9.38") == 0 })
	until(t, "the two go on", 0, func() bool { return h.sent(t, a) > x+4 && h.sent(t, b) > y+4 })

	// One is left, and is begun anew while nobody knows its name.
	h.dns.set(noError, b)
	soon(t, "one is left", func() bool { return h.sent(t, "") > 0 && h.sent(t, a) < 0 })
	h.dns.set(servFail)
	fails := failures()
	until(t, "a look-up fails", 0, func() bool { return failures() > fails })
	h.servers[b].terminate(t)
	until(t, "health tells of both", 0, func() bool {
		return health("[-]live failed", "has not taken the live lane", "name", "cannot be looked up")
	})
	h.serve(t, b)
	soon(t, "it gets samples at the address that it had", func() bool { return h.taken(t, b) > 0 })
	h.dns.set(noError, b)
	soon(t, "all is well", func() bool { return h.sent(t, "") > 0 && health("[+]live ok") })
}
