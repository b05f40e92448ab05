package policyfile

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
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

// Whoever may write the file, or put another in its place, is told with the command that ends it.
func TestWriters(t *testing.T) {
	for _, c := range []struct {
		what         string
		file, folder os.FileMode
		user, group  int
		want         []string
	}{
		{"its owner alone", 0o644, 0o755, 0, 0, nil},
		{"everybody", 0o666, 0o755, 0, 0, []string{"everybody on this machine: 'chmod o-w FILE'"}},
		{"a group", 0o664, 0o755, 0, 77, []string{"group 77: 'chmod g-w FILE'"}},
		{"another owner", 0o644, 0o755, 65534, 0, []string{"user 65534, who owns the file: 'chown 0 FILE'"}},
		{"everybody in its folder", 0o644, 0o777, 0, 0, []string{"everybody on this machine: 'chmod o-w FOLDER'"}},
		{"everybody beside it", 0o644, 0o777 | os.ModeSticky, 0, 0, nil},
	} {
		folder := t.TempDir()
		file := filepath.Join(folder, "policies.yaml")
		if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Chmod(file, c.file), os.Chmod(folder, c.folder)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(file, c.user, c.group); err != nil {
			t.Skipf("needs root, to give a file away: %v", err)
		}
		got := writers(file)
		for i := range got {
			got[i] = strings.ReplaceAll(strings.ReplaceAll(got[i], file, "FILE"), folder, "FOLDER")
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s may write: got %q, want %q", c.what, got, c.want)
		}
	}
}
