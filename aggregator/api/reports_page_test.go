package api

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// A page of one level still has the cluster's figures on top.
func TestPageOfOneLevel(t *testing.T) {
	h := served(reporting(t, nil))
	for level, want := range map[string][]string{"node": {"n1"}, "namespace": {"shop"}} {
		body := get(h, "/plimsoll/v1/capacity?format=html&level="+level).Body.String()
		whole := get(h, "/plimsoll/v1/capacity?format=html").Body.String()
		card := regexp.MustCompile(`<p class="big">[^\n]*`)
		if got, top := card.FindString(body), card.FindString(whole); got == "" || got != top || !strings.Contains(body, want[0]) || len(body) >= len(whole) {
			t.Errorf("%s: got %q on top, want %q, and %q in less than the whole", level, got, top, want[0])
		}
	}
}

func TestReportsAsPages(t *testing.T) {
	h := served(reporting(t, nil))
	ask := func(path, accept string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept", accept)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec
	}
	for _, path := range []string{"/plimsoll/v1/capacity?", "/plimsoll/v1/fit?cpu=1&", "/plimsoll/v1/rightsize?"} {
		for _, rec := range []*httptest.ResponseRecorder{ask(path+"format=html", "*/*"), ask(path, "text/html,application/xhtml+xml,*/*;q=0.8")} {
			body := rec.Body.String()
			if rec.Code != 200 || rec.Header().Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(body, "<html") {
				t.Errorf("%s: got %d %v %.200s; want a page", path, rec.Code, rec.Header(), body)
			}
			csp := rec.Header().Get("Content-Security-Policy")
			if !strings.Contains(csp, "default-src 'none'; style-src 'sha256-") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") {
				t.Errorf("%s: policy %q lets more than its own style in", path, csp)
			}
			if what := regexp.MustCompile(`(?i)<script|\sstyle=|<link|<iframe|\son\w+=|(src|href)="?https?:|url\(`).FindString(body); what != "" {
				t.Errorf("%s: the page has %q: its policy forbids it", path, what)
			}
			if n := strings.Count(body, "<style"); n != 1 {
				t.Errorf("%s: the page has %d styles, want the one that the policy names", path, n)
			}
		}
		for _, rec := range []*httptest.ResponseRecorder{ask(path+"format=json", "text/html"), ask(path, "application/json, text/html"), ask(path, "*/*"), ask(path, "")} {
			if rec.Code != 200 || rec.Header().Get("Content-Type") != "application/json" || rec.Header().Get("Content-Security-Policy") != "" {
				t.Errorf("%s: got %d %v; want JSON", path, rec.Code, rec.Header())
			}
		}
	}
}
