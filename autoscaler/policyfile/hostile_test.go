package policyfile

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A policies file that is a pipe, a folder or a device is refused at once and waited for never; one that everybody may write is told of.
func TestFilesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, dir, "/dev/zero"} {
		began := time.Now()
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "is no regular file") || time.Since(began) > 5*time.Second/2 {
			t.Errorf("%s: got %v after %v", path, err, time.Since(began))
		}
	}
	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o664: false, 0o666: true} {
		path := filepath.Join(dir, "policies.yaml")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		p, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		var logs bytes.Buffer
		if p.Tell(slog.New(slog.NewTextHandler(&logs, nil))); strings.Contains(logs.String(), "chmod o-w") != warned {
			t.Errorf("%v: got %s, want warned %v", mode, &logs, warned)
		}
	}
}
