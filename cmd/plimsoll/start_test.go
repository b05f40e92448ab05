package main

import (
	"fmt"
	"strings"
	"testing"

	"plimsoll.dev/plimsoll/internal/disk"
)

// The doctor finds a folder and an address taken as 'run' does, unless one Plimsoll has both of them.
func TestDoctorKnowsWhoRuns(t *testing.T) {
	dir := t.TempDir()
	r := startRun(t, "--data", dir)
	addr := strings.TrimPrefix(r.url, "http://")
	until(t, "it is well", 0, func() bool { code, _ := r.get(t, "/readyz"); return code == 200 })
	mine := t.TempDir() // of a process that does not listen there
	claim, err := disk.Claim("data folder", mine)
	if err != nil {
		t.Fatal(err)
	}
	defer claim.Release()
	f := func(code int, data, listen string, want ...string) {
		t.Helper()
		got := call(t, nil, "", "doctor", "--data", data, "--listen", listen)
		if got.code != code {
			t.Errorf("%s at %s: got exit %d, want %d: %s", data, listen, got.code, code, got.out)
		}
		for _, text := range want {
			if !strings.Contains(got.out, text) {
				t.Errorf("%s at %s: got %s, want %q in it", data, listen, got.out, text)
			}
		}
	}
	f(exitDone, dir, addr, "is in use by the Plimsoll that runs at "+addr, "a second 'run' would not start")
	f(exitFailed, dir, "127.0.0.1:0", fmt.Sprintf("data folder %q is in use by process %d", dir, r.cmd.Process.Pid), "is free")
	f(exitFailed, t.TempDir(), addr, "with another data folder")
	f(exitFailed, mine, addr, "with another data folder", "is in use by process")
	r.terminate(t)
	f(exitDone, dir, addr, addr+" is free")
}
