package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// command is one process to start.
type command struct {
	argv, env []string
	dir       string
	group     group
	out       *os.File
	rights    bool // its programs may gain rights
}

// spawner starts processes from one operating system thread: the kernel's death signal for children is sent
// when the thread that started them ends, and only a thread of our own is sure to last as long as Plimsoll.
type spawner struct {
	work     chan func() // of a thread that may gain no rights, as what it starts then may not
	free     chan func() // of one that may
	children *Children
}

func newSpawner(c *Children) *spawner {
	return &spawner{work: make(chan func()), free: make(chan func()), children: c}
}

// run serves start requests until stop is closed, which must be after the last child was reaped.
func (s *spawner) run(stop <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		serve(s.free, stop)
	}()
	runtime.LockOSThread()                               // for good: the thread ends with this function, since it is no use to others any more
	_ = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) // every Linux that this runs on has it
	serve(s.work, stop)
	<-done
}

func serve(work <-chan func(), stop <-chan struct{}) {
	for {
		select {
		case f := <-work:
			f()
		case <-stop:
			return
		}
	}
}

// start starts a process and returns once it runs in its group. The process is not reaped before reap is called.
func (s *spawner) start(c command) (p *proc, err error) {
	done := make(chan struct{})
	work := s.work
	if c.rights {
		work = s.free
	}
	work <- func() {
		p, err = c.start(s.children)
		close(done)
	}
	<-done
	return p, err
}

func (c *command) start(children *Children) (*proc, error) {
	path, err := c.lookPath()
	if err != nil {
		return nil, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("cannot start %q: %w", c.argv[0], err)
	}
	defer null.Close()
	sys := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c.group.attr(sys)
	attr := &syscall.ProcAttr{Dir: c.dir, Env: c.env, Files: []uintptr{null.Fd(), c.out.Fd(), c.out.Fd()}, Sys: sys}
	traced := sys.Ptrace
	pid, done, err := children.start(c.group.name(), func() (int, error) {
		pid, err := syscall.ForkExec(path, c.argv, attr)
		if err != nil && traced && errors.Is(err, syscall.EPERM) {
			// Tracing is forbidden here: the process is put into its group a moment after it began.
			sys.Ptrace, traced = false, false
			pid, err = syscall.ForkExec(path, c.argv, attr)
		}
		return pid, err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot start %q: %w", path, err)
	}
	p := &proc{pid: pid, started: time.Now(), exited: make(chan struct{}), done: done}
	err = c.settle(pid, traced)
	go p.watch()
	if err != nil {
		p.signal(syscall.SIGKILL)
		<-p.exited
		p.reap()
		return nil, fmt.Errorf("cannot start %q: %w", path, err)
	}
	return p, nil
}

// settle puts the process into its group and lets it go. A traced process stands still at its first instruction,
// so that nothing of it can run, or fork, outside.
func (c *command) settle(pid int, traced bool) error {
	if !traced {
		return c.group.attach(pid)
	}
	var ws syscall.WaitStatus
	if err := wait(pid, &ws, syscall.WALL); err != nil {
		return fmt.Errorf("cannot wait for its first instruction: %w", err)
	}
	if !ws.Stopped() {
		return fmt.Errorf("it ended before its first instruction (%s)", describe(ws))
	}
	if err := c.group.attach(pid); err != nil {
		return err
	}
	if err := syscall.PtraceDetach(pid); err != nil {
		return fmt.Errorf("cannot let it run: %w", err)
	}
	return nil
}

// lookPath finds the program: a name on the PATH, or a path, which is relative to the service's directory.
func (c *command) lookPath() (string, error) {
	name := c.argv[0]
	if c.dir != "" {
		if st, err := os.Stat(c.dir); err != nil {
			return "", fmt.Errorf("cannot start %q: cannot use directory %q: %w", name, c.dir, errors.Unwrap(err))
		} else if !st.IsDir() {
			return "", fmt.Errorf("cannot start %q: %q is not a directory", name, c.dir)
		}
	}
	if strings.Contains(name, "/") && !filepath.IsAbs(name) && c.dir != "" {
		name = filepath.Join(c.dir, name)
	}
	path, err := exec.LookPath(name)
	if err != nil {
		var inner *fs.PathError
		if errors.As(err, &inner) {
			err = inner // names the operation and the path again
		}
		return "", fmt.Errorf("cannot start %q: %w", name, errors.Unwrap(err))
	}
	return path, nil
}

// proc is a started process. Until reap is called its number stays taken, so that signals cannot reach a stranger.
type proc struct {
	pid     int
	started time.Time
	exited  chan struct{} // closed when it has ended
	done    func()        // says that it was waited for

	mu     sync.Mutex
	reaped bool
}

// watch closes exited when the process has ended, and leaves it to be reaped.
func (p *proc) watch() {
	for unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	close(p.exited)
}

// signal sends a signal to the process and its process group.
func (p *proc) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return
	}
	if group, err := syscall.Getpgid(p.pid); err == nil && group != p.pid {
		_ = syscall.Kill(p.pid, sig) // it has moved to another group
	}
	_ = syscall.Kill(-p.pid, sig)
}

// reap kills what is left of the process group, frees the number of the process, which must have ended, and says how it ended.
// It is called once.
func (p *proc) reap() (ws syscall.WaitStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	_ = wait(p.pid, &ws, 0)
	p.reaped = true
	p.done()
	return ws
}

// wait waits for a child, whatever interrupts it.
func wait(pid int, ws *syscall.WaitStatus, options int) error {
	for {
		if _, err := syscall.Wait4(pid, ws, options, nil); err != syscall.EINTR {
			return err
		}
	}
}

// describe tells how a process ended.
func describe(ws syscall.WaitStatus) string {
	switch {
	case ws.Signaled():
		s := "was killed by " + unix.SignalName(ws.Signal())
		if ws.CoreDump() {
			s += " (core dumped)"
		}
		return s
	case ws.Exited():
		return fmt.Sprintf("exited with status %d", ws.ExitStatus())
	}
	return fmt.Sprintf("ended with wait status %#x", uint32(ws))
}

// runFor runs a short command in a group and waits for it, for at most the given time.
func (s *spawner) runFor(ctx context.Context, c command, limit time.Duration) error {
	p, err := s.start(c)
	if err != nil {
		return err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		err = fmt.Errorf("%q took more than %s", c.argv[0], limit)
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.signal(syscall.SIGKILL)
	<-p.exited
	if ws := p.reap(); err == nil && ws.ExitStatus() != 0 {
		err = fmt.Errorf("%q %s", c.argv[0], describe(ws))
	}
	return err
}
