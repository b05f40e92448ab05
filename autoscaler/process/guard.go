package process

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// guardName is the name (argv[0]) under which this program is a guard.
const guardName = "plimsoll-guard"

// guardOrder is what the guard has to clear when the process that it guards is gone.
type guardOrder struct {
	Dirs []string `json:"dirs,omitempty"` // cgroups
	Mark string   `json:"mark,omitempty"` // of processes that have no cgroup
}

// GuardMain must be called at the beginning of main, before anything else is done. If the program was started
// as a guard it does the guard's work and returns true; main then returns.
//
// A guard holds the reading end of a pipe that nothing is written to. It ends when the writing end is closed,
// that is, when Plimsoll has ended or was killed, after it has killed what Plimsoll's replicas left behind.
func GuardMain() bool {
	if len(os.Args) == 0 || os.Args[0] != guardName {
		return false
	}
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	if err := guard(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, guardName+":", err)
	}
	return true
}

func guard(in io.Reader, out io.WriteCloser) error {
	r := bufio.NewReader(in)
	line, err := r.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("cannot read what to guard: %w", err)
	}
	var order guardOrder
	if err := json.Unmarshal(line, &order); err != nil {
		return fmt.Errorf("cannot read what to guard: %w", err)
	}
	if _, err := io.WriteString(out, "ok\n"); err != nil {
		return fmt.Errorf("cannot answer: %w", err)
	}
	out.Close()
	_, _ = io.Copy(io.Discard, r) // until the other end is closed, however
	if len(order.Dirs) > 0 {
		return clearTree(order.Dirs, true)
	}
	return killAll(func() []int { return procsMarked(order.Mark) }, time.Now().Add(clearTimeout))
}

// guarding is a running guard.
type guarding struct {
	cmd    *exec.Cmd
	in     io.Closer
	exited chan struct{}
}

// guardTimeout is how long a guard may take to say that it is there.
const guardTimeout = 30 * time.Second

// startGuard starts a guard and returns when it is on watch.
func (s *Supervisor) startGuard() (*guarding, error) {
	order := guardOrder{Mark: s.token}
	cmd := &exec.Cmd{Path: cmp.Or(s.opts.guard, "/proc/self/exe"), Args: []string{guardName}, Dir: "/", Env: []string{"GOMAXPROCS=1", "GOGC=20"},
		Stderr: os.Stderr, SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	if s.cgroups != nil {
		order = guardOrder{Dirs: s.cgroups.dirs(s.cgroups.top)}
		cmd.ExtraFiles = []*os.File{s.cgroups.lock}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start a guard: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start a guard: %w", err)
	}
	defer r.Close()
	cmd.Stdout = w
	_, done, err := s.children.start("", func() (int, error) {
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		return cmd.Process.Pid, nil
	})
	w.Close()
	if err != nil {
		return nil, fmt.Errorf("cannot start a guard: %w", err)
	}
	g := &guarding{cmd: cmd, in: in, exited: make(chan struct{})}
	go func() { defer close(g.exited); _ = cmd.Wait(); done() }()
	line, err := json.Marshal(order)
	if err == nil {
		_, err = in.Write(append(line, '\n'))
	}
	if err == nil {
		_ = r.SetReadDeadline(time.Now().Add(guardTimeout))
		answer := make([]byte, 3)
		if _, err = io.ReadFull(r, answer); err == nil && string(answer) != "ok\n" {
			err = fmt.Errorf("it answered %q", answer)
		}
	}
	if err != nil {
		_ = cmd.Process.Kill()
		in.Close()
		<-g.exited
		return nil, fmt.Errorf("cannot start a guard: %w", err)
	}
	return g, nil
}

// keepGuard sees to it that there is a guard until ctx ends, and returns the last one (or nil).
func (s *Supervisor) keepGuard(ctx context.Context, g *guarding) *guarding {
	delay := time.Second
	for {
		if g != nil {
			began := time.Now()
			select {
			case <-ctx.Done():
				return g
			case <-g.exited:
			}
			g.in.Close()
			s.log.Warn("the guard process ended; starting another")
			if time.Since(began) > time.Minute {
				delay = time.Second
			}
		} else if !sleep(ctx, delay) {
			return nil
		}
		delay = min(2*delay, time.Minute)
		var err error
		if g, err = s.startGuard(); err != nil {
			s.log.Debug("cannot start a guard", "err", err)
		}
		s.mu.Lock()
		s.guardErr = err
		s.mu.Unlock()
	}
}

// end tells the guard that all is over and waits for it.
func (g *guarding) end() error {
	if g == nil {
		return nil
	}
	g.in.Close()
	select {
	case <-g.exited:
		return nil
	case <-time.After(clearTimeout + time.Second):
		return errors.Join(errors.New("the guard process did not end and is killed"), g.cmd.Process.Kill())
	}
}
