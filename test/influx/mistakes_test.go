package influx_test

import (
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll.dev/plimsoll/internal/store/influx"
	"plimsoll.dev/plimsoll/test/influx/influxtest"
)

// setupSays runs "plimsoll influx setup" and wants an exit code and words in what it says.
func setupSays(t *testing.T, args []string, code int, words ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), product(t), append([]string{"influx", "setup"}, args...)...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("%q: exit code %d, want %d", args, got, code)
	}
	for _, w := range words {
		if !strings.Contains(string(out), w) {
			t.Errorf("%q: want %q in:\n%s", args, w, out)
		}
	}
}

// TestMistakes: each mistake in what "plimsoll influx setup" is told is said apart, with what helps, and nothing is made.
func TestMistakes(t *testing.T) {
	t.Run("1.8", func(t *testing.T) {
		s := influxtest.Start18(t, influxtest.Options{Auth: true})
		s.Query("", `CREATE USER app WITH PASSWORD 'x'`)
		f := func(at, bucket, token string, code int, words ...string) {
			t.Helper()
			args := []string{"--influx-url", at, "--influx-bucket", bucket}
			if token != "" {
				args = append(args, "--influx-token-file", s.TokenFile(token))
			}
			setupSays(t, args, code, words...)
		}
		f("http://127.0.0.1:1", "b", "", 1, `"http://127.0.0.1:1"`, "nothing listens there")
		f(strings.TrimPrefix(s.URL, "http://"), "b", "", 2, "want it to begin with http://")
		f(strings.Replace(s.URL, "http://", "https://", 1), "b", "", 1, "should begin with http://")
		f(s.URL+"/nothing", "b", "", 1, "not an InfluxDB", "/nothing")
		f(s.URL, "b", "", 1, "does not accept the token", "no token file is given")
		f(s.URL, "b", "root:wrong", 1, "does not accept the token", "user:password")
		f(s.URL, "b", "app:x", 1, "the token lacks a right", "further steps for the same reason")
		f(s.URL, "_internal", s.Token, 2, "the server's own")
		f(s.URL, "b/", s.Token, 2, "database/policy")
		for _, series := range s.Query("", "SHOW DATABASES") {
			for _, row := range series.Values {
				if row[0] != "_internal" {
					t.Errorf("database %q was made", row[0])
				}
			}
		}
	})
	t.Run("2.7", func(t *testing.T) {
		s := influxtest.Start2(t)
		f := func(org, bucket, token string, words ...string) {
			t.Helper()
			args := []string{"--influx-url", s.URL, "--influx-org", org, "--influx-bucket", bucket}
			if token != "" {
				args = append(args, "--influx-token-file", s.TokenFile(token))
			}
			setupSays(t, args, 1, words...)
		}
		_, made, err := newSetup(t, influx.SetupOptions{Conn: s.Conn("plimsoll"), Tokens: true}).Apply(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f(s.Org, "b", "", "does not accept the token", "no token file is given")
		f(s.Org, "b", "nonsense", "does not accept the token", "it is from file")
		f("nobody", "b", s.Token, `organization "nobody"`)
		f(s.Org, "a/b", s.Token, `"a/b"`, "InfluxQL cannot read it")
		f(s.Org, "_b", s.Token, `"_b"`, "at the beginning")
		f(s.Org, "b", made.Tokens[0].Value, "the token may not see it")
		var orgs struct{ Orgs []struct{ ID string } }
		s.JSON("GET", "/api/v2/orgs?org="+s.Org, nil, &orgs)
		var poor struct{ Token string }
		s.JSON("POST", "/api/v2/authorizations", map[string]any{"orgID": orgs.Orgs[0].ID, "permissions": []any{
			map[string]any{"action": "read", "resource": map[string]any{"type": "orgs", "id": orgs.Orgs[0].ID}}}}, &poor)
		f(s.Org, "b", poor.Token, "the token lacks a right")
		var have struct{ Buckets []struct{ Name string } }
		s.JSON("GET", "/api/v2/buckets?limit=100", nil, &have)
		for _, b := range have.Buckets {
			if !strings.HasPrefix(b.Name, "plimsoll") && b.Name[0] != '_' {
				t.Errorf("bucket %q was made", b.Name)
			}
		}
	})
	t.Run("TLS", func(t *testing.T) {
		to, err := url.Parse(influxtest.Start18(t).URL)
		if err != nil {
			t.Fatal(err)
		}
		proxy := httputil.NewSingleHostReverseProxy(to)
		proxy.Transport = &http.Transport{} // tests that run beside this one close the idle connections of the default one
		s := httptest.NewUnstartedServer(whole(proxy))
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		defer s.Close()
		setupSays(t, []string{"--influx-url", s.URL}, 1, "signed by an authority that is not trusted here", "SSL_CERT_FILE")
		file := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("SSL_CERT_FILE", file)
		setupSays(t, []string{"--influx-url", s.URL}, 0, `database "plimsoll"`)
	})
}

// TestTokenMended: a collector that was started with a wrong token goes on when the file has the right one: the database is set up, and
// what was queued meanwhile arrives.
func TestTokenMended(t *testing.T) {
	t.Parallel() // it mostly waits
	both(t, func(t *testing.T, s *influxtest.Server) {
		if s.Major == 1 {
			s = influxtest.Start18(t, influxtest.Options{Auth: true})
		}
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte("root:wrong"), 0o600); err != nil {
			t.Fatal(err)
		}
		p := start(t, "collector", "--influx-url", s.URL, "--influx-org", s.Org, "--influx-bucket", "mended", "--influx-token-file", file, "--node", "n",
			"--queue", t.TempDir(), "--listen", "127.0.0.1:0", "--interval", "1s")
		p.until("the writer was refused", func() error {
			if !strings.Contains(p.said(), "reason=Unauthorized") && !strings.Contains(p.said(), `"reason":"Unauthorized"`) {
				return errors.New("not yet")
			}
			return nil
		})
		if err := os.WriteFile(file, []byte(s.Token), 0o600); err != nil {
			t.Fatal(err)
		}
		conn := s.Conn("mended")
		set := newSetup(t, influx.SetupOptions{Conn: conn})
		p.until("the database is set up", func() error {
			plan, err := set.Plan(t.Context())
			if err == nil && len(plan.Pending()) > 0 {
				err = errors.New(tell(plan))
			}
			return err
		})
		p.until("points arrive", func() error {
			if got := s.Query("mended", `SELECT memory_working_set_bytes FROM node`); len(got) == 0 {
				return errors.New("none")
			}
			return nil
		})
	})
}
