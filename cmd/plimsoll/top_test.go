package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"plimsoll.dev/plimsoll/aggregator/api"
)

// An empty table is told of: a mistyped namespace and a time without data look like peace otherwise.
func TestNothingToShow(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(api.SeriesList{Series: []api.Series{}})
	}))
	defer s.Close()
	f := func(want string, args ...string) {
		t.Helper()
		got := call(t, map[string]string{"PLIMSOLL_SERVER": s.URL}, "", args...)
		if got.code != exitDone || got.err != want {
			t.Errorf("%q: got exit %d, %q; want 0 and %q", args, got.code, got.err, want)
		}
	}
	f("plimsoll: nothing is known in namespace \"shop\"\n", "top", "pods", "-n", "shop")
	f("plimsoll: nothing is known in namespace \"shop\"\n", "top", "pods", "-n", "shop", "--over", "1h")
	f("plimsoll: the history has nothing of the last 36h\n", "top", "pods", "--over", "1.5d")
	f("", "top", "pods")
}

// Of what is not there, nobody who may not see all is told that it is not: it may be that he may not see it. So it is where nobody says how much he may see.
func TestNothingThatMayBeSeen(t *testing.T) {
	var overview string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := "{}"
		if r.URL.Path == "/plimsoll/v1/overview" {
			if answer = overview; answer == "" {
				w.WriteHeader(http.StatusForbidden)
			}
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer s.Close()
	const nothing, orHidden = `nothing is known in namespace "zoo"`, ", or it is one that you may not see"
	for _, c := range []struct {
		whole, part string
		args        []string
	}{
		{nothing + "\n", nothing + orHidden + "\n", []string{"top", "pods", "-n", "zoo"}},
		{nothing + "\n", nothing + orHidden + "\n", []string{"top", "containers", "-n", "zoo", "-o", "json"}},
		{nothing + "\n", nothing + orHidden + "\n", []string{"top", "workloads", "-n", "zoo", "--over", "1h"}},
		{nothing + "\n", nothing + orHidden + "\n", []string{"capacity", "-n", "zoo"}},
		{nothing + "\n", nothing + orHidden + "\n", []string{"rightsize", "-n", "zoo"}},
		{"the history has nothing of the last 1h", "the history has nothing that you may see of the last 1h", []string{"top", "nodes", "--over", "1h"}},
		{"no policy names it, or it is too new (", "no policy names it, or it is too new" + orHidden + " (", []string{"explain", "duel/duel"}},
		{"no policy names it, or it is too new (", "no policy names it, or it is too new" + orHidden + " (", []string{"explain", "duel/duel", "--changes"}},
		{"no such ScalePolicy scales anything, or it is too new (", "no such ScalePolicy scales anything, or it is too new" + orHidden + " (", []string{"explain", "scp/duel", "-n", "duel"}},
		{"Nothing is missing: everything", "Nothing that you may see is missing: everything", []string{"explain", "--missing"}},
	} {
		for answer, want := range map[string]string{"{}": c.whole, `{"limited": true}`: c.part, "": c.part} {
			if answer == "" && c.args[len(c.args)-1] == "--missing" { // which says what is wrong from it, and has nothing without
				continue
			}
			overview = answer
			got := call(t, map[string]string{"PLIMSOLL_SERVER": s.URL}, "", c.args...)
			if !strings.Contains(got.out+got.err, want) || strings.Contains(got.out, "No container runs") {
				t.Errorf("%q, overview %q: got %q %q, want %q", c.args, answer, got.out, got.err, want)
			}
		}
	}
}
