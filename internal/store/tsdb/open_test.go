package tsdb

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/internal/disk"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

func TestValidate(t *testing.T) {
	f := func(o Options, want string) {
		t.Helper()
		err := o.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("Validate(%+v): got %v, want %q", o, err, want)
		}
		if want != "" {
			if _, err := Open(o); err == nil {
				t.Errorf("Open(%+v) succeeded", o)
			}
		}
	}
	f(Options{Dir: "x"}, "")
	f(Options{}, "no data folder")
	f(Options{Dir: "x", Retention: time.Minute}, `"1m0s"`)
	f(Options{Dir: "x", Retention: -time.Hour}, `"-1h0m0s"`)
	f(Options{Dir: "x", MaxBytes: -1}, `"-1"`)
	f(Options{Dir: "x", MaxBytes: 1000}, `"1000"`)
	f(Options{Dir: "x", OutOfOrder: -1}, "late samples")
	f(Options{Dir: "x", OutOfOrder: 16 * 24 * time.Hour}, "late samples")
	f(Options{Dir: "x", ExternalLabels: []metric.Label{{Name: "a-b", Value: "c"}}}, `"a-b"`)
}

// TestOpenQuickly measures what a newcomer's first start waits for: the best of several, as the machine may be busy.
func TestOpenQuickly(t *testing.T) {
	best := time.Hour
	for try := 0; try < 20 && best > 500*time.Millisecond; try++ {
		start := time.Now()
		mustOpen(t, Options{})
		best = min(best, time.Since(start))
	}
	if best > 500*time.Millisecond {
		t.Errorf("opening an empty folder took %v, want at most 500 ms", best)
	}
}

// TestTwoProcesses opens a folder that this process and another one hold, and one whose holder was killed.
func TestTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	db := mustOpen(t, Options{Dir: dir})
	_, err := Open(Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), strconv.Quote(dir)) || !strings.Contains(err.Error(), "process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("second Open: got error %v, want the folder and the process", err)
	}
	if err := db.Append(context.Background(), fleet(1)(time.Now())); err != nil {
		t.Errorf("the first one after that: %v", err)
	}

	dir = t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PLIMSOLL_STORE_CHILD="+dir, "PLIMSOLL_STORE_CHILD_FIRST=1")
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	if _, err := out.Read(make([]byte, 16)); err != nil { // it has the folder when it prints
		t.Fatal(err)
	}
	_, err = Open(Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "process "+strconv.Itoa(cmd.Process.Pid)) {
		t.Errorf("Open of another process' folder: got error %v", err)
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	db, err = Open(Options{Dir: dir})
	if err != nil {
		t.Fatalf("Open after the holder was killed: %v", err)
	}
	must(t, db.Close())
}

// TestUnreadableFolder opens folders that cannot be used.
func TestUnreadableFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for _, dir := range []string{file, filepath.Join(file, "below"), "/proc/nothing/here"} {
		if _, err := Open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), strconv.Quote(dir)) {
			t.Errorf("Open(%q): got error %v, want one that names the folder", dir, err)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: a process without privileges is started")
	}
	dir := filepath.Join(t.TempDir(), "data")
	must(t, os.Mkdir(dir, 0o700))
	exe := filepath.Join(t.TempDir(), "test")
	data, err := os.ReadFile(os.Args[0])
	must(t, err)
	must(t, os.WriteFile(exe, data, 0o755))
	for d := filepath.Dir(exe); d != "/"; d = filepath.Dir(d) {
		_ = os.Chmod(d, 0o755)
	}
	cmd := exec.Command(exe)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "PLIMSOLL_STORE_CHILD="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), strconv.Quote(dir)) || !strings.Contains(string(out), "permission denied") {
		t.Errorf("as nobody: got %q and error %v, want the folder and the reason", out, err)
	}
}

// TestMetrics registers the store's metrics, twice in the end, since Close unregisters them.
func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	for range 2 {
		db, err := Open(Options{Dir: t.TempDir(), Registerer: reg})
		must(t, err)
		must(t, db.Append(context.Background(), fleet(2)(time.Now())))
		families, err := reg.Gather()
		must(t, err)
		have := map[string]float64{}
		for _, f := range families {
			m := f.GetMetric()[0]
			have[f.GetName()] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
		for name, want := range map[string]float64{"plimsoll_store_samples_appended_total": 40, "plimsoll_store_series": 40, "plimsoll_store_healthy": 1, "plimsoll_store_append_duration_seconds": 1} {
			if have[name] != want {
				t.Errorf("%s: got %g, want %g", name, have[name], want)
			}
		}
		if have["plimsoll_store_bytes"] <= 0 {
			t.Errorf("plimsoll_store_bytes: got %g", have["plimsoll_store_bytes"])
		}
		if _, err := Open(Options{Dir: t.TempDir(), Registerer: reg}); err == nil {
			t.Error("a second store on one registry: no error")
		}
		must(t, db.Close())
	}
}

// TestConcurrentClose closes while others append and ask.
func TestConcurrentClose(t *testing.T) {
	db, err := Open(Options{Dir: t.TempDir()})
	must(t, err)
	done := make(chan struct{})
	k := newTicker(t, 50)
	go func() {
		defer close(done)
		for {
			if err := k.tick(db); err != nil {
				if !errors.Is(err, store.ErrClosed) {
					t.Errorf("Append: %v", err)
				}
				return
			}
			_, err := db.Query(context.Background(), store.Query{Row: fleetRow, Func: store.Last, Start: k.base, End: k.base.Add(time.Hour), Step: time.Second})
			if err != nil && !errors.Is(err, store.ErrClosed) {
				t.Errorf("Query: %v", err)
			}
		}
	}()
	time.Sleep(50 * time.Millisecond) // let it get going; nothing depends on how far
	must(t, db.Close())
	<-done
}

// A link or a pipe in the place of anything of the store's own is refused: what is there is not ours to change, and nobody waits for it.
func TestOpenFollowsNoLink(t *testing.T) {
	elsewhere := t.TempDir()
	precious := filepath.Join(elsewhere, "precious")
	must(t, os.WriteFile(precious, []byte("precious"), 0o600))
	for _, name := range []string{"tsdb", "broken", "decisions", "tsdb/wal", "tsdb/chunks_head", "tsdb/wal/00000000", "tsdb/wal/00000001", "tsdb/chunks_head/000001", "tsdb/01J00000000000000000000000", "tsdb/lock", "decisions/00000001"} {
		for what, spoil := range map[string]func(path string) error{
			"a link to a folder": func(path string) error { return os.Symlink(elsewhere, path) },
			"a link to a file":   func(path string) error { return os.Symlink(precious, path) },
			"a pipe":             func(path string) error { return unix.Mkfifo(path, 0o600) },
		} {
			dir := t.TempDir()
			path := filepath.Join(dir, name)
			must(t, errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), spoil(path)))
			if db, err := Open(Options{Dir: dir}); !errors.Is(err, disk.ErrNoFile) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s at %s: got %v, %v", what, name, db, err)
			}
		}
	}
	left, _ := os.ReadDir(elsewhere)
	if got, err := os.ReadFile(precious); err != nil || string(got) != "precious" || len(left) != 1 {
		t.Errorf("where the links lead to there are %v, and %q, %v", left, got, err)
	}
}

// Links that are put in the place of the store's own files while it is open change nothing where they lead to, and a clean end stays one.
func TestLinksWhileOpen(t *testing.T) {
	for what, link := range map[string]func(from, to string) error{"symbolic": os.Symlink, "hard": os.Link} {
		base := t.TempDir()
		elsewhere, dir := filepath.Join(base, "elsewhere"), filepath.Join(base, "data")
		precious, old := filepath.Join(elsewhere, "precious"), filepath.Join(elsewhere, "20000101T000000.000Z-old")
		must(t, os.Mkdir(elsewhere, 0o700))
		must(t, errors.Join(os.WriteFile(precious, []byte("precious"), 0o600), os.WriteFile(old, []byte("old"), 0o600)))
		db, err := Open(Options{Dir: dir})
		must(t, err)
		k := newTicker(t, 3)
		must(t, k.tick(db))
		mark := filepath.Join(db.engineDir(), cleanFile)
		must(t, errors.Join(link(precious, mark), link(precious, filepath.Join(dir, "probe")), os.Symlink(elsewhere, db.brokenDir())))
		if err := db.probe(); err != nil {
			t.Errorf("%s: probe: %v", what, err)
		}
		if err := trimBroken(db.brokenDir(), time.Now()); !errors.Is(err, disk.ErrNoFile) {
			t.Errorf("%s: what was set aside is in a folder elsewhere: got %v", what, err)
		}
		must(t, os.Remove(db.brokenDir()))
		must(t, db.Close())
		if got, err := os.ReadFile(precious); err != nil || string(got) != "precious" {
			t.Errorf("%s: where the link leads to is %q, %v", what, got, err)
		}
		if st, err := os.Lstat(mark); err != nil || !st.Mode().IsRegular() || st.Size() != 0 {
			t.Errorf("%s: the mark of a clean end is %v, %v", what, st, err)
		}
		if _, err := os.Stat(old); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		// A segment of which somebody keeps a copy by a hard link, with a torn tail: the copy stays as it is.
		names, err := segments(filepath.Join(dir, "tsdb", "wal"))
		must(t, err)
		torn := names[len(names)-1]
		st, err := os.Stat(torn)
		must(t, err)
		must(t, errors.Join(os.Truncate(torn, st.Size()-3), os.Link(torn, filepath.Join(elsewhere, "copy"))))
		db, err = Open(Options{Dir: dir})
		must(t, err)
		must(t, db.Close())
		if now, err := os.Stat(filepath.Join(elsewhere, "copy")); err != nil || now.Size() != st.Size()-3 {
			t.Errorf("%s: the copy has %d bytes, %v, want %d", what, now.Size(), err, st.Size()-3)
		}
	}
}
