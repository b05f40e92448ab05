package process

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Children are the processes of this one. Those that it starts are waited for by who started them. Others come to it because their parent
// ended: all of a container's to its first process, and those of its replicas to one that adopts. Run waits for them, so that they do not
// stay as zombies. Nobody else in a process that has a Children may start others.
type Children struct {
	mu    sync.Mutex
	own   map[int]*child // started here and not waited for yet
	seen  map[int]descendant
	adopt bool // orphans of what is started here come to this process
}

// child is a process that was started here, with the mark of its group.
type child struct{ mark string }

// descendant is a process below one of a marked group.
type descendant struct {
	start uint64
	mark  string // "": nobody knows whose it is
}

// NewChildren makes a Children. One process needs one.
func NewChildren() *Children {
	return &Children{own: map[int]*child{}, seen: map[int]descendant{}}
}

// Adopt makes the orphans of this process's descendants come to it instead of the machine's first process.
func (c *Children) Adopt() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot adopt orphans: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.adopt = true
	return nil
}

// start has a process started, which nobody else waits for until done is called.
func (c *Children) start(mark string, f func() (pid int, err error)) (pid int, done func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if pid, err = f(); err != nil {
		return 0, nil, err
	}
	x := &child{mark}
	c.own[pid] = x
	return pid, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.own[pid] == x { // its number may be another's by now
			delete(c.own, pid)
		}
	}, nil
}

// lookEvery is how often orphans are looked for.
const lookEvery = time.Second

// Run waits for the orphans that come, until ctx ends.
func (c *Children) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.tend()
		}
	}
}

// tend waits for orphans that have ended, and notes whose those are that live.
func (c *Children) tend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.adopt && os.Getpid() != 1 {
		return
	}
	for _, pid := range childrenOf(os.Getpid()) {
		if _, own := c.own[pid]; !own {
			_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		}
	}
	if c.adopt {
		c.look()
	}
}

// look notes all living descendants. The lock is held.
func (c *Children) look() {
	now := map[int]descendant{}
	var walk func(pid int, mark string)
	walk = func(pid int, mark string) {
		for _, kid := range childrenOf(pid) {
			if _, known := now[kid]; known {
				continue
			}
			start, living := startOf(kid)
			if living {
				now[kid] = descendant{start, mark}
			}
			walk(kid, mark)
		}
	}
	for pid, x := range c.own {
		walk(pid, x.mark)
	}
	for _, pid := range childrenOf(os.Getpid()) {
		if _, own := c.own[pid]; own {
			continue
		}
		start, living := startOf(pid)
		d := descendant{start: start}
		if was := c.seen[pid]; was.start == start {
			d.mark = was.mark
		}
		if living {
			now[pid] = d
		}
		walk(pid, d.mark)
	}
	c.seen = now
}

// of lists the living descendants of what was started under a mark, orphans included; "" lists those of which nobody knows whose they are.
func (c *Children) of(mark string) []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.adopt {
		return nil
	}
	c.look()
	var out []int
	for pid, d := range c.seen {
		if d.mark == mark {
			out = append(out, pid)
		}
	}
	return out
}

// childrenOf lists the children of a process.
func childrenOf(pid int) []int {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // gone meanwhile: it has none
	var out []int
	for _, f := range files {
		text, _ := os.ReadFile(f)
		for kid := range strings.FieldsSeq(string(text)) {
			if n, err := strconv.Atoi(kid); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}

// startOf is when a process began, in the kernel's ticks, and whether it is more than a zombie.
func startOf(pid int) (start uint64, living bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	_, after, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ") // the name may hold anything
	fields := strings.Fields(after)
	if len(fields) < 20 {
		return 0, false
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	return start, err == nil && fields[0] != "Z" && fields[0] != "X"
}
