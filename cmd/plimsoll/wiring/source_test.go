package wiring

import (
	"os"
	"path/filepath"
	"testing"
)

// A collector that is started again is the same; another folder, another node or no folder is another one. What is no such file is not read.
func TestSource(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	get := func(dir, node string) string {
		t.Helper()
		s, err := sourceIn(dir, node)
		if err != nil || len(s) < 20 || len(s) > 64 {
			t.Fatal(s, err)
		}
		return s
	}
	first := get(dir, "n1")
	if again := get(dir, "n1"); again != first {
		t.Errorf("got %q and then %q", first, again)
	}
	seen := map[string]bool{first: true}
	for _, other := range []string{get(dir, "n2"), get(t.TempDir(), "n1"), get("", "n1"), get("", "n1")} {
		if seen[other] {
			t.Errorf("%q is there twice", other)
		}
		seen[other] = true
	}
	path := filepath.Join(dir, "source")
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a file for its owner alone", st, err)
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	for _, spoil := range []func() error{
		func() error { return os.WriteFile(path, nil, 0o600) },
		func() error { return os.WriteFile(path, []byte("short\n"), 0o600) },
		func() error { return os.Symlink(elsewhere, path) },
		func() error { return os.Mkdir(path, 0o700) },
	} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if s, err := sourceIn(dir, "n1"); err == nil {
			if _, lerr := os.Lstat(elsewhere); lerr == nil {
				t.Errorf("wrote through a link: %q", s)
			}
			if st, _ := os.Lstat(path); !st.Mode().IsRegular() {
				t.Errorf("got %q from %v", s, st.Mode())
			}
		}
	}
}
