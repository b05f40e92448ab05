package api

import (
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"plimsoll.dev/plimsoll/aggregator/capacity"
	"plimsoll.dev/plimsoll/internal/duration"
)

// window returns how much of the past a report looks at.
func (p *params) window() time.Duration {
	if !p.values.Has("window") {
		return capacity.DefaultWindow
	}
	s := p.values.Get("window")
	d, err := duration.Parse(s)
	if d = d.Truncate(time.Millisecond); err != nil || d < capacity.MinWindow || d > capacity.MaxWindow {
		p.fail("window %q is not from %s to %s: give such as %s, 2w or 36h", s, duration.Format(capacity.MinWindow), duration.Format(capacity.MaxWindow), duration.Format(capacity.DefaultWindow))
		return capacity.DefaultWindow
	}
	return d
}

// amount returns a quantity as Kubernetes writes them, in base units; nil where the parameter is absent.
func (p *params) amount(name, example string) *float64 {
	if !p.values.Has(name) {
		return nil
	}
	s := p.values.Get(name)
	q, err := resource.ParseQuantity(s)
	if err != nil || q.Sign() <= 0 {
		p.fail("%s %q is not an amount over 0, as Kubernetes writes them: give such as %s", name, s, example)
		return nil
	}
	v := q.AsApproximateFloat64()
	return &v
}

// wantsPage says whether to answer with a page for people: format=html says so, or a browser's Accept header where format is absent.
func (p *params) wantsPage(r *http.Request) bool {
	if !p.values.Has("format") {
		accept := r.Header.Get("Accept")
		html, json := strings.Index(accept, "text/html"), strings.Index(accept, "application/json")
		return html >= 0 && (json < 0 || html < json)
	}
	return p.oneOf("format", "json", "html") == "html"
}
