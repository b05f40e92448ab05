package cadvisor

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/google/cadvisor/lib/container/common"
	"github.com/google/cadvisor/lib/container/libcontainer"
	"github.com/google/cadvisor/lib/model"

	"plimsoll.dev/plimsoll/internal/metric"
)

// errGone says that a cgroup was removed while it was read.
var errGone = errors.New("the cgroup was removed while it was read")

// container reads one cgroup.
func (r *Reader) container(e *metric.Entity, t *target) (metric.Group, error) {
	pids := r.proc.of(t)
	pid := r.network(t, pids)
	s, err := libcontainer.NewHandler(t.manager, "/", 0, r.kinds).GetStats() // no process: the network is read here
	if !t.still() {
		return metric.Group{}, fmt.Errorf("cannot read %q: %w", t.path, errGone)
	}
	if err != nil {
		return metric.Group{}, fmt.Errorf("cannot read %q: %w", t.path, err)
	}
	b := &builder{points: make([]metric.Point, 0, t.hint), drop: r.drop}
	b.at(s.Timestamp)
	r.resources(b, t, s)
	b.limits(&t.spec)
	if pid > 0 {
		b.network(ownProc, pid)
	}
	hidden, closed := r.proc.add(b, t, pids)
	if hidden {
		r.hidden++
	}
	if closed {
		r.barred++
	}
	start := r.began(t)
	if !start.IsZero() {
		b.add(metric.StartTime, "", float64(start.UnixMilli())/1e3)
	}
	t.hint = len(b.points)
	return metric.Group{Entity: e, Start: start, Points: b.points}, nil
}

// resources adds what the cgroup's controllers measure; one that the cgroup lacks gives no rows.
func (r *Reader) resources(b *builder, t *target, s *model.ContainerStats) {
	if s.Cpu != nil && t.in("cpuacct") != "" { // on v2 every cgroup has cpu.stat
		b.cpu(s.Cpu)
		b.throttling(s.Cpu, limited(&t.spec))
	}
	if s.Memory != nil && t.spec.HasMemory {
		b.memory(s.Memory)
		if s.Memory.MaxUsage > 0 {
			b.count(metric.MemoryPeak, "", s.Memory.MaxUsage)
		}
		if n, ok := kills(t); ok {
			b.count(metric.OOMKills, "", n)
		}
	}
	if s.DiskIo != nil {
		common.AssignDeviceNamesToDiskStats(r.machine.Load(), s.DiskIo)
		b.disk(s.DiskIo)
	}
	if t.psi {
		b.pressure(metric.CPUWaiting, metric.CPUStalled, s.Cpu.PSI.Some.Total, s.Cpu.PSI.Full.Total)
		b.pressure(metric.MemoryWaiting, metric.MemoryStalled, s.Memory.PSI.Some.Total, s.Memory.PSI.Full.Total)
		b.pressure(metric.IOWaiting, metric.IOStalled, s.DiskIo.PSI.Some.Total, s.DiskIo.PSI.Full.Total)
	}
}

func (r *Reader) drop(reason string) { r.dropped.WithLabelValues(reason).Inc() }

// gone says that an error comes from a cgroup that is not there any more: a file that is missing, or
// one that was open when the cgroup was removed.
func gone(err error) bool {
	return errors.Is(err, errGone) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV)
}

// reasonOf puts an error into one of a few words. On v2 the library keeps only the text of errors.
func reasonOf(err error) string {
	text := err.Error()
	switch {
	case gone(err), strings.Contains(text, "no such file"), strings.Contains(text, "no such device"):
		return metric.GapGone
	case errors.Is(err, fs.ErrPermission), strings.Contains(text, "permission denied"):
		return metric.GapPermission
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), strings.Contains(text, "too many open files"):
		return "descriptors"
	case strings.Contains(text, "pars"), strings.Contains(text, "malformed"), strings.Contains(text, "invalid"):
		return "parse"
	}
	return "io"
}
