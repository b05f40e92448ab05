package influx

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"plimsoll.dev/plimsoll/internal/dial"
)

// ConnOptions say where the server is and who we are.
type ConnOptions struct {
	// URL is the server's address, such as "http://127.0.0.1:8086". It may have a path, if a proxy wants one.
	URL string
	// Org is the organization on 2.x; not needed on 1.x and 3.
	Org string
	// Bucket is the bucket on 2.x, the database on 3, and the database or "database/policy" on 1.x.
	Bucket string
	// TokenFile holds the token, on 1.x "user:password". It is read again when it changes and when the server refuses the token. Empty: none.
	TokenFile string
	// Plain lets plain HTTP leave this machine with the token.
	Plain bool
	// Flags are how errors name where these options come from.
	Flags dial.Flags
	// Logger hears of tokens that were read again; nil: nobody does.
	Logger *slog.Logger

	transport http.RoundTripper // tests alone set it: what sends the requests; nil: new connections
}

// Validate says what in the options cannot be.
func (o *ConnOptions) Validate() error {
	u, err := url.Parse(o.URL)
	database, policy, both := strings.Cut(o.Bucket, "/")
	switch {
	case o.URL == "":
		return errors.New("no InfluxDB URL")
	case !strings.Contains(o.URL, "://"):
		return fmt.Errorf("InfluxDB URL %q: want it to begin with http:// or https://", dial.Redact(o.URL))
	case err != nil:
		return fmt.Errorf("InfluxDB URL %q: %w", dial.Redact(o.URL), dial.Unread(err))
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("InfluxDB URL %q: want it to begin with http:// or https://", dial.Redact(o.URL))
	case u.Host == "":
		return fmt.Errorf("InfluxDB URL %q has no host", dial.Redact(o.URL))
	case u.User != nil:
		return fmt.Errorf("InfluxDB URL %q holds a password: put \"user:password\" into the token file", dial.Redact(o.URL))
	case u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("InfluxDB URL %q: want nothing after the path", dial.Redact(o.URL))
	case o.Bucket == "":
		return errors.New("no InfluxDB bucket (on 1.x: database)")
	case database == "" || both && policy == "":
		return fmt.Errorf("InfluxDB bucket %q: want a bucket, on 1.x a database or database/policy", o.Bucket)
	case database == "_internal":
		return fmt.Errorf("InfluxDB bucket %q is the server's own: give another name", o.Bucket)
	}
	return nil
}

// Conn is the way to a server. It is safe for concurrent use and holds connections that are kept alive.
type Conn struct {
	opts  ConnOptions
	url   *url.URL
	http  *http.Client
	login *dial.Transport
}

// NewConn checks the options and reads the token file; it does not talk to the server.
func NewConn(o ConnOptions) (*Conn, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	u, err := url.Parse(strings.TrimRight(o.URL, "/") + "/")
	if err != nil {
		return nil, fmt.Errorf("InfluxDB URL %q: %w", dial.Redact(o.URL), dial.Unread(err))
	}
	c := &Conn{opts: o, url: u}
	c.login, err = dial.New(dial.Options{Flags: o.Flags, TokenFile: o.TokenFile, Plain: o.Plain, Authorize: authorize, Next: o.transport, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	c.http = dial.Client(&door{c})
	return c, nil
}

// URL is the server's address as it was given.
func (c *Conn) URL() string { return c.opts.URL }

// HTTP is a client that adds the token to its requests. It has no deadline over all: the caller's context has.
func (c *Conn) HTTP() *http.Client { return c.http }

// Endpoint is the address of a path of the server's API, such as "query".
func (c *Conn) Endpoint(path string, query url.Values) string {
	u := *c.url
	u.Path += path
	u.RawQuery = query.Encode()
	return u.String()
}

// ReadToken reads the token file again.
func (c *Conn) ReadToken() error { return c.login.Read() }

// authorize makes the header of a token. The scheme Token is split at spaces.
func authorize(token string) string {
	if strings.Contains(token, ":") && strings.ContainsAny(token, " \t") {
		return dial.Authorize(token)
	}
	return "Token " + token
}

// Close closes the connections that are kept alive.
func (c *Conn) Close() { c.http.CloseIdleConnections() }

// errNotInflux is an answer that no InfluxDB gives: something else listens there, and what it accepted is lost.
var errNotInflux = errors.New("the answer is not InfluxDB's")

// maxAnswer is the most that is read of an answer that tells an error.
const maxAnswer = 64 << 10

// door is the transport of all requests: it says who asks, bounds the answers that tell errors, and refuses a success that
// is not marked as InfluxDB's.
type door struct{ conn *Conn }

func (d *door) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", "plimsoll")
	resp, err := d.conn.login.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		resp.Body = &bounded{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	} else if resp.StatusCode != http.StatusNoContent && strings.HasSuffix(r.URL.Path, "/api/v2/write") && !fromInflux(resp.Header) {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%w: %s", errNotInflux, resp.Status)
	}
	return resp, nil
}

// CloseIdleConnections passes the wish on.
func (d *door) CloseIdleConnections() { d.conn.login.CloseIdleConnections() }

func fromInflux(h http.Header) bool {
	return h.Get("X-Influxdb-Version") != "" || h.Get("X-Influxdb-Build") != "" || h.Get("Cluster-Uuid") != ""
}

type bounded struct {
	io.Reader
	body io.Closer
}

func (b *bounded) Close() error { return b.body.Close() }
