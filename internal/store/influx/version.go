package influx

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"
)

// Version is what a server says of itself.
type Version struct {
	Major int    // 1, 2 or 3
	Text  string // "1.8.3", "v2.7.12"; what a build from the modules says may be no number
}

func (v Version) String() string { return fmt.Sprintf("InfluxDB %d (%s)", v.Major, v.Text) }

var majorNumber = regexp.MustCompile(`^v?([123])\.`)

// Detect asks the server for its version: by the headers of /ping, and where they have no number (a build from the modules)
// by the paths that only one generation has.
func (c *Conn) Detect(ctx context.Context) (Version, error) {
	var body struct{ Version string }
	header, err := c.ping(ctx, &body)
	if statusOf(err) == http.StatusNotFound {
		return Version{}, fmt.Errorf("the server at %q: %w: it has no /ping below that address", c.opts.URL, ErrNotInflux)
	}
	if err != nil {
		return Version{}, fmt.Errorf("cannot find out the version of InfluxDB: %w", err)
	}
	text := header.Get("X-Influxdb-Version")
	if text == "" {
		text = body.Version
	}
	if m := majorNumber.FindStringSubmatch(text); m != nil {
		major, _ := strconv.Atoi(m[1])
		return Version{major, text}, nil
	}
	if text == "" && !fromInflux(header) {
		return Version{}, fmt.Errorf("cannot find out the version of the server at %q: %w", c.opts.URL, ErrNotInflux)
	}
	for _, probe := range []struct {
		major int
		path  string
		query url.Values
	}{{2, "api/v2/setup", nil}, {3, "api/v3/configure/database", url.Values{"format": {"json"}}}} {
		if err := c.do(ctx, http.MethodGet, probe.path, probe.query, nil, nil); err == nil {
			return Version{probe.major, text}, nil
		}
	}
	return Version{1, text}, nil
}

// ping asks /ping, whose answer may have no body: the headers tell then.
func (c *Conn) ping(ctx context.Context, body *struct{ Version string }) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Endpoint("ping", nil), nil)
	if err != nil {
		return nil, err
	}
	header, err := c.send(r, body)
	if header != nil { // 2xx, perhaps without JSON
		return header, nil
	}
	return nil, err
}
