package vmtest

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

//go:embed init.sh
var initScript string

// Inside skips the test unless it runs in the machine.
func Inside(t testing.TB) {
	t.Helper()
	if os.Getenv(Env) != "1" {
		t.Skip("runs in a virtual machine only (" + Env + "=1)")
	}
}

// Run builds the package's test binary, boots a machine with it, relays its output to t's log, and fails t if an
// inner test failed, skipped or was not found, or if the machine did not come to its end. One machine runs at a time,
// whatever packages are tested side by side; the wait is no part of its time. A machine whose pulse stops, or that
// ends before it has one, says nothing about the tests: the emulator or its kernel hung or panicked, as they do on a
// host that is busy at the wrong moment. It is replaced, twice at most, and the log says so.
// Run skips t with "needs ..." if qemu, a Debian cloud kernel or busybox is missing.
func Run(t *testing.T, o Options) {
	t.Helper()
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	o = o.withDefaults()
	tools, err := findTools()
	if err != nil {
		t.Skip(err.Error())
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "tests")
	if err := build(t.Context(), bin, o.Package); err != nil {
		t.Fatal(err)
	}
	mark := "vmtest-" + rand.Text()
	initrd := filepath.Join(dir, "initrd")
	if err := pack(initrd, bin, mark, tools, o); err != nil {
		t.Fatal(err)
	}
	done, err := turn(t.Context(), os.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	var text string
	var code int
	var ended bool
	for machine := 1; machine <= machines; machine++ {
		start := time.Now()
		out, bootErr := boot(t.Context(), initrd, tools, o)
		err = bootErr
		text, code, ended = split(out, mark)
		t.Logf("machine %d ran %.1f s and said:\n%s", machine, time.Since(start).Seconds(), text)
		if ended || !errors.Is(err, errNoPulse) {
			break
		}
		t.Logf("machine %d stopped: %v", machine, err)
	}
	if !ended {
		t.Fatalf("the machine did not come to its end: %v", err)
	}
	if err := verdict(text, code); err != nil {
		t.Error(err)
	}
}

const machines = 3 // how many are tried before Run gives up

type tools struct{ qemu, kernel, busybox string }

func findTools() (tools, error) {
	var x tools
	var err error
	if x.qemu, err = exec.LookPath("qemu-system-x86_64"); err != nil {
		return x, errors.New("needs qemu-system-x86_64: install Debian's qemu-system-x86")
	}
	if x.busybox, err = exec.LookPath("busybox"); err != nil {
		return x, errors.New("needs busybox: install Debian's busybox-static")
	}
	kernels, _ := filepath.Glob("/boot/vmlinuz-*-cloud-amd64")
	if len(kernels) == 0 {
		return x, errors.New("needs a kernel in /boot/vmlinuz-*-cloud-amd64: install Debian's linux-image-cloud-amd64")
	}
	x.kernel = kernels[len(kernels)-1]
	return x, nil
}

func build(ctx context.Context, bin, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-ldflags=-s -w", "-o", bin, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the tests of %q: %w\n%s", pkg, err, out)
	}
	if _, err := os.Stat(bin); err != nil {
		return fmt.Errorf("package %q has no tests", pkg)
	}
	return nil
}

// pack writes the initramfs.
func pack(to, bin, mark string, x tools, o Options) error {
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	a := newArchive(f)
	text := func(name, s string) { a.file(name, 0o755, int64(len(s)), strings.NewReader(s)) }
	a.copyFile("/bin/busybox", x.busybox)
	text("/init", initScript)
	text("/vmtest/env", "MARK="+mark+"\nCGROUP="+o.Cgroup+"\n")
	text("/vmtest/run", runScript(o))
	a.copyFile("/vmtest/tests", bin)
	a.dir("/vmtest/dir")
	dir := o.Package
	if st, err := os.Stat(dir); err == nil && st.IsDir() {
		a.copyTree("/vmtest/dir/testdata", filepath.Join(dir, "testdata"))
	}
	for in, from := range o.Files {
		a.copyFile(in, from)
	}
	if err := errors.Join(a.close(), f.Close()); err != nil {
		return fmt.Errorf("cannot write initramfs %q: %w", to, err)
	}
	return nil
}

// runScript is the shell script that starts the inner tests. They end a little before the machine would be
// ended, so that a test that hangs says where.
func runScript(o Options) string {
	var b strings.Builder
	b.WriteString("#!/bin/sh\nexport " + Env + "=1\n")
	for _, e := range o.Env {
		b.WriteString("export " + quote(e) + "\n")
	}
	b.WriteString("exec /vmtest/tests -test.v -test.run " + quote(o.Run) + " -test.timeout " + (o.Timeout * 8 / 10).String())
	for _, arg := range o.Args {
		b.WriteString(" " + quote(arg))
	}
	b.WriteString("\n")
	return b.String()
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// boot runs the machine to its end and returns what it wrote to its console. The error is errNoPulse if the machine
// hung or did not get as far as the tests, or says that the time was up. The kernel is told not to test its timer
// while it boots: that test panics when the host lets the machine wait.
func boot(ctx context.Context, initrd string, x tools, o Options) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.Timeout, fmt.Errorf("stopped after %v", o.Timeout))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	pulse := initrd + ".pulse"
	cmd := exec.CommandContext(ctx, x.qemu, "-accel", "tcg",
		"-m", strconv.Itoa(o.MemoryMiB), "-smp", strconv.Itoa(o.CPUs),
		"-kernel", x.kernel, "-initrd", initrd,
		"-append", strings.TrimSpace("console=ttyS0 quiet loglevel=1 panic=-1 psi=1 no_timer_check "+o.Cmdline),
		"-display", "none", "-serial", "stdio", "-serial", "file:"+pulse, "-monitor", "none", "-no-reboot", "-nic", "none")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 5 * time.Second
	_ = os.Remove(pulse) // of the machine before
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := watch(ctx, pulse, o.patience, func() time.Duration { return cpuTime(cmd.Process.Pid) }); err != nil {
			stop(err)
		}
	}()
	err := cmd.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	} else if st, statErr := os.Stat(pulse); statErr != nil || st.Size() == 0 {
		err = errors.Join(fmt.Errorf("%w: it ended before the tests began", errNoPulse), err)
	}
	stop(nil)
	<-watched
	return out.Bytes(), err
}

// split cuts the console's text at the line that carries the exit code.
func split(out []byte, mark string) (text string, code int, ended bool) {
	text = strings.ReplaceAll(string(out), "\r", "")
	before, after, found := strings.Cut(text, mark+" ")
	if !found {
		return text, 0, false
	}
	line, _, _ := strings.Cut(after, "\n")
	code, err := strconv.Atoi(strings.TrimSpace(line))
	return before, code, err == nil
}

var skipped = regexp.MustCompile(`(?m)^\s*--- SKIP: (\S+)`)

// verdict turns the inner tests' output and exit code into the outer test's error.
func verdict(text string, code int) error {
	switch m := skipped.FindStringSubmatch(text); {
	case code != 0:
		return fmt.Errorf("the tests in the machine failed with exit code %d", code)
	case strings.Contains(text, "testing: warning: no tests to run"):
		return errors.New("no test in the machine matched")
	case m != nil:
		return fmt.Errorf("test %q skipped in the machine", m[1])
	}
	return nil
}
