package decisions

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/disk"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/storetest"
)

const childEnv = "PLIMSOLL_DECISIONS_CHILD"

// TestMain is the test, or, when the environment says so, the child that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open opens a log that is closed at the end of the test.
func open(t *testing.T, dir string, o Options) *Log {
	t.Helper()
	if o.Report == nil {
		o.Report = func(what string) { t.Errorf("reported: %s", what) }
	}
	folder, err := disk.Claim("data folder", dir)
	must(t, err)
	l, err := Open(folder, o)
	must(t, err)
	t.Cleanup(func() {
		must(t, l.Close())
		must(t, folder.Release())
	})
	return l
}

func of(at time.Time, message string) cluster.Decision {
	return cluster.Decision{Time: at, Target: cluster.Target{Namespace: "n", Kind: "k", Name: "w"}, Message: message}
}

// child appends decisions as fast as it can and prints the number of each that was acknowledged.
func child(dir string) {
	folder, err := disk.Claim("data folder", dir)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	l, err := Open(folder, Options{MaxBytes: 1 << 30, Retention: time.Hour, Report: func(string) {}})
	for n := 1; err == nil; n++ {
		if err = l.AppendDecision(context.Background(), of(time.Unix(int64(n), 0), strings.Repeat("x", n%1000))); err == nil {
			os.Stdout.WriteString(strconv.Itoa(n) + "\n")
		}
	}
	fmt.Println("error", err)
}

// TestKill9 kills a child that appends without pause, and looks for every decision that was acknowledged.
func TestKill9(t *testing.T) {
	for range 5 {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lives, acked := 1+rand.IntN(8000), 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatalf("child: %s", lines.Text())
			}
			if acked = n; n == 1 { // the folder is the child's
				if _, err := disk.Claim("data folder", dir); !errors.Is(err, disk.ErrInUse) || !strings.Contains(err.Error(), "process "+strconv.Itoa(cmd.Process.Pid)) {
					t.Errorf("Claim of another process' folder: got error %v", err)
				}
			}
			if n == lives {
				must(t, cmd.Process.Kill())
			}
		}
		_ = cmd.Wait() // killed
		l := open(t, dir, Options{MaxBytes: 1 << 30, Retention: time.Hour, Report: func(what string) {
			if !strings.Contains(what, "torn tail") {
				t.Errorf("reported: %s", what)
			}
		}})
		got, err := l.Decisions(context.Background(), store.DecisionQuery{End: time.Unix(int64(acked), 0), Limit: store.MaxDecisions})
		if want := min(acked, store.MaxDecisions); err != nil || len(got) != want || acked < lives {
			t.Errorf("killed after %d: got %d decisions and error %v, want %d", acked, len(got), err, want)
		}
	}
}

// TestFullDisk lets writes really fail, again and again, and looks for every decision that was acknowledged.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: a small file system is mounted")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("needs mounts: cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	l := open(t, filepath.Join(dir, "data"), Options{MaxBytes: 1 << 30, Retention: time.Hour})
	acked := 0
	for round := range 3 {
		free, err := disk.Free(dir)
		must(t, err)
		other, err := os.Create(filepath.Join(dir, "other"))
		must(t, err)
		must(t, unix.Fallocate(int(other.Fd()), 0, 0, free-int64(round+1)<<16))
		must(t, other.Close())
		err = nil
		for range 10_000 {
			if err = l.AppendDecision(context.Background(), of(time.Unix(int64(acked), 0), strings.Repeat("x", 500))); err != nil {
				break
			}
			acked++
		}
		if !errors.Is(err, store.ErrReadOnly) || !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "make room") {
			t.Fatalf("round %d: got error %v, want ErrReadOnly, ENOSPC and what to do", round, err)
		}
		must(t, os.Remove(other.Name()))
	}
	got, err := l.Decisions(context.Background(), store.DecisionQuery{Limit: store.MaxDecisions})
	if err != nil || len(got) != acked || acked < 100 {
		t.Errorf("got %d decisions and error %v, want %d", len(got), err, acked)
	}
}

// TestFileTooBig takes a file that may not grow for a full disk.
func TestFileTooBig(t *testing.T) {
	limit := storetest.SmallFiles(t, 1000)
	if limit == nil {
		return
	}
	l := open(t, t.TempDir(), Options{MaxBytes: 1 << 30, Retention: time.Hour})
	limit()
	err := l.AppendDecision(context.Background(), of(time.Unix(1, 0), strings.Repeat("x", 2000)))
	if !errors.Is(err, unix.EFBIG) || !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("got error %v, want EFBIG and ErrReadOnly", err)
	}
	must(t, l.AppendDecision(context.Background(), of(time.Unix(2, 0), "short")))
}

// TestRetention keeps the log in its share, and drops what is too old.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, t.TempDir(), Options{MaxBytes: 32 << 20, Retention: 24 * time.Hour}) // 4 MiB of decisions
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		add := func(n int) {
			for i := range n {
				must(t, l.AppendDecision(ctx, of(time.Now().Add(time.Duration(i)*time.Millisecond), strings.Repeat("m", 1000))))
			}
		}
		want := func(least, most int) {
			t.Helper()
			got, err := l.Decisions(ctx, store.DecisionQuery{Limit: store.MaxDecisions})
			if err != nil || len(got) < least || len(got) > most {
				t.Errorf("got %d decisions, %v; want %d to %d", len(got), err, least, most)
			}
		}
		add(10_000)
		if l.bytes > 5<<20 {
			t.Errorf("%d bytes of decisions, want at most 5 MiB", l.bytes)
		}
		want(3000, 5000)
		time.Sleep(time.Hour)
		add(1100) // begins a new segment
		time.Sleep(24*time.Hour - 2*time.Minute)
		want(1100, 3000)
		stop()
		must(t, <-done)
	})
}

// TestClosed refuses everything after the end.
func TestClosed(t *testing.T) {
	folder, err := disk.Claim("data folder", t.TempDir())
	must(t, err)
	defer folder.Release()
	l, err := Open(folder, Options{MaxBytes: 1 << 30, Retention: time.Hour})
	must(t, err)
	must(t, l.AppendDecision(context.Background(), of(time.Unix(1, 0), "m")))
	must(t, l.Close())
	must(t, l.Close())
	l.Trim(time.Now())
	if err := l.AppendDecision(context.Background(), of(time.Unix(2, 0), "m")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("AppendDecision: got error %v", err)
	}
	if _, err := l.Decisions(context.Background(), store.DecisionQuery{}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Decisions: got error %v", err)
	}
}

// Links, and pipes, in the place of the log's folder and of its files are refused, and what they lead to stays as it was: when the log is opened, and when a file
// is begun or read later.
func TestLinksAreNotFollowed(t *testing.T) {
	base := t.TempDir()
	elsewhere := filepath.Join(base, "elsewhere")
	if err := os.Mkdir(elsewhere, 0o700); err != nil {
		t.Fatal(err)
	}
	precious := filepath.Join(elsewhere, "precious")
	if err := os.WriteFile(precious, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(dir string) error{
		"folder":           func(dir string) error { return os.Symlink(elsewhere, filepath.Join(dir, "decisions")) },
		"file":             func(dir string) error { return os.Symlink(precious, first(dir)) },
		"loose link":       func(dir string) error { return os.Symlink(precious+"-not-there", first(dir)) },
		"pipe":             func(dir string) error { return unix.Mkfifo(first(dir), 0o600) },
		"later, link":      func(string) error { return nil },
		"later, hard link": func(string) error { return nil },
		"later, folder":    func(string) error { return nil },
	} {
		dir := filepath.Join(base, what)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if what != "folder" {
			if err := os.Mkdir(filepath.Join(dir, "decisions"), 0o750); err != nil {
				t.Fatal(err)
			}
		}
		if err := spoil(dir); err != nil {
			t.Fatal(err)
		}
		data, err := disk.Claim("data folder", dir)
		var l *Log
		if err == nil {
			l, err = Open(data, Options{MaxBytes: 1 << 30, Retention: time.Hour, Report: func(string) {}})
		}
		if strings.HasPrefix(what, "later") {
			switch {
			case err != nil:
			case what == "later, link":
				err = os.Symlink(precious, first(dir))
			case what == "later, hard link":
				err = os.Link(precious, first(dir))
			default:
				at := filepath.Join(dir, "decisions")
				err = errors.Join(os.Remove(at), os.Symlink(elsewhere, at))
			}
			if err != nil {
				t.Fatal(err)
			}
			err = l.AppendDecision(t.Context(), cluster.Decision{Time: time.Unix(1, 0), Message: "x"})
		}
		if err == nil || !errors.Is(err, disk.ErrNoFile) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if left, err := os.ReadDir(elsewhere); err != nil || len(left) != 1 {
		t.Errorf("%v, %v are where the links lead to", left, err)
	}
	if got, err := os.ReadFile(precious); err != nil || string(got) != "precious" {
		t.Errorf("got %q, %v", got, err)
	}
}

// first is the log's first file.
func first(dir string) string { return filepath.Join(dir, "decisions", "00000001.jsonl") }
