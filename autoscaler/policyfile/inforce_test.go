package policyfile

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"plimsoll.dev/plimsoll/autoscaler"
)

func TestAnEmptyPolicyFileIsTold(t *testing.T) {
	f := func(p *InForce, want string) {
		t.Helper()
		var log bytes.Buffer
		p.Tell(slog.New(slog.NewTextHandler(&log, nil)))
		if got := log.String(); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", p.path, got, want)
		}
	}
	f(&InForce{path: "empty.yaml", current: &File{}}, "level=WARN")
	f(&InForce{current: &File{}}, "")
	f(&InForce{path: "some.yaml", current: &File{Policies: make([]autoscaler.Policy, 2)}}, "policies=2")
}
