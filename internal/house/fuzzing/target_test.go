package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The module has fuzz targets in many folders, and none is in a module or folder that is not its own.
func TestFind(t *testing.T) {
	all, err := find("../../..", "")
	if err != nil {
		t.Fatal(err)
	}
	dirs := map[string]bool{}
	for _, x := range all {
		dirs[x.dir] = true
		if strings.Contains(x.dir, "testdata") || x.name == "FuzzBad" || strings.HasPrefix(x.dir, "../../../test/") {
			t.Errorf("%v is none of this module's", x)
		}
	}
	if len(all) < 40 || len(dirs) < 20 {
		t.Errorf("found %d targets in %d folders: the search finds nothing", len(all), len(dirs))
	}
	some, err := find("../../..", `^cron\.FuzzParse$`)
	if err != nil || len(some) != 1 {
		t.Errorf("only one: got %v, %v", some, err)
	}
	if _, err := find(".", "("); err == nil {
		t.Error("no error for a regular expression that is none")
	}
}

// A target that fails is told, with its input, which is kept; the others run all the same.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module plimsoll.dev/plimsoll/made\n\ngo 1.26\n")
	write("made_test.go", `package made

import "testing"

func FuzzBad(f *testing.F) {
	f.Add("x")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1 && s[0] == 'b' {
			t.Error("as told")
		}
	})
}

func FuzzGood(f *testing.F) { f.Fuzz(func(*testing.T, []byte) {}) }
`)
	t.Chdir(dir)
	var out bytes.Buffer
	if code := run(context.Background(), []string{"-for=4s"}, &out); code != 1 {
		t.Errorf("code %d", code)
	}
	for _, want := range []string{"2 fuzz targets of 1 packages, ", "4s each, 2 at a time", "/2] . FuzzBad: FAILED", "/2] . FuzzGood: execs: ", "1 passed, 1 failed", "as told", "The input:\ngo test fuzz v1\nstring(\"b"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %s", want, out.String())
		}
	}
	if kept, err := filepath.Glob("testdata/fuzz/FuzzBad/*"); err != nil || len(kept) != 1 {
		t.Errorf("kept %v, %v", kept, err)
	}
	if code := run(context.Background(), []string{"-for=4s", "-only=none"}, &out); code != 1 {
		t.Errorf("no target: code %d", code)
	}
}

// That Go's own time was over is no find; whatever is said beside it is one, and so is a target that had to be ended.
func TestJudge(t *testing.T) {
	const tried = "fuzz: elapsed: 10s, execs: 430969 (49067/sec), new interesting: 2 (total: 4)\n"
	const over = "--- FAIL: FuzzX (10.08s)\n    context deadline exceeded\nFAIL\n"
	exit := errors.New("exit status 1")
	f := func(late, err error, said string, want string) {
		t.Helper()
		if _, got := (target{"d", "FuzzX"}).judge(late, err, []byte(said)); (got == nil) != (want == "") || got != nil && !strings.Contains(got.Error(), want) {
			t.Errorf("%q: got %v, want %q", said, got, want)
		}
	}
	f(nil, nil, tried+"PASS\n", "")
	f(nil, exit, tried+over, "")
	f(nil, exit, over, "exit status 1")
	f(nil, exit, tried+"--- FAIL: FuzzX (1.00s)\n    --- FAIL: FuzzX (0.00s)\n        x\n"+over, "exit status 1")
	f(nil, exit, tried+"--- FAIL: FuzzX (1.00s)\n    panic: x\nFAIL\n", "exit status 1")
	f(nil, exit, tried+"Failing input written to testdata/fuzz/FuzzX/ab12\n"+over, "go test -run='^FuzzX$/^ab12$' ./d")
	f(context.DeadlineExceeded, exit, tried, "FuzzX in d did not end in time")
}

// A whole deadline names what was not tried.
func TestMost(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	failed := runAll(ctx, []target{{"a", "FuzzA"}, {"b", "FuzzB"}}, nil, options{atOnce: 2}, &bytes.Buffer{})
	if got := errors.Join(failed...); len(failed) != 2 || !strings.Contains(got.Error(), "FuzzB in b was not tried") {
		t.Errorf("got %v", got)
	}
}
