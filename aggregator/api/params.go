package api

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/serve"
)

const (
	maxLimit = 10000
	maxWords = 200 // bytes in ?q=
)

// params reads the query of a request and keeps the first thing that is wrong with it.
type params struct {
	values url.Values
	err    error
}

// readParams parses the query of r, in which only the named parameters may appear, each once.
func readParams(r *http.Request, allowed ...string) *params {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return &params{err: serve.BadRequest("cannot read the query %q: %v", r.URL.RawQuery, err)}
	}
	p := &params{values: values}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch {
		case !slices.Contains(allowed, name) && len(allowed) == 0:
			p.fail("unknown parameter %q: this path takes none", name)
		case !slices.Contains(allowed, name):
			p.fail("unknown parameter %q: allowed are %s", name, strings.Join(allowed, ", "))
		case len(values[name]) > 1:
			p.fail("parameter %q is given %d times: give it once", name, len(values[name]))
		}
	}
	return p
}

func (p *params) fail(format string, args ...any) {
	if p.err == nil {
		p.err = serve.BadRequest(format, args...)
	}
}

func (p *params) text(name string) string { return p.values.Get(name) }

// whole returns a whole number from 1 to top, or def where the parameter is absent.
func (p *params) whole(name string, def, top int) int {
	s := p.values.Get(name)
	if s == "" && !p.values.Has(name) {
		return def
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > top {
		p.fail("%s %q is not a whole number from 1 to %d; leave it out for the default", name, s, top)
		return def
	}
	return n
}

// oneOf returns one of the allowed words, the first where the parameter is absent.
func (p *params) oneOf(name string, allowed ...string) string {
	if !p.values.Has(name) {
		return allowed[0]
	}
	s := p.values.Get(name)
	if !slices.Contains(allowed, s) {
		p.fail("%s %q is not known: allowed are %s", name, s, strings.Join(allowed, ", "))
		return allowed[0]
	}
	return s
}

// oneOfOr is oneOf with a default that cannot be asked for.
func (p *params) oneOfOr(name, def string, allowed ...string) string {
	if !p.values.Has(name) {
		return def
	}
	return p.oneOf(name, allowed...)
}

// someOf returns a comma list of allowed words, nil where the parameter is absent.
func (p *params) someOf(name string, allowed ...string) []string {
	if !p.values.Has(name) {
		return nil
	}
	var out []string
	for _, s := range strings.Split(p.values.Get(name), ",") {
		if !slices.Contains(allowed, s) {
			p.fail("%s %q is not known: allowed are %s, or several with commas", name, s, strings.Join(allowed, ", "))
			return nil
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// moment returns an RFC 3339 time, zero where the parameter is absent.
func (p *params) moment(name string) time.Time {
	if !p.values.Has(name) {
		return time.Time{}
	}
	s := p.values.Get(name)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		p.fail("%s %q is not a time as in RFC 3339, such as 2026-01-02T15:04:05Z", name, s)
	}
	return t
}

// words returns what ?q= looks for, in lower case: all of them must be found.
func (p *params) words(name string) string {
	s := p.values.Get(name)
	if len(s) > maxWords {
		p.fail("%s is %d bytes long: at most %d are allowed", name, len(s), maxWords)
		return ""
	}
	return strings.Join(strings.Fields(strings.ToLower(s)), " ")
}
