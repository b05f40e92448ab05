package influx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"
)

func TestClassify(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f := func(code int, message string, want class) {
		t.Helper()
		got := classify(&influxhttp.Error{StatusCode: code, Message: message, Header: http.Header{}}, now)
		if got.class != want {
			t.Errorf("%d %q: got %v, want %v", code, message, got.class, want)
		}
	}
	f(401, "unauthorized access", unauthorized)
	f(401, "authorization failed", unauthorized)
	f(403, "insufficient permissions for write", forbidden)
	f(403, `"app" user is not authorized to write to database "plimsoll"`, forbidden)
	f(404, `database not found: "x"`, noBucket)
	f(404, `bucket "x" not found`, noBucket)
	f(404, `organization name "x" not found`, noOrg)
	f(404, "404 page not found\n", notInflux) // 1.7 and older have no such path
	f(404, "<html>nginx</html>", notInflux)
	f(405, "", notInflux)
	f(307, "", notInflux)
	f(500, `retention policy not found: nowhere`, noBucket)
	f(413, "", tooLarge)
	f(429, "", busy)
	f(500, "", busy)
	f(500, "timeout", busy)
	f(502, "", busy)
	f(503, "", busy)
	f(504, "", busy)
	f(408, "", busy)
	f(400, "hinted handoff queue not empty", busy)
	f(400, `partial write: field type conflict: input field "x" on measurement "m" is type float, already exists as type integer dropped=3`, conflict)
	f(422, `failure writing points to database: partial write: field type conflict dropped=1`, conflict)
	f(400, `partial write: max-values-per-tag limit exceeded (100000/100000): measurement="m" tag="t" value="v" dropped=2`, limited)
	f(400, `partial write: max-series-per-database limit exceeded: (5) dropped=8`, limited)
	f(422, `Update to schema would exceed number of columns per table limit of 500 columns`, limited)
	f(402, "payment required", limited)
	f(400, `org 1a2b has exceeded limited_write plan limit`, limited)
	f(429, `org 1a2b has exceeded limited_write plan limit`, busy)
	f(400, `partial write: field type conflict: input field "quota" on measurement "limit exceeded" is type float, already exists as type integer dropped=1`, conflict)
	f(400, `unable to parse 'container,namespace=quota max-series-per-database limit exceeded': missing fields`, unparsable)
	f(400, `partial write: invalid field name: input field "quota" on measurement "n" is invalid dropped=1`, conflict)
	f(400, `partial write: max key length exceeded: 70001 > 65535 dropped=1`, conflict)
	f(400, `partial write: points beyond retention policy dropped=10`, beyond)
	f(422, `failure writing points to database: partial write: dropped 10 points outside retention policy of duration 24h0m0s`, beyond)
	f(400, `unable to parse 'x': missing fields`, unparsable)
	f(400, `partial write: unable to parse 'x': missing fields dropped=0`, unparsable)
	f(400, `partial write of line protocol occurred`, conflict)
	f(400, `invalid column type for column 'a', expected iox::column_type::field::integer, got iox::column_type::field::float; parsing failed for write_lp endpoint`, unparsable)
	f(400, "database is required", refused)
	f(418, "I'm a teapot", refused)
}

func TestAnswers(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	e := &influxhttp.Error{StatusCode: 503, Header: http.Header{"Retry-After": {"Fri, 02 Jan 2026 03:05:05 GMT"}, "X-Influxdb-Error": {"timeout"}}}
	if a := classify(e, now); a.wait != time.Minute || a.message != "timeout" {
		t.Errorf("got %+v", a)
	}
	f := func(v string, want time.Duration) {
		t.Helper()
		if got := retryAfter(v, now); got != want {
			t.Errorf("Retry-After %q: got %v, want %v", v, got, want)
		}
	}
	f("", 0)
	f("7", 7*time.Second)
	f(" 1.5 ", 1500*time.Millisecond)
	f("-1", 0)
	f("NaN", 0)
	f("1e99", maxWait)
	f("99999999999999999999999", maxWait)
	f("Fri, 02 Jan 2026 03:04:35 GMT", 30*time.Second)
	f("Fri, 02 Jan 2026 03:00:00 GMT", 0)
	f("Fri, 02 Jan 2099 03:00:00 GMT", maxWait)
	f("soon", 0)
	for m, want := range map[string]int{"partial write: x dropped=3": 3, "dropped 12 points outside": 12, "nothing": -1, "dropped=99999999999999999999": -1} {
		if got := droppedIn(m); got != want {
			t.Errorf("%q: got %d, want %d", m, got, want)
		}
	}
	if a := classify(&influxhttp.Error{StatusCode: 400, Message: strings.Repeat("ü", 5000), Header: http.Header{}}, now); len(a.message) > 1100 {
		t.Errorf("a message of %d bytes", len(a.message))
	}
}

// TestExplain: real failures of real connections, told apart in words.
func TestExplain(t *testing.T) {
	f := func(url string, transport http.RoundTripper, want string) {
		t.Helper()
		c := http.Client{Transport: transport, Timeout: time.Minute}
		resp, err := c.Get(url)
		if err == nil {
			_ = resp.Body.Close()
			t.Errorf("%s answers", url)
			return
		}
		if got := explain(err); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = nil
	secure.Config.ErrorLog = discardLog()
	secure.StartTLS()
	defer secure.Close()
	f("https"+strings.TrimPrefix(plain.URL, "http"), nil, "speaks plain HTTP")
	f(secure.URL, &http.Transport{}, "not trusted")
	f("http://127.0.0.1:1", nil, "nothing listens")
	pool := secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	f(secure.URL, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "other.test"}}, "another name")
	if got := explain(&net.DNSError{Name: "nowhere.test", IsNotFound: true}); !strings.Contains(got, `"nowhere.test" is not known`) {
		t.Errorf("got %q", got)
	}
	for err, want := range map[error]class{
		fmt.Errorf("x: %w", context.DeadlineExceeded): slow,
		fmt.Errorf("x: %w", errNotInflux):             notInflux,
		fmt.Errorf("x: %w", syscall.ECONNRESET):       unreachable,
		io.ErrUnexpectedEOF:                           unreachable,
		errors.New("anything"):                        unreachable,
	} {
		if got := classify(err, time.Now()).class; got != want {
			t.Errorf("%v: got %v, want %v", err, got, want)
		}
	}
}
