package disk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A file that somebody named is read through a link and from a pipe; what never answers is given up.
func TestReadGiven(t *testing.T) {
	dir := t.TempDir()
	file, link, pipe := filepath.Join(dir, "token"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	if err := os.WriteFile(file, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link} {
		if got, err := ReadGiven(path); err != nil || string(got) != "secret" {
			t.Errorf("%s: %q %v", path, got, err)
		}
	}
	go func() { _ = os.WriteFile(pipe, []byte("through a pipe"), 0o600) }()
	if got, err := ReadGiven(pipe); err != nil || string(got) != "through a pipe" {
		t.Errorf("pipe: %q %v", got, err)
	}
	if _, err := ReadGiven("/dev/zero"); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("without an end: %v", err)
	}
	if _, err := ReadGiven(pipe); err == nil || !strings.Contains(err.Error(), "nobody writes") {
		t.Errorf("nobody writes: %v", err)
	}
	if f, err := os.OpenFile(pipe, os.O_WRONLY|unix.O_NONBLOCK, 0); err == nil { // whoever still waits goes
		_ = f.Close()
	}
}
