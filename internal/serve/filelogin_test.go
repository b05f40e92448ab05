package serve

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
)

// annOnly has one user, "ann"; the hash is bcrypt's of "hunter2" with cost 4.
const annOnly = "basic_auth_users:\n  ann: $2b$04$ptl5S3wpm4qaS0Rcb2ZcaOnLE3A9UhxiQyPPYoeMEJn3v0Ttpr4t2\n"

// callers serves who asked by a web configuration, and asks it with a login.
func callers(t *testing.T, config, scheme string, client *http.Client) func(user, password string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	addr, _ := running(t, Options{WebConfig: path, Routes: append(Health(nil), Route{Pattern: "/", Handle: func(w http.ResponseWriter, r *http.Request) error {
		c := CallerOf(r.Context())
		_, err := fmt.Fprintf(w, "%s %s %q", c, c.Proof, c.Groups)
		return err
	}})})
	return func(user, password string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+addr+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			r.SetBasicAuth(user, password)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return resp.Status
		}
		return body(t, resp)
	}
}

func TestFileLogin(t *testing.T) {
	f := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	plain := callers(t, annOnly, "http", http.DefaultClient)
	f("a password", plain("ann", "hunter2"), `"ann" password []`)
	f("a wrong password", plain("ann", "wrong"), "401 Unauthorized")
	f("nobody", plain("", ""), "401 Unauthorized")

	open := callers(t, "{}\n", "http", http.DefaultClient)
	f("no login", open("", ""), `a caller without a name local []`)
	f("a name that nobody checked", open("ann", "whatever"), `a caller without a name local []`)

	dir := t.TempDir()
	cert, key := selfSigned(t, dir)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	mutual := fmt.Sprintf("tls_server_config: {cert_file: %s, key_file: %s, client_auth_type: RequireAndVerifyClientCert, client_ca_file: %s}\n", cert, key, cert)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true}}}
	t.Cleanup(client.CloseIdleConnections)
	f("a certificate", callers(t, mutual, "https", client)("", ""), `"collector" certificate ["machines"]`)
	f("a certificate and a password", callers(t, mutual+annOnly, "https", client)("ann", "hunter2"), `"ann" password []`)
}

// Health asks for the file's login as every other path does.
func TestFileLoginStandsBeforeHealth(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(path, []byte(annOnly), 0o600); err != nil {
		t.Fatal(err)
	}
	addr, s := running(t, Options{WebConfig: path, Routes: Health(nil)})
	for password, want := range map[string]int{"hunter2": 200, "wrong": 401} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/livez", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("ann", password)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("/livez with %q: got %d, want %d", password, resp.StatusCode, want)
		}
	}
	if got := len(s.guard.good); got != 1 {
		t.Errorf("%d logins are known, want 1: probes are no strangers", got)
	}
}

// Where others reach the address, what nobody has checked lets nobody in.
func TestFileLoginWithoutOne(t *testing.T) {
	login := &fileLogin{}
	r := httptest.NewRequest("GET", "https://plimsoll.example/", nil)
	r.SetBasicAuth("ann", "hunter2")
	if got, err := login.Authenticate(t.Context(), r); err == nil || !strings.Contains(err.Error(), "asks for no login") {
		t.Errorf("without a file: got %v and %v, want an error", got, err)
	}
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}} // asked for and not verified
	if got, err := login.Authenticate(t.Context(), r); err == nil {
		t.Errorf("with a certificate that nobody verified: got %v", got)
	}
}

// While the server runs, a file that loses its logins, its TLS or its certificates, that is cut off anywhere, is no file any more or is gone, changes
// nothing and is told of; one that can be used is in force at once.
func TestWebConfigKeepsItsRules(t *testing.T) {
	dir := t.TempDir()
	selfSigned(t, dir)
	path := filepath.Join(dir, "web.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const door = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"
	const mutual = "tls_server_config: {cert_file: cert.pem, key_file: key.pem, client_auth_type: RequireAndVerifyClientCert, client_ca_file: cert.pem}\n"
	const bob = "  bob: $2b$04$ptl5S3wpm4qaS0Rcb2ZcaOnLE3A9UhxiQyPPYoeMEJn3v0Ttpr4t2\n"
	for _, listen := range []string{"127.0.0.1:0", "0.0.0.0:0"} {
		write(mutual + annOnly)
		o := Options{Listen: listen, WebConfig: path}
		file, err := o.openDoor()
		if err != nil {
			t.Fatal(err)
		}
		login := &fileLogin{file: file, local: listen == "127.0.0.1:0"}
		in := func(user, password string) bool {
			r := httptest.NewRequest("GET", "https://plimsoll.example/", nil)
			if user != "" {
				r.SetBasicAuth(user, password)
			}
			_, err := login.Authenticate(t.Context(), r)
			return err == nil
		}
		kept := func(what string) {
			t.Helper()
			err := file.problem(0)
			conf, _ := file.forClient(nil)
			if err == nil || !strings.Contains(err.Error(), "web.yaml") || !in("ann", "hunter2") || in("", "") || in("ann", "wrong") || in("bob", "hunter2") ||
				conf == nil || conf.ClientAuth != tls.RequireAndVerifyClientCert {
				t.Errorf("%s, on %s: %v is not told, or the rules are others", what, listen, err)
			}
		}
		whole := mutual + annOnly
		for _, text := range []string{"", "{}\n", door, mutual, annOnly, door + annOnly, "nonsense", mutual + "basic_auth_users: {}\n", mutual + "basic_auth_users:\n  ann: clear\n"} {
			write(text)
			kept(fmt.Sprintf("%q", text))
		}
		for n := range len(whole) - 1 { // the last byte is the end of the line
			write(whole[:n])
			if file.problem(0) == nil {
				t.Errorf("cut after %d bytes, %q is in force", n, whole[:n])
			}
		}
		kept("cut off")
		for _, spoil := range []func() error{func() error { return os.Remove(path) }, func() error { return os.Mkdir(path, 0o700) }, func() error { return os.Remove(path) },
			func() error { return syscall.Mkfifo(path, 0o600) }} {
			if err := spoil(); err != nil {
				t.Fatal(err)
			}
			kept("no file")
		}
		write(whole + bob)
		if err := file.problem(0); err != nil || !in("bob", "hunter2") || !in("ann", "hunter2") {
			t.Errorf("another user: %v, or one of them does not come in", err)
		}
		write(mutual + strings.ReplaceAll(annOnly, "ann", "bob"))
		if err := file.problem(0); err != nil || !in("ann", "hunter2") {
			t.Errorf("a file that has just lost a user may be half written: %v, or ann does not come in", err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-standing)); err != nil {
			t.Fatal(err)
		}
		if err := file.problem(0); err != nil || !in("bob", "hunter2") || in("ann", "hunter2") {
			t.Errorf("a user who left: %v, or still comes in", err)
		}
	}
}

func TestDoorsWithAnotherLogin(t *testing.T) {
	dir := t.TempDir()
	cert, key := selfSigned(t, dir)
	config := filepath.Join(dir, "web.yaml")
	f := func(listen, text, want string) {
		t.Helper()
		o := Options{Listen: listen, Authenticator: &reviews{}}
		if text != "" {
			o.WebConfig = config
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := o.Validate(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s with %q: got %v, want %q", listen, text, err, want)
		}
	}
	secure := "tls_server_config: {cert_file: " + cert + ", key_file: " + key + "}\n"
	f("127.0.0.1:0", "", "")
	f("0.0.0.0:0", "", "without TLS and a login")
	f("0.0.0.0:0", secure, "")
	f("0.0.0.0:0", "{}\n", "no tls_server_config")
	f("0.0.0.0:0", secure+annOnly, "logins are checked elsewhere already")
	f("127.0.0.1:0", annOnly, "logins are checked elsewhere already")
	if _, err := Handler(Options{Listen: "127.0.0.1:0", WebConfig: config}); err == nil || !strings.Contains(err.Error(), "nothing checks its logins") {
		t.Errorf("a handler with a login that nothing checks: got %v", err)
	}
}

// A mount that is dead, of which a look at a file never comes back, holds up the first who comes in for a moment, and nobody after that: the rules
// stay, and it is told. When the mount is back, what is in the files then is in force.
func TestWebConfigOnADeadMount(t *testing.T) {
	dir := t.TempDir()
	selfSigned(t, dir)
	path := filepath.Join(dir, "web.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n" + annOnly)
	synctest.Test(t, func(t *testing.T) {
		file, err := (&Options{Listen: "0.0.0.0:0", WebConfig: path}).openDoor()
		if err != nil {
			t.Fatal(err)
		}
		dead := make(chan struct{})
		file.stat = func(name string) (os.FileInfo, error) { <-dead; return os.Stat(name) }
		login := &fileLogin{file: file}
		in := func(user string) bool {
			r := httptest.NewRequest("GET", "https://plimsoll.example/", nil)
			r.SetBasicAuth(user, "hunter2")
			_, err := login.Authenticate(t.Context(), r)
			return err == nil
		}
		for n := range 100 {
			began := time.Now()
			if conf, _ := file.forClient(nil); !in("ann") || conf == nil {
				t.Error("the rules are others")
			}
			if took := time.Since(began); took > time.Second || n > 0 && took > 0 {
				t.Errorf("request %d waited %v", n, took)
			}
			time.Sleep(time.Second)
		}
		if err := file.problem(0); err == nil || !strings.Contains(err.Error(), "is its disk or mount there?") {
			t.Errorf("got %v", err)
		}
		write("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n" + strings.ReplaceAll(annOnly, "ann", "bob"))
		close(dead)
		synctest.Wait()
		if err := file.problem(0); err != nil || in("ann") || !in("bob") {
			t.Errorf("after the mount came back: %v, or other rules", err)
		}
	})
}

// A web configuration that could not be read, as the process had no descriptor free, is read at the next look, though the file has not changed since.
func TestWebConfigThatCouldNotBeRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.yaml")
	write := func(more string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(annOnly+more), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	f, err := openWebFile(file, false, func(*web.Config) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	write(strings.Replace(strings.TrimPrefix(annOnly, "basic_auth_users:\n"), "ann", "bob", 1))
	past := time.Now().Add(-time.Minute)
	if err := os.Chtimes(file, past, past); err != nil { // what has just been written is not read yet
		t.Fatal(err)
	}
	var was syscall.Rlimit
	if err := errors.Join(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was), syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Max: was.Max})); err != nil {
		t.Fatal(err)
	}
	f.look()
	told := f.err.Load()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if told == nil || *told == nil {
		t.Fatal("it was read without a descriptor")
	}
	f.look()
	if err := f.err.Load(); *err != nil || len(f.now.Load().Users) != 2 {
		t.Errorf("%v, users %v", *err, f.now.Load().Users)
	}
}
