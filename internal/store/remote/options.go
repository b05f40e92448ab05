package remote

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"plimsoll.dev/plimsoll/internal/dial"
)

// EndpointOptions say where an engine is and who we are.
type EndpointOptions struct {
	// WriteURL takes remote write: "http://127.0.0.1:9090/api/v1/write".
	WriteURL string
	// QueryURL is what "/api/v1/query" is appended to. Empty: made of WriteURL, see QueryURL.
	QueryURL string
	// Headers are added to every request, such as X-Scope-OrgID.
	Headers http.Header
	// Transport sends the requests; nil: one without a login.
	Transport http.RoundTripper
}

// Validate says what in the options cannot be.
func (o *EndpointOptions) Validate() error {
	if o.WriteURL == "" && o.QueryURL == "" {
		return errors.New("no remote write URL")
	}
	for _, s := range []string{o.WriteURL, o.QueryURL} {
		u, err := url.Parse(s)
		switch {
		case s == "":
		case err != nil:
			return fmt.Errorf("remote URL %q: %w", dial.Redact(s), dial.Unread(err))
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			return fmt.Errorf("remote URL %q: want it to begin with http:// or https:// and a host", dial.Redact(s))
		}
	}
	return nil
}

// QueryURL is where an engine answers PromQL whose remote write is at a URL: the same server, at the path that its kind has
// (Mimir's "/api/v1/push" goes with "/prometheus").
func QueryURL(write string) string {
	u, err := url.Parse(write)
	if err != nil {
		return ""
	}
	path := strings.TrimSuffix(u.Path, "/")
	if p, ok := strings.CutSuffix(path, "/api/v1/push"); ok {
		path = p + "/prometheus"
	} else {
		path = strings.TrimSuffix(path, "/api/v1/write")
	}
	u.Path, u.RawQuery, u.Fragment = path, "", ""
	return u.String()
}

// client is an http.Client whose requests have the headers. Deadlines are the callers'.
func (o *EndpointOptions) client() *http.Client {
	next := o.Transport
	if next == nil {
		next = dial.Plain()
	}
	return dial.Client(&door{*o, next})
}

// door adds what every request has.
type door struct {
	opts EndpointOptions
	next http.RoundTripper
}

// RoundTrip sends a request.
func (d *door) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for k, vs := range d.opts.Headers {
		r.Header[http.CanonicalHeaderKey(k)] = vs
	}
	r.Header.Set("User-Agent", "plimsoll")
	return d.next.RoundTrip(r)
}

// CloseIdleConnections passes the wish on.
func (d *door) CloseIdleConnections() {
	if t, ok := d.next.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}
