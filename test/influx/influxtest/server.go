// Package influxtest starts real InfluxDB servers for tests: 1.8.3 and 2.7.12, built from their Go modules, each in a
// temporary folder and on a free port of 127.0.0.1, ended with the test.
package influxtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/store/influx"
)

// Server is a running server.
type Server struct {
	URL   string
	Major int
	// Org and Bucket exist on 2.x, made at the server's own set-up. On 1.x no database exists.
	Org, Bucket string
	// Token is the operator's on 2.x, "user:password" of the administrator on 1.x with Auth, else empty.
	Token string
	// Dir holds the data and the log.
	Dir string

	t    testing.TB
	bin  string
	args []string
	env  []string
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
}

// Options change how a server is started.
type Options struct {
	// Auth makes 1.8 ask for a user. 2.x always asks for a token.
	Auth bool
	// Env is added to the environment: INFLUXDB_DATA_CACHE_MAX_MEMORY_SIZE=... on 1.8, INFLUXD_... on 2.x.
	Env []string
}

// Start18 starts InfluxDB 1.8.3. It builds the server if that was not done yet (90 s cold, pure Go).
func Start18(t testing.TB, o ...Options) *Server {
	t.Helper()
	bin := binary("influxd-1.8.3")
	if _, err := os.Stat(bin); err != nil {
		build(t, "1.8")
	}
	opt := first(o)
	s := &Server{t: t, Major: 1, bin: bin, Dir: t.TempDir()}
	s.start(func(port int) {
		s.URL = fmt.Sprintf("http://127.0.0.1:%d", port)
		s.env = append([]string{
			"INFLUXDB_META_DIR=" + s.Dir + "/meta", "INFLUXDB_DATA_DIR=" + s.Dir + "/data", "INFLUXDB_DATA_WAL_DIR=" + s.Dir + "/wal",
			fmt.Sprintf("INFLUXDB_HTTP_BIND_ADDRESS=127.0.0.1:%d", port), fmt.Sprintf("INFLUXDB_BIND_ADDRESS=127.0.0.1:%d", freePort(t)),
			"INFLUXDB_REPORTING_DISABLED=true", "INFLUXDB_MONITOR_STORE_ENABLED=false", "INFLUXDB_HTTP_LOG_ENABLED=false",
			fmt.Sprintf("INFLUXDB_HTTP_AUTH_ENABLED=%v", opt.Auth), "INFLUXDB_CONTINUOUS_QUERIES_RUN_INTERVAL=1s", "HOME=" + s.Dir}, opt.Env...)
	})
	if opt.Auth {
		s.Query("", `CREATE USER root WITH PASSWORD 'secret' WITH ALL PRIVILEGES`)
		s.Token = "root:secret"
	}
	return s
}

// Start2 starts InfluxDB 2.7.12 and sets it up with an organization, a bucket and an operator token. Without the server's
// binary the test is skipped: "make test-influx2" builds it (about 4 minutes cold, with cargo).
func Start2(t testing.TB, o ...Options) *Server {
	t.Helper()
	bin := binary("influxd-2.7.12")
	if _, err := os.Stat(bin); err != nil {
		t.Skip("needs InfluxDB 2.7.12: \"make test-influx2\" builds it and runs this test")
	}
	s := &Server{t: t, Major: 2, bin: bin, Dir: t.TempDir(), Org: "harbour", Bucket: "plimsoll"}
	s.start(func(port int) {
		s.URL = fmt.Sprintf("http://127.0.0.1:%d", port)
		s.args = []string{"--bolt-path", s.Dir + "/b.bolt", "--engine-path", s.Dir + "/engine", "--sqlite-path", s.Dir + "/s.sqlite",
			"--http-bind-address", fmt.Sprintf("127.0.0.1:%d", port), "--reporting-disabled"}
		s.env = append([]string{"HOME=" + s.Dir}, first(o).Env...)
	})
	s.setUp()
	return s
}

func first(o []Options) Options {
	if len(o) == 0 {
		return Options{}
	}
	return o[0]
}

// binary is where build.sh puts a server.
func binary(name string) string { return filepath.Join(root(), ".cache", "influx", name) }

func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

func build(t testing.TB, version string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(root(), "test", "influx", "build.sh"), version)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build InfluxDB %s: %v\n%s", version, err, out)
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// start starts the server on a free port, on another one if that was taken meanwhile.
func (s *Server) start(on func(port int)) {
	s.t.Helper()
	s.t.Cleanup(s.Kill)
	for try := 0; ; try++ {
		on(freePort(s.t))
		err := s.run()
		if err == nil {
			return
		}
		if try == 2 {
			s.t.Fatalf("cannot start InfluxDB: %v\n%s", err, s.Log())
		}
	}
}

// run starts the process and waits until it answers.
func (s *Server) run() error {
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	s.cmd = exec.CommandContext(context.Background(), s.bin, s.args...) // ended by Kill, at the test's clean-up
	s.cmd.Env = append(append([]string{}, s.env...), "PATH="+os.Getenv("PATH"))
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.Dir, log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait()
		close(done)
	}(s.cmd, s.done)
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); {
		select {
		case <-s.done:
			return errors.New("the server ended")
		case <-time.After(50 * time.Millisecond):
		}
		if s.ready() {
			return nil
		}
	}
	s.Kill()
	return errors.New("the server did not answer within three minutes")
}

func (s *Server) ready() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	path := "/ping"
	if s.Major == 2 {
		path = "/health" // fails until the storage is open
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode < 300
}

func (s *Server) logFile() string { return filepath.Join(s.Dir, "server.log") }

// Log returns the end of the server's log.
func (s *Server) Log() string {
	b, _ := os.ReadFile(s.logFile())
	return string(b[max(0, len(b)-4000):])
}

// Kill ends the server at once, as kill -9 does. Start starts it again.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Stop ends the server in an orderly way. Start starts it again.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

func (s *Server) end(sig syscall.Signal) {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	select {
	case <-s.done:
		return
	default:
	}
	_ = s.cmd.Process.Signal(sig)
	select {
	case <-s.done:
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}

// Pause and Resume stop and continue the process, so that it listens but does not answer.
func (s *Server) Pause()  { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }
func (s *Server) Resume() { _ = s.cmd.Process.Signal(syscall.SIGCONT) } // see Pause

// Start starts a server again that was ended, with its data and on its port.
func (s *Server) Start() {
	s.t.Helper()
	var err error
	for range 20 {
		if err = s.run(); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.t.Fatalf("cannot start InfluxDB again: %v\n%s", err, s.Log())
}

// Again restarts a server in an orderly way with more in its environment, as after a change of its configuration.
func (s *Server) Again(env ...string) {
	s.t.Helper()
	s.Stop()
	s.env = append(s.env, env...)
	s.Start()
}

// setUp makes the first user, organization and bucket of 2.x.
func (s *Server) setUp() {
	s.t.Helper()
	var a struct{ Auth struct{ Token string } }
	s.JSON(http.MethodPost, "/api/v2/setup", map[string]any{"username": "root", "password": "secret-secret", "org": s.Org, "bucket": s.Bucket}, &a)
	s.Token = a.Auth.Token
	if s.Token == "" {
		s.t.Fatal("the set-up of InfluxDB gave no token")
	}
}

// JSON sends a request with the server's token; body and answer may be nil. An error of the server fails the test.
func (s *Server) JSON(method, path string, body, answer any) {
	s.t.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		in = strings.NewReader(string(b))
	}
	b := s.do(method, path, "application/json", in)
	if answer == nil {
		return
	}
	if err := json.Unmarshal(b, answer); err != nil {
		s.t.Fatalf("%s %s: %v in %s", method, path, err, b)
	}
}

func (s *Server) do(method, path, kind string, in io.Reader) []byte {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.URL+path, in)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	if s.Token != "" {
		r.Header.Set("Authorization", "Token "+s.Token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %s, %v: %s", method, path, resp.Status, err, b)
	}
	return b
}

// Series is one series of an InfluxQL answer, with times in milliseconds.
type Series struct {
	Name    string
	Tags    map[string]string
	Columns []string
	Values  [][]any
}

// Query runs InfluxQL and fails the test on an error.
func (s *Server) Query(db, q string) []Series {
	s.t.Helper()
	v := url.Values{"q": {q}, "epoch": {"ms"}}
	if db != "" {
		v.Set("db", db)
	}
	b := s.do(http.MethodPost, "/query", "application/x-www-form-urlencoded", strings.NewReader(v.Encode()))
	var a struct {
		Results []struct {
			Series []Series
			Error  string
		}
	}
	if err := json.Unmarshal(b, &a); err != nil {
		s.t.Fatalf("%s: %v in %s", q, err, b)
	}
	if len(a.Results) == 0 {
		return nil
	}
	if a.Results[0].Error != "" {
		s.t.Fatalf("%s: %s", q, a.Results[0].Error)
	}
	return a.Results[0].Series
}

// Conn returns a connection to a bucket (on 1.x a database, "" for s.Bucket) with the server's token.
func (s *Server) Conn(bucket string) *influx.Conn {
	s.t.Helper()
	return s.ConnAs(bucket, s.Token)
}

// ConnAs returns a connection with another token; "" is none.
func (s *Server) ConnAs(bucket, token string) *influx.Conn {
	s.t.Helper()
	if bucket == "" {
		bucket = s.Bucket
	}
	o := influx.ConnOptions{URL: s.URL, Org: s.Org, Bucket: bucket}
	if token != "" {
		o.TokenFile = s.TokenFile(token)
	}
	c, err := influx.NewConn(o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c
}

// TokenFile writes a token into a file of its own and returns the path.
func (s *Server) TokenFile(token string) string {
	s.t.Helper()
	f, err := os.CreateTemp(s.t.TempDir(), "token")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString(token + "\n"); err != nil {
		s.t.Fatal(err)
	}
	return f.Name()
}

// SetUp sets the server up for a bucket (on 1.x a database) as "plimsoll influx setup" does.
func (s *Server) SetUp(bucket string, retention time.Duration) *influx.Plan {
	s.t.Helper()
	set, err := influx.NewSetup(influx.SetupOptions{Conn: s.Conn(bucket), Retention: retention, ChangeRetention: true, Force: true})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	p, _, err := set.Apply(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}
