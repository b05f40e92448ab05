package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"plimsoll.dev/plimsoll/aggregator/capacity"
)

// window returns how much of the past a report looks at.
func (p *params) window() time.Duration {
	if !p.values.Has("window") {
		return capacity.DefaultWindow
	}
	s := p.values.Get("window")
	d, ok := parseStretch(s)
	if !ok || d < capacity.MinWindow || d > capacity.MaxWindow {
		p.fail("window %q is not from %s to %s: give such as %s, 2w or 36h", s, stretchText(capacity.MinWindow), stretchText(capacity.MaxWindow), stretchText(capacity.DefaultWindow))
		return capacity.DefaultWindow
	}
	return d
}

// parseStretch reads what time.ParseDuration reads, days (7d) and weeks (2w).
func parseStretch(s string) (time.Duration, bool) {
	for suffix, unit := range map[string]float64{"d": 24, "w": 7 * 24} {
		if n, ok := strings.CutSuffix(s, suffix); ok {
			v, err := strconv.ParseFloat(n, 64)
			if err != nil || !(v >= 0 && v <= 36500) {
				return 0, false
			}
			return time.Duration(v * unit * float64(time.Hour)).Truncate(time.Millisecond), true
		}
	}
	d, err := time.ParseDuration(s)
	return d.Truncate(time.Millisecond), err == nil
}

// stretchText writes whole days as days.
func stretchText(d time.Duration) string {
	if day := 24 * time.Hour; d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// amount returns a quantity as Kubernetes writes them, in base units; ok is false where the parameter is absent.
func (p *params) amount(name, example string) (v float64, ok bool) {
	if !p.values.Has(name) {
		return 0, false
	}
	s := p.values.Get(name)
	q, err := resource.ParseQuantity(s)
	if err != nil || q.Sign() <= 0 {
		p.fail("%s %q is not an amount over 0, as Kubernetes writes them: give such as %s", name, s, example)
		return 0, false
	}
	return q.AsApproximateFloat64(), true
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
