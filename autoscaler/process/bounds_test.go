package process

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// flood writes lines as fast as they are read, and counts them.
type flood struct{ left int }

func (f *flood) Read(p []byte) (int, error) {
	if f.left <= 0 {
		return 0, io.EOF
	}
	n := min(len(p), f.left)
	copy(p[:n], bytes.Repeat([]byte("a line of a flood\n"), n/18+1))
	f.left -= n
	return n, nil
}

// Of a flood a little is read, the rest is counted, and what is read takes its time.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const all = 100 << 20
		var o output
		lost, began := 0, time.Now()
		o.read(&flood{all}, slog.New(slog.DiscardHandler), func(n int) { lost += n })
		took := time.Since(began)
		if read := all - lost; read < 2<<20 || read > 8<<20 {
			t.Errorf("%d bytes were read as lines, %d dropped", read, lost)
		}
		if took < 2*time.Second || took > 5*time.Second {
			t.Errorf("100 MiB took %v", took)
		}
		if got := o.all(); len(got) != keptLines {
			t.Errorf("kept %q", got)
		}
	})
}

// What writes little loses nothing.
func TestNoFlood(t *testing.T) {
	var o output
	o.read(&flood{readEachSecond - 4096}, slog.New(slog.DiscardHandler), func(int) { t.Error("dropped") })
	if got := o.last(); !strings.HasPrefix("a line of a flood", got) {
		t.Errorf("last line %q", got)
	}
}

// A replica gains no rights unless its service says that it may, and has so many processes at most.
func TestRightsAndProcesses(t *testing.T) {
	eachHost(t, func(t *testing.T, root string) {
		service := func(name string, rights bool, most int64) Service {
			return Service{Namespace: "test", Name: name, Command: []string{"sh", "-c", "grep NoNewPrivs /proc/self/status; exec sleep 600"}, Replicas: 1, Drain: time.Second,
				GainRights: rights, Processes: most}
		}
		s, _ := run(t, Options{CgroupRoot: root, Services: []Service{service("bound", false, 0), service("free", true, 77)}})
		said := func(name, want string) {
			t.Helper()
			eventually(t, name+" says "+want, func() bool { return slices.Contains(s.Output(Key{"test", name}, name+"-1"), want) })
		}
		said("bound", "NoNewPrivs:\t1")
		said("free", "NoNewPrivs:\t0")
		if root == "none" {
			return
		}
		limit := func(name, want string) {
			t.Helper()
			rs, err := s.Replicas(Key{"test", name})
			if err != nil || len(rs) != 1 {
				t.Fatal(rs, err)
			}
			found := false
			for _, hierarchy := range s.cgroups.mounts {
				got, err := os.ReadFile(filepath.Join(hierarchy, rs[0].Cgroup, "pids.max"))
				if err != nil {
					continue
				}
				if found = true; strings.TrimSpace(string(got)) != want {
					t.Errorf("%s may have %q processes, want %s", name, got, want)
				}
			}
			if !found {
				t.Log("the kernel does not count processes here")
			}
		}
		limit("bound", "4096")
		limit("free", "77")
	})
}
