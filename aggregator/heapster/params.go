package heapster

import (
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/serve"
)

// maxBuckets is how many buckets an answer may have.
const maxBuckets = 10000

// params are the parameters of a series.
type params struct {
	start, end time.Time // both included; start is zero where it was not given
	labels     map[string]string
	bucket     time.Duration // zero: one bucket for all
}

// readParams reads start, end, labels and, for the history, bucket. Others are ignored, as in Heapster.
func readParams(r *http.Request, now time.Time) (params, error) {
	now = now.Truncate(time.Millisecond)
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return params{}, serve.BadRequest("cannot read the query %q: %v", r.URL.RawQuery, err)
	}
	var p params
	if p.start, err = moment("start", q.Get("start"), time.Time{}); err != nil {
		return p, err
	}
	if p.end, err = moment("end", q.Get("end"), now); err != nil {
		return p, err
	}
	if p.labels, err = parseLabels(q.Get("labels")); err != nil {
		return p, err
	}
	p.bucket, err = parseBucket(q.Get("bucket"))
	return p.inTime(now), err
}

// inTime cuts a range to the times of which there can be data: from the beginning of Unix time up to now, or an hour later by another machine's clock. What lies
// wholly outside is left as it is.
func (p params) inTime(now time.Time) params {
	if first := time.Unix(0, 0).UTC(); !p.start.IsZero() && p.start.Before(first) && p.end.After(first) {
		p.start = first
	}
	if p.end.After(now.Add(time.Hour)) && p.start.Before(now) {
		p.end = now
	}
	return p
}

func moment(name, s string, def time.Time) (time.Time, error) {
	if s == "" {
		return def, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return def, serve.BadRequest("%s %q is not a time as in RFC 3339, such as 2026-01-02T15:04:05Z", name, s)
	}
	if t = t.Truncate(time.Millisecond); t.IsZero() { // as fine as samples are; what is not given is zero
		t = t.Add(time.Millisecond)
	}
	return t, nil
}

// parseLabels reads key:value pairs with commas between them. A value may hold further colons.
func parseLabels(s string) (map[string]string, error) {
	if s == "" {
		return nil, nil
	}
	out := map[string]string{}
	for _, pair := range strings.Split(s, ",") {
		key, value, ok := strings.Cut(pair, ":")
		if !ok || key == "" || value == "" {
			return nil, serve.BadRequest("label %q is not of the form key:value", pair)
		}
		if _, twice := out[key]; twice {
			return nil, serve.BadRequest("label %q is given twice", key)
		}
		out[key] = value
	}
	return out, nil
}

// parseBucket reads a whole number with a unit: 500ms, 30s, 5m, 1h, 25d.
func parseBucket(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	digits := strings.TrimRight(s, "smhd")
	unit := map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[s[len(digits):]]
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || unit == 0 || n == 0 || n > uint64(math.MaxInt64/unit) {
		return 0, serve.BadRequest("bucket %q is not a whole number with one of the units ms, s, m, h, d, such as 5m", s)
	}
	return time.Duration(n) * unit, nil
}
