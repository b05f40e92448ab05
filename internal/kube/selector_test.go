package kube

import (
	"errors"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// A selector is read once, and of a target that is gone there is none.
func TestSelectors(t *testing.T) {
	s := &scaleServer{version: 1, count: 2, selector: "app=web"}
	selectors := NewSelectors(scalesOf(t, s))
	for range 3 {
		if got, err := selectors.Of(t.Context(), webTarget); err != nil || got != "app=web" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	gets := 0
	for _, a := range s.asked {
		if strings.HasSuffix(a, "/scale") {
			gets++
		}
	}
	if gets != 1 {
		t.Errorf("asked %v", s.asked)
	}
	for age, want := range map[time.Duration]string{noSelectorFor - time.Second: "", noSelectorFor: "app=web"} { // an operator told it later
		selectors.known[webTarget] = selector{"", time.Now().Add(-age)}
		if got, err := selectors.Of(t.Context(), webTarget); err != nil || got != want {
			t.Errorf("none %v ago: got %q, %v, want %q", age, got, err, want)
		}
	}
	gone := webTarget
	gone.Name = "gone"
	if _, err := selectors.Of(t.Context(), gone); !errors.Is(err, cluster.ErrNoTarget) {
		t.Errorf("got %v", err)
	}
}
