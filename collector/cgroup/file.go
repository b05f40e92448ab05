package cgroup

import "golang.org/x/sys/unix"

// kind is a file that is read. A cgroup's files are read in this order: usage before what is subtracted from it.
type kind uint8

const (
	v1Usage kind = iota
	v1Throttling
	v1Memory
	v1MemoryStat
	v2CPU
	v2Memory
	v2MemoryStat
	nodeCPU // this and the following are the machine's, below /proc
	nodeMemory
	nodePressure
	numKinds
)

var kindNames = [numKinds]string{"cpuacct.usage", "cpu.stat", "memory.usage_in_bytes", "memory.stat", "cpu.stat", "memory.current", "memory.stat",
	"stat", "meminfo", "pressure/cpu"}

func (k kind) String() string { return kindNames[k] }

// The states of a file that has no descriptor.
const (
	fdEachTime = -1 // opened for each read: the budget of descriptors is spent
	fdMissing  = -2 // the cgroup has no such file: the controller is not enabled for it
	fdRefused  = -3 // could not be opened; file.why says why
)

// file is one file of a cgroup.
type file struct {
	fd   int32
	kind kind
	hier uint8
	why  reason // of the last read or open
}

// opener opens files within a budget of descriptors.
type opener struct {
	max, kept int
	reopened  func() // counts a read that had to open its file
}

// open opens a file to keep, and puts its state into f.
func (o *opener) open(f *file, name string) {
	if o.kept >= o.max {
		f.fd, f.why = fdEachTime, fine
		return
	}
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	switch why := reasonOf(err); {
	case err == nil:
		o.kept++
		f.fd, f.why = int32(fd), fine
	case why == gone:
		f.fd, f.why = fdMissing, fine
	case why == descriptors:
		f.fd, f.why = fdEachTime, fine
	default:
		f.fd, f.why = fdRefused, why
	}
}

// close gives the descriptor back, if there is one.
func (o *opener) close(f *file) {
	if f.fd >= 0 {
		_ = unix.Close(int(f.fd)) // a file that was only read has nothing to lose
		o.kept--
	}
	f.fd = fdMissing
}

// readOnce opens a file, reads it and closes it.
func (o *opener) readOnce(name string, buf []byte) (int, reason) {
	o.reopened()
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, reasonOf(err)
	}
	n, why := pread(fd, buf)
	_ = unix.Close(fd)
	return n, why
}

// pread reads a file from its beginning. One call is enough: the kernel makes a cgroup file's text in one piece.
func pread(fd int, buf []byte) (int, reason) {
	for {
		n, err := unix.Pread(fd, buf, 0)
		if err == nil {
			return n, fine
		}
		if err != unix.EINTR {
			return 0, reasonOf(err)
		}
	}
}

// spared is how many of the files that the process may open are left to the rest of it: its door, its store, its sockets.
const spared = 128

// descriptorBudget is three quarters of what the process may open, and less where that would leave too few to all else.
func descriptorBudget() int {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 768
	}
	return budgetOf(l.Cur)
}

func budgetOf(limit uint64) int {
	most := int(min(limit, 1<<20))
	return max(0, min(most*3/4, most-spared))
}
