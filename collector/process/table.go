package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/collector/cgroup/tick"
	"plimsoll.dev/plimsoll/internal/metric"
)

// process is one line of the table.
type process struct {
	pid int
	t   int64 // when it was read, Unix milliseconds
	stat
}

// table is all processes of the machine at one tick. It is used over and over.
type table struct {
	proc   string
	list   []process
	at     map[int]*process   // by PID
	kids   map[int][]*process // by PPID
	failed map[int]string     // PIDs that exist and could not be read, with the reason
	buf    []byte
	one    func(pid int) (stat, string) // reads one process: stat
}

func newTable(proc string) *table {
	x := &table{proc: proc, at: map[int]*process{}, kids: map[int][]*process{}, failed: map[int]string{}, buf: make([]byte, 1<<15)}
	x.one = x.stat
	return x
}

// read takes a new look.
func (x *table) read(tk tick.Tick) error {
	pids, err := x.pids()
	if err != nil {
		return err
	}
	x.fill(pids, tk)
	return nil
}

func (x *table) fill(pids []int, tk tick.Tick) {
	x.list = slices.Grow(x.list[:0], len(pids)) // it must not move: there are pointers into it
	clear(x.at)
	clear(x.failed)
	clear(x.kids)
	for _, pid := range pids {
		s, why := x.one(pid)
		if why == metric.GapGone {
			continue
		}
		if why != "" {
			x.failed[pid] = why
			continue
		}
		x.list = append(x.list, process{pid: pid, t: tk.Stamp(), stat: s})
		p := &x.list[len(x.list)-1]
		x.at[pid] = p
		x.kids[s.ppid] = append(x.kids[s.ppid], p)
	}
}

// pids lists the numbers in /proc.
func (x *table) pids() ([]int, error) {
	fd, err := unix.Open(x.proc, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	out := make([]int, 0, len(x.list)+64)
	var names []string
	for {
		n, err := unix.ReadDirent(fd, x.buf)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		_, _, names = unix.ParseDirent(x.buf[:n], -1, names[:0])
		for _, name := range names {
			if pid, err := strconv.Atoi(name); err == nil && pid > 0 {
				out = append(out, pid)
			}
		}
	}
	return out, nil
}

// stat reads one process. The reason is "" or why there is nothing.
func (x *table) stat(pid int) (s stat, why string) {
	fd, err := unix.Open(path.Join(x.proc, strconv.Itoa(pid), "stat"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return s, reasonOf(err)
	}
	n, err := unix.Pread(fd, x.buf, 0)
	_ = unix.Close(fd)
	if err != nil {
		return s, reasonOf(err)
	}
	s, ok := parseStat(x.buf[:n])
	if !ok {
		return s, "parse"
	}
	return s, ""
}

// reasonOf classifies an error of open or read.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESRCH):
		return metric.GapGone
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return metric.GapPermission
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return "descriptors"
	}
	return "io"
}

// errBoot is a /proc/stat without a boot time.
var errBoot = errors.New("no boot time in /proc/stat")

// boot is when the machine booted, which process start times count from. The kernel moves it when the clock is set.
func (x *table) boot() (time.Time, error) {
	b, err := os.ReadFile(path.Join(x.proc, "stat"))
	if err != nil {
		return time.Time{}, fmt.Errorf("cannot read the boot time: %w", err)
	}
	_, rest, ok := bytes.Cut(b, []byte("\nbtime "))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	v, good := number(line)
	if !ok || !good {
		return time.Time{}, errBoot
	}
	return time.Unix(int64(v), 0), nil
}
