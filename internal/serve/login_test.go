package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// reviews is a fake. It stands for an API server that is asked by TokenReview and SubjectAccessReview: real ones need a cluster, and none
// would be slow or away when a test wants it.
type reviews struct{ asked int }

func (f *reviews) Authenticate(ctx context.Context, r *http.Request) (Caller, error) {
	f.asked++
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case !ok:
		return Caller{}, fmt.Errorf("%w: no token was sent", ErrLogin)
	case token == "other":
		return Caller{}, fmt.Errorf(`%w: the token is for the audience "vault", not for "plimsoll"`, ErrLogin)
	case token == "old":
		return Caller{}, fmt.Errorf("%w: the token ended at 2026-01-01T00:00:00Z", ErrLogin)
	case token == "slow":
		<-ctx.Done()
		return Caller{Name: "slow"}, fmt.Errorf("cannot review the token: %w", ctx.Err())
	case token == "away":
		return Caller{Name: "away"}, errors.New("cannot review the token: dial 10.0.0.1:443: connection refused")
	}
	return Caller{Name: token, Groups: []string{"people"}, Proof: "token", Nodes: []string{"n1"}, Pod: "plimsoll/collector-x"}, nil
}

func (f *reviews) Authorize(ctx context.Context, c Caller, a Access) error {
	switch {
	case c.Name == "unlucky":
		return errors.New("cannot review the access: dial 10.0.0.1:443: connection refused")
	case c.Name == "patient":
		<-ctx.Done()
		return fmt.Errorf("cannot review the access: %w", ctx.Err())
	case a.Verb != "get" && !slices.Contains(c.Groups, "writers"):
		return fmt.Errorf("%w: no role of %s has the verb %q on %q", ErrDenied, c, a.Verb, a.Route)
	}
	return nil
}

// reviewed is a handler behind the fake, and what it has logged and served.
func reviewed(t *testing.T) (h http.Handler, logs *bytes.Buffer, served *[]Caller) {
	t.Helper()
	logs, served = &bytes.Buffer{}, &[]Caller{}
	o := loop(append(Health(nil), Route{Pattern: "/x/{name}", Handle: func(_ http.ResponseWriter, r *http.Request) error {
		*served = append(*served, CallerOf(r.Context()))
		return nil
	}})...)
	f := &reviews{}
	o.Authenticator, o.Authorizer, o.Logger = f, f, slog.New(slog.NewTextHandler(logs, nil))
	h, err := Handler(o)
	if err != nil {
		t.Fatal(err)
	}
	return h, logs, served
}

func asked(h http.Handler, method, path, token string) *http.Response {
	r := httptest.NewRequest(method, "http://localhost"+path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestWhoAsksAndMayThey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, logs, served := reviewed(t)
		f := func(method, path, token string, status int, want string) {
			t.Helper()
			r := asked(h, method, path, token)
			if text := body(t, r); r.StatusCode != status || !strings.Contains(text, want) || strings.Contains(text, "10.0.0.1") {
				t.Errorf("%s %s as %q: got %d %s, want %d with %q", method, path, token, r.StatusCode, text, status, want)
			}
		}
		f("GET", "/x/a", "", 401, `cannot log in: no token was sent`)
		f("GET", "/x/a", "other", 401, `not for \"plimsoll\"`)
		f("GET", "/x/a", "old", 401, `the token ended at 2026`)
		f("POST", "/x/a", "ann", 403, `\"ann\" may not post \"/x/a\": a right is missing: no role of \"ann\" has the verb \"post\" on \"/x/{name}\"`)
		f("GET", "/x/a", "away", 503, `it cannot be checked at present who you are`)
		f("GET", "/x/a", "unlucky", 503, `it cannot be checked at present what you may do`)
		for _, token := range []string{"slow", "patient"} {
			began := time.Now()
			f("GET", "/x/a", token, 503, `nobody gets in unchecked; try again`)
			if took := time.Since(began); took != askTime {
				t.Errorf("%q: answered after %v, want %v", token, took, askTime)
			}
		}
		if len(*served) != 0 {
			t.Fatalf("served to %v, want to nobody", *served)
		}
		f("HEAD", "/x/a", "ann", 200, "") // as who may get it
		*served = nil
		if got := strings.Count(logs.String(), "10.0.0.1:443: connection refused"); got != 1 || strings.Contains(logs.String(), "token ended") {
			t.Errorf("got the log\n%swant one line in a minute, of what the operator can mend", logs)
		}

		f("GET", "/x/a", "ann", 200, "")
		want := []Caller{{Name: "ann", Groups: []string{"people"}, Proof: "token", Nodes: []string{"n1"}, Pod: "plimsoll/collector-x"}}
		if diff := cmp.Diff(want, *served); diff != "" {
			t.Errorf("callers that the handler saw (-want +got):\n%s", diff)
		}

		// What there is, is not told to strangers, health is.
		f("GET", "/y", "", 401, "no token")
		f("GET", "/y", "ann", 404, "there is nothing")
		f("GET", "//x/a", "", 401, "no token")
		f("GET", "//x/a", "ann", 307, "")
		f("GET", "/livez", "", 200, "ok")
		f("GET", "/readyz/none", "away", 404, "no check")
	})
}

// A caller that goes away while it is asked about is nobody's trouble.
func TestCallerGoesAway(t *testing.T) {
	h, logs, _ := reviewed(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "GET", "http://localhost/x/a", nil)
	r.Header.Set("Authorization", "Bearer slow")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 499 || logs.Len() != 0 {
		t.Errorf("got %d and the log %q, want 499 and none", w.Code, logs)
	}
}

// The guard knows the logins that any Authenticator let in, until it lets them in no more.
func TestGuardServesEveryAuthenticator(t *testing.T) {
	f := &reviews{}
	addr, s := running(t, Options{Authenticator: f, Routes: []Route{{Pattern: "/", Handle: func(http.ResponseWriter, *http.Request) error { return nil }}}})
	ask := func(token string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if a, b, n := ask("ann"), ask("old"), len(s.guard.good); a != 200 || b != 401 || n != 1 {
		t.Errorf("got %d and %d, %d logins are known; want 200, 401 and 1", a, b, n)
	}
	for range strangers {
		s.guard.slots <- struct{}{}
	}
	before := f.asked
	if a, b := ask("ann"), ask("bob"); a != 200 || b != 429 || f.asked != before+1 {
		t.Errorf("with no place for strangers: got %d and %d, %d were asked about; want 200, 429 and 1", a, b, f.asked-before)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer old")
	s.guard.passed(r) // as if it had been let in before it ended
	if a, b := ask("old"), ask("old"); a != 401 || b != 429 {
		t.Errorf("a login that has ended: got %d and %d, want 401 and then no place", a, b)
	}
}
