package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func errorsJoin(errs ...error) error { return errors.Join(errs...) }

// cost is what a process used while it was watched.
type cost struct {
	cores float64
	mib   float64 // resident at the end
}

// child is this program again in another role, or Plimsoll, in a process of its own so that its cost is its own.
type child struct {
	cmd *exec.Cmd
	out bytes.Buffer
}

// start starts a role of this program.
func start(role string, env ...string) (*child, error) {
	c := &child{cmd: exec.Command("/proc/self/exe")}
	c.cmd.Env = append(append(os.Environ(), "PLIMSOLL_BENCH_ROLE="+role), env...)
	return c, c.begin()
}

func (c *child) begin() error {
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c.cmd.Start()
}

// end asks the process to end and waits for it.
func (c *child) end() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may be gone
	done := make(chan error, 1)
	go func() { done <- c.cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		_ = c.cmd.Process.Kill()
		<-done
		return errors.New("it did not end within 20 s of SIGTERM")
	}
}

// watch lets the process settle and then measures it.
func (c *child) watch(ctx context.Context, settle, during time.Duration) (cost, error) {
	if err := sleep(ctx, settle); err != nil {
		return cost{}, err
	}
	before, err := cpu(c.cmd.Process.Pid)
	if err != nil {
		return cost{}, fmt.Errorf("%w: %s", err, c.out.String())
	}
	began := time.Now()
	if err := sleep(ctx, during); err != nil {
		return cost{}, err
	}
	after, err := cpu(c.cmd.Process.Pid)
	if err != nil {
		return cost{}, fmt.Errorf("%w: %s", err, c.out.String())
	}
	mib, err := resident(c.cmd.Process.Pid)
	return cost{cores: (after - before) / time.Since(began).Seconds(), mib: mib}, err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// cpu returns the seconds of CPU that a process has used: its schedstat, in nanoseconds, over all threads.
func cpu(pid int) (float64, error) {
	dir := fmt.Sprintf("/proc/%d/stat", pid)
	raw, err := os.ReadFile(dir)
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+2:]))
	user, err := strconv.ParseFloat(f[11], 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseFloat(f[12], 64)
	const ticks = 100 // USER_HZ, on every Linux
	return (user + system) / ticks, err
}

// resident returns a process's resident memory in MiB.
func resident(pid int) (float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("no VmRSS of process %d", pid)
}
