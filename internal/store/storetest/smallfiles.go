package storetest

import (
	"os"
	"os/exec"
	"regexp"
	"testing"

	"golang.org/x/sys/unix"
)

// SmallFiles runs the calling test again in a process of its own, none of whose files may grow beyond n bytes from when the test calls
// limit until it ends, as on a file system that has such a limit. In the process that it was called in it returns nil when that has passed, and the test must return.
func SmallFiles(t *testing.T, n uint64) (limit func()) {
	t.Helper()
	const inside = "PLIMSOLL_TEST_SMALL_FILES"
	if os.Getenv(inside) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+regexp.QuoteMeta(t.Name())+"$") // not our flags: their logs are files too
		cmd.Env = append(os.Environ(), inside+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v:\n%s", err, out)
		}
		return nil
	}
	return func() {
		var l unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &l); err != nil {
			t.Fatal(err)
		}
		set := func(n uint64) {
			if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: n, Max: l.Max}); err != nil {
				t.Fatal(err)
			}
		}
		set(n)
		t.Cleanup(func() { set(l.Cur) })
	}
}
