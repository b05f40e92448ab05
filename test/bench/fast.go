package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"plimsoll.dev/plimsoll/collector/cgroup"
	"plimsoll.dev/plimsoll/collector/names"
	"plimsoll.dev/plimsoll/internal/metric"
)

// passes is how often each side reads everything; the sides take turns.
const passes = 60

// reader compares the fast reader with bare preads of the same files on kept descriptors: the least that reading them can cost.
func (b *bench) reader(ctx context.Context) ([]result, error) {
	f, err := plant(b.cgroups)
	if err != nil {
		return nil, err
	}
	defer f.cut()
	n, err := names.New(names.Options{})
	if err != nil {
		return nil, err
	}
	r, err := cgroup.New(cgroup.Options{Node: "bench", Namer: only{n, "/" + f.name + "/"}})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	bare, err := openBare(f, r)
	if err != nil {
		return nil, err
	}
	defer bare.close()
	for range 5 { // both sides warm
		r.Read(time.Now())
		bare.read()
	}
	var ours, theirs []float64
	groups := 0
	for range passes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		ours = append(ours, onCPU(func() { groups = len(r.Read(time.Now()).Groups) }))
		theirs = append(theirs, onCPU(bare.read))
		time.Sleep(20 * time.Millisecond)
	}
	if groups < b.cgroups {
		return nil, fmt.Errorf("the reader saw %d of %d cgroups", groups, b.cgroups)
	}
	mine, least := median(ours), median(theirs)
	return []result{
		{Name: "fast reader, one pass of " + fmt.Sprint(b.cgroups) + " cgroups, against bare preads", Figure: mine / least, Unit: "x", Bar: 2, AtMost: true,
			Note: fmt.Sprintf("%.2f ms against %.2f ms of %d files", mine*1e3, least*1e3, len(bare.files))},
		{Name: "fast reader at 1 s", Figure: mine, Unit: "core", Bar: 0.02, AtMost: true},
	}, nil
}

// only lets a reader see one folder of cgroups.
type only struct {
	names *names.Names
	under string
}

// Name names what lies in the folder, and nothing else.
func (o only) Name(path string) (*metric.Entity, bool) {
	if path != "/" && (len(path) < len(o.under) || path[:len(o.under)] != o.under) {
		return nil, false
	}
	return o.names.Name(path)
}

// Waits is names' own.
func (o only) Waits(path string) bool { return o.names.Waits(path) }

// Turns is names' own.
func (o only) Turns() uint64 { return o.names.Turns() }

// bareFiles are descriptors of the files that the fast reader reads each second.
type bareFiles struct {
	files []*os.File
	buf   [8192]byte
}

func openBare(f *forest, r *cgroup.Reader) (*bareFiles, error) {
	var want [][2]string // mount, file
	info := r.Info()
	if info.Version == cgroup.V2 {
		want = [][2]string{{info.CPU, "cpu.stat"}, {info.Memory, "memory.current"}, {info.Memory, "memory.stat"}}
	} else {
		want = [][2]string{{info.CPU, "cpuacct.usage"}, {info.Throttling, "cpu.stat"}, {info.Memory, "memory.usage_in_bytes"}, {info.Memory, "memory.stat"}}
	}
	b := &bareFiles{}
	for i := range f.procs {
		for _, w := range want {
			if w[0] == "" {
				continue
			}
			file, err := os.Open(filepath.Join(w[0], f.name, fmt.Sprintf("c%04d", i), w[1]))
			if err != nil {
				return nil, errorsJoin(err, b.close())
			}
			b.files = append(b.files, file)
		}
	}
	return b, nil
}

func (b *bareFiles) read() {
	for _, f := range b.files {
		_, _ = syscall.Pread(int(f.Fd()), b.buf[:], 0)
	}
}

func (b *bareFiles) close() error {
	var errs []error
	for _, f := range b.files {
		errs = append(errs, f.Close())
	}
	return errorsJoin(errs...)
}

// onCPU returns the seconds of CPU of this process that a call takes.
func onCPU(call func()) float64 {
	before := used()
	call()
	return used() - before
}

func used() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
