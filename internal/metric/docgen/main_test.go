package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPage compares the page with the committed one.
func TestPage(t *testing.T) {
	want, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), page()); d != "" {
		t.Errorf("docs/metrics.md is not up to date (go run ./internal/metric/docgen > docs/metrics.md): file -, catalogue +:\n%s", d)
	}
}
