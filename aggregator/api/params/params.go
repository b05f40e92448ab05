// Package params reads the query of a request strictly: no parameter that the path does not know, none twice, and what is wrong is
// said with its value.
package params

import (
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/duration"
	"plimsoll.dev/plimsoll/internal/serve"
)

const maxWords = 200 // bytes in a search

// Params are the parameters of one request, and the first thing that is wrong with them.
type Params struct {
	Values url.Values
	Err    error // nil: nothing
}

// Read parses the query of r, in which only the named parameters may appear, each once.
func Read(r *http.Request, allowed ...string) *Params {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return &Params{Err: serve.BadRequest("cannot read the query %q: %v", r.URL.RawQuery, err)}
	}
	p := &Params{Values: values}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch {
		case !slices.Contains(allowed, name) && len(allowed) == 0:
			p.Fail("unknown parameter %q: this path takes none", name)
		case !slices.Contains(allowed, name):
			p.Fail("unknown parameter %q: allowed are %s", name, strings.Join(allowed, ", "))
		case len(values[name]) > 1:
			p.Fail("parameter %q is given %d times: give it once", name, len(values[name]))
		}
	}
	return p
}

// Fail notes what is wrong, unless something was before.
func (p *Params) Fail(format string, args ...any) {
	if p.Err == nil {
		p.Err = serve.BadRequest(format, args...)
	}
}

// Text returns a parameter as it is, "" where it is absent.
func (p *Params) Text(name string) string { return p.Values.Get(name) }

// Whole returns a whole number from 1 to top, or def where the parameter is absent.
func (p *Params) Whole(name string, def, top int) int {
	s := p.Values.Get(name)
	if s == "" && !p.Values.Has(name) {
		return def
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > top {
		p.Fail("%s %q is not a whole number from 1 to %d; leave it out for the default", name, s, top)
		return def
	}
	return n
}

// OneOf returns one of the allowed words, the first where the parameter is absent.
func (p *Params) OneOf(name string, allowed ...string) string {
	if !p.Values.Has(name) {
		return allowed[0]
	}
	s := p.Values.Get(name)
	if !slices.Contains(allowed, s) {
		p.Fail("%s %q is not known: allowed are %s", name, s, strings.Join(allowed, ", "))
		return allowed[0]
	}
	return s
}

// OneOfOr is OneOf with a default that cannot be asked for.
func (p *Params) OneOfOr(name, def string, allowed ...string) string {
	if !p.Values.Has(name) {
		return def
	}
	return p.OneOf(name, allowed...)
}

// SomeOf returns a comma list of allowed words, nil where the parameter is absent.
func (p *Params) SomeOf(name string, allowed ...string) []string {
	if !p.Values.Has(name) {
		return nil
	}
	var out []string
	for _, s := range strings.Split(p.Values.Get(name), ",") {
		if !slices.Contains(allowed, s) {
			p.Fail("%s %q is not known: allowed are %s, or several with commas", name, s, strings.Join(allowed, ", "))
			return nil
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// Moment returns an RFC 3339 time, zero where the parameter is absent.
func (p *Params) Moment(name string) time.Time {
	if !p.Values.Has(name) {
		return time.Time{}
	}
	s := p.Values.Get(name)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		p.Fail("%s %q is not a time as in RFC 3339, such as 2026-01-02T15:04:05Z", name, s)
	}
	return t
}

// Words returns what ?q= looks for, in lower case: all of them must be found.
func (p *Params) Words(name string) string {
	s := p.Values.Get(name)
	if len(s) > maxWords {
		p.Fail("%s is %d bytes long: at most %d are allowed", name, len(s), maxWords)
		return ""
	}
	return strings.Join(strings.Fields(strings.ToLower(s)), " ")
}

// Amount returns a quantity as Kubernetes writes them, in base units; nil where the parameter is absent.
func (p *Params) Amount(name, example string) *float64 {
	if !p.Values.Has(name) {
		return nil
	}
	s := p.Values.Get(name)
	q, err := cluster.ParseQuantity(s)
	if err != nil || q.Sign() <= 0 {
		p.Fail("%s %q is not an amount over 0, as Kubernetes writes them: give such as %s", name, s, example)
		return nil
	}
	v := q.AsApproximateFloat64()
	return &v
}

// WantsPage says whether to answer with a page for people: format=html says so, or a browser's Accept header where format is absent.
func (p *Params) WantsPage(r *http.Request) bool {
	if !p.Values.Has("format") {
		accept := r.Header.Get("Accept")
		html, json := strings.Index(accept, "text/html"), strings.Index(accept, "application/json")
		return html >= 0 && (json < 0 || html < json)
	}
	return p.OneOf("format", "json", "html") == "html"
}

// Instant returns a time in RFC 3339 or in Unix seconds; it must be there.
func (p *Params) Instant(name string) time.Time {
	s := p.Values.Get(name)
	const latest = 253402300799 // the end of the year 9999: later moments are not written in RFC 3339
	if v, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(v) <= latest {
		return time.UnixMilli(int64(math.Round(v * 1000))).UTC()
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		p.Fail("%s %q is not a time: give Unix seconds or RFC 3339, such as 2026-01-02T15:04:05Z", name, s)
	}
	return t
}

// mostSeconds is the longest duration that may be given in seconds, some thirty years.
const mostSeconds = 1e9

// Seconds returns a duration given in seconds or as Go writes it; zero where the parameter is absent.
func (p *Params) Seconds(name string) time.Duration {
	s := p.Values.Get(name)
	if s == "" {
		return 0
	}
	d, err := duration.Parse(s)
	v, ferr := strconv.ParseFloat(s, 64)
	switch {
	case ferr == nil && v >= mostSeconds:
		p.Fail("%s %q is longer than the %d seconds that there may be", name, s, int(mostSeconds))
		return 0
	case ferr == nil && math.Abs(v) < mostSeconds:
		d, err = time.Duration(v*float64(time.Second)), nil
	}
	if err != nil || d <= 0 {
		p.Fail("%s %q is not a positive duration: give seconds, or such as 1m", name, s)
	}
	return d
}

// Share returns a number from 0 to 1, zero where the parameter is absent.
func (p *Params) Share(name string) float64 {
	s := p.Values.Get(name)
	if s == "" {
		return 0
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= 0 && v <= 1) {
		p.Fail("%s %q is not a number from 0 to 1", name, s)
		return 0
	}
	return v
}
