package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCauseOf(t *testing.T) {
	f := func(err error, want Cause, fix string) {
		t.Helper()
		for _, err := range []error{err, &fs.PathError{Op: "write", Path: "/x", Err: err}, fmt.Errorf("cannot: %w", errors.Join(errors.New("first"), err))} {
			if got := CauseOf(err); got != want {
				t.Errorf("%v: got %d, want %d", err, got, want)
			}
			if got := Explain(err).Error(); !errors.Is(Explain(err), err) || !strings.HasPrefix(got, err.Error()) || !strings.Contains(got, fix) {
				t.Errorf("got %q, want %q in it", got, fix)
			}
		}
	}
	f(unix.ENOSPC, Full, "make room")
	f(unix.EDQUOT, Full, "make room")
	f(unix.EFBIG, Full, "make room")
	f(unix.EROFS, ReadOnly, "mount")
	f(unix.EACCES, Denied, "right")
	f(unix.EPERM, Denied, "right")
	f(unix.ENOENT, Gone, "back")
	f(unix.ESTALE, Gone, "back")
	f(unix.EIO, Unknown, "")
	f(errors.New("something else"), Unknown, "")
}

// The causes that the system itself gives.
func TestRealCauses(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(dir + "/big")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("x"), 1<<62); CauseOf(err) != Full {
		t.Errorf("beyond the end of all files: got cause %d of %v", CauseOf(err), err)
	}
	if err := os.Remove(dir + "/big"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.OpenFile(dir+"/none/file", os.O_CREATE|os.O_WRONLY, 0o600); CauseOf(err) != Gone {
		t.Errorf("a folder that is not there: got cause %d of %v", CauseOf(err), err)
	}
}

// A folder is claimed once, and again when it was given up.
func TestClaim(t *testing.T) {
	dir := t.TempDir() + "/a/b"
	first, err := Claim("data folder", dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Claim("queue folder", dir)
	if want := fmt.Sprintf("queue folder %q is in use by process %d", dir, os.Getpid()); !errors.Is(err, ErrInUse) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got error %v, want %q", err, want)
	}
	if pid, held := Holder("queue folder", dir); pid != os.Getpid() || !errors.Is(held, ErrInUse) || held.Error() != err.Error() {
		t.Errorf("the holder: got %d, %v", pid, held)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	for _, free := range []string{dir, dir + "/none"} {
		if pid, err := Holder("data folder", free); pid != 0 || err != nil {
			t.Errorf("nobody has %q: got %d, %v", free, pid, err)
		}
	}
	again, err := Claim("data folder", dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestSize(t *testing.T) {
	f := func(n int64, want string) {
		t.Helper()
		if got := Size(n); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(0, "0 KiB")
	f(1<<20, "1.0 MiB")
	f(20<<30, "20 GiB")
}

// The lock is a file of our own: a link is not followed, a pipe not waited for, and what a link leads to stays as it is.
func TestClaimFollowsNoLink(t *testing.T) {
	elsewhere := filepath.Join(tempDir(t), "precious")
	if err := os.WriteFile(elsewhere, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(path string) error{
		"link":       func(path string) error { return os.Symlink(elsewhere, path) },
		"loose link": func(path string) error { return os.Symlink(elsewhere+"-not-there", path) },
		"pipe":       func(path string) error { return unix.Mkfifo(path, 0o600) },
		"folder":     func(path string) error { return os.Mkdir(path, 0o700) },
		"hard link":  func(path string) error { return os.Link(elsewhere, path) },
	} {
		dir := tempDir(t)
		below := filepath.Join(dir, "some/where")
		if err := errors.Join(spoil(filepath.Join(dir, "lock")), os.MkdirAll(below, 0o700)); err != nil {
			t.Fatal(err)
		}
		if f, err := Claim("data folder", dir); err == nil || !strings.Contains(err.Error(), "lock") {
			t.Errorf("%s: got %v, %v", what, f, err)
		}
		if what == "folder" || what == "hard link" { // of what lies below, those are refused that are written to
			continue
		}
		if err := errors.Join(os.Remove(filepath.Join(dir, "lock")), spoil(filepath.Join(below, "it"))); err != nil {
			t.Fatal(err)
		}
		if f, err := Claim("data folder", dir); !errors.Is(err, ErrNoFile) || !strings.Contains(err.Error(), below) {
			t.Errorf("%s far below: got %v, %v", what, f, err)
		}
	}
	link := filepath.Join(t.TempDir(), "link") // the folder itself is where its owner says
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if f, err := Claim("data folder", link); err != nil {
		t.Error(err)
	} else if err := f.Release(); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(elsewhere); err != nil || string(got) != "precious" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := os.Lstat(elsewhere + "-not-there"); err == nil {
		t.Error("a file was made where a link leads to")
	}
}

// tempDir is one that is on the same disk as all others of the test, for hard links.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// What is put in the place of a file of ours while the program runs is neither emptied nor written to; a new file takes its place.
func TestOpenAndCreateKeepWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	precious, path := filepath.Join(dir, "precious"), filepath.Join(dir, "ours")
	for what, spoil := range map[string]func() error{
		"link":      func() error { return os.Symlink(precious, path) },
		"hard link": func() error { return os.Link(precious, path) },
		"pipe":      func() error { return unix.Mkfifo(path, 0o600) },
	} {
		if err := errors.Join(os.WriteFile(precious, []byte("precious"), 0o600), spoil()); err != nil {
			t.Fatal(err)
		}
		for _, flags := range []int{os.O_RDWR, os.O_WRONLY, os.O_RDWR | os.O_CREATE | os.O_TRUNC} {
			if f, err := Open(path, flags); !errors.Is(err, ErrNoFile) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s opened with %o: got %v, %v", what, flags, f, err)
			}
		}
		if b, err := ReadFile(path); what == "hard link" && (err != nil || string(b) != "precious") || what != "hard link" && !errors.Is(err, ErrNoFile) {
			t.Errorf("%s: read %q, %v", what, b, err)
		}
		f, err := Create(path)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if _, err := f.WriteString("ours"); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(precious); err != nil || string(got) != "precious" {
			t.Errorf("%s: what it led to holds %q, %v", what, got, err)
		}
		if got, err := ReadFile(path); err != nil || string(got) != "ours" {
			t.Errorf("%s: in its place is %q, %v", what, got, err)
		}
		if f, err = Open(path, os.O_RDWR|os.O_TRUNC); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		if got, err := ReadFile(path); err != nil || len(got) != 0 {
			t.Errorf("a file of ours that is to be emptied holds %q, %v", got, err)
		}
		if err := errors.Join(os.Remove(path), os.Remove(precious)); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "link")
	if err := errors.Join(Sub(path), Sub(path), os.Symlink(path, link)); err != nil {
		t.Fatal(err)
	}
	if err := Sub(link); !errors.Is(err, ErrNoFile) {
		t.Errorf("a link in the place of a folder: got %v", err)
	}
}

// A folder of the kernel's is said to be one, whatever lies in it.
func TestClaimNothingOfTheKernel(t *testing.T) {
	if _, err := Claim("data folder", "/proc"); err == nil || !strings.Contains(err.Error(), `cannot use data folder "/proc": it is of the kernel's own file system proc`) {
		t.Errorf("got %v", err)
	}
}
