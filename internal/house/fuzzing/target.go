package main

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// target is one fuzz function.
type target struct {
	dir, name string
}

// find lists the fuzz functions below a folder, in the order of the folders. Folders with a go.mod of their own are other modules.
func find(root, only string) ([]target, error) {
	match, err := regexp.Compile(only)
	if err != nil {
		return nil, fmt.Errorf("cannot read -only %q: %w", only, err)
	}
	var all []target
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, other := os.Stat(filepath.Join(path, "go.mod"))
			hidden := strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata"
			if path != root && (other == nil || hidden) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		names, err := declared(path)
		for _, name := range names {
			t := target{filepath.Dir(path), name}
			if match.MatchString(filepath.Base(t.dir) + "." + t.name) {
				all = append(all, t)
			}
		}
		return err
	})
	return all, err
}

// declared are the fuzz functions of a file.
func declared(path string) (names []string, err error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
			names = append(names, f.Name.Name)
		}
	}
	return names, nil
}

// build makes a package's test program, with the counters that guide the search in the code of this module, or in all there is.
func build(ctx context.Context, dir, to string, deep bool) error {
	args := []string{"test", "-c", "-vet=off", "-ldflags=-s -w", "-o", to}
	if deep {
		args = append(args, "-fuzz=.")
	} else {
		args = append(args, "-gcflags=plimsoll.dev/plimsoll/...=-d=libfuzzer")
	}
	said, err := exec.CommandContext(ctx, "go", append(args, "./"+dir)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot build the tests of %q: %w\n%s", dir, err, said)
	}
	return nil
}

var (
	progress = regexp.MustCompile(`execs: \d+ .*`)
	kept     = regexp.MustCompile(`Failing input written to (\S+)`)
	// ended is what Go says, now and then, where a target's time ends while an input is tried: no find.
	ended = regexp.MustCompile(`--- FAIL: \w+ \([0-9.]+s\)\n\s+context deadline exceeded\nFAIL\s*$`)
)

// run tries inputs for a while and returns the last line of progress.
func (t target) run(ctx context.Context, program string, o options) (string, error) {
	// Time out: a target that does not come back from an input hangs its worker for ever.
	ctx, cancel := context.WithTimeout(ctx, o.each+2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-test.run=^$", "-test.fuzz=^"+t.name+"$", "-test.fuzztime="+o.each.String(),
		"-test.fuzzminimizetime=5s", "-test.fuzzcachedir="+filepath.Join(o.cache, filepath.FromSlash(t.dir)), "-test.parallel=1")
	cmd.Dir = t.dir
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", max(runtime.NumCPU()/o.atOnce, 1)))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // its workers end when it does: their pipes close
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	return t.judge(ctx.Err(), err, said.Bytes())
}

// judge tells a find, and what cannot be told from one, from a target that has tried inputs until its time was over.
func (t target) judge(late, err error, said []byte) (string, error) {
	lines := progress.FindAll(said, -1)
	switch m := kept.FindSubmatch(said); {
	case m != nil:
		input, _ := os.ReadFile(filepath.Join(t.dir, string(m[1]))) // that it is not there is to be seen
		return "", fmt.Errorf("%s in %s: %w\n%sThe input:\n%.4096s\nAgain: go test -run='^%[1]s$/^%[6]s$' ./%[2]s", t.name, t.dir, err, said, input, filepath.Base(string(m[1])))
	case late != nil:
		return "", fmt.Errorf("%s in %s did not end in time, and was ended: %w\n%s", t.name, t.dir, late, said)
	case err != nil && (len(lines) == 0 || bytes.Count(said, []byte("--- FAIL")) != 1 || !ended.Match(said)):
		return "", fmt.Errorf("%s in %s: %w\n%s", t.name, t.dir, err, said)
	case len(lines) == 0:
		return "", fmt.Errorf("%s in %s tried nothing\n%s", t.name, t.dir, said)
	}
	return string(lines[len(lines)-1]), nil
}
