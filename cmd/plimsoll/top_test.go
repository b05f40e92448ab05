package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
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
