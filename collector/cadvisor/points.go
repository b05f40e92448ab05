package cadvisor

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/cadvisor/lib/model"
	"github.com/prometheus/procfs"

	"plimsoll.dev/plimsoll/internal/metric"
)

// builder collects the points of one group; a bad value is left out and counted.
type builder struct {
	points []metric.Point
	t      int64 // Unix milliseconds
	drop   func(reason string)
}

func (b *builder) at(t time.Time) { b.t = t.UnixMilli() }

// add takes one value in the row's base unit.
func (b *builder) add(id metric.ID, sub string, v float64) {
	if reason := bad(id, v); reason != "" {
		b.drop(reason)
		return
	}
	b.points = append(b.points, metric.Point{ID: id, Sub: sub, T: b.t, V: v})
}

// count takes a whole number.
func (b *builder) count(id metric.ID, sub string, v uint64) { b.add(id, sub, float64(v)) }

// bad says why a value cannot be, or "". A difference that the library took the wrong way round is near
// 2^64, above every bound.
func bad(id metric.ID, v float64) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 0):
		return "inf"
	case v < 0:
		return "negative"
	case v > most(metric.Get(id).Unit):
		return "absurd"
	}
	return ""
}

// most is more than any machine has of a unit.
func most(u metric.Unit) float64 {
	switch u {
	case metric.Bytes:
		return 1 << 60 // 1 EiB
	case metric.Seconds, metric.Time:
		return 1e11 // 3,000 years of CPU
	case metric.Cores:
		return 1e6
	}
	return 1 << 53 // whole numbers beyond are not exact any more
}

const nanoseconds = 1e9

// cpu adds the CPU's rows. Throttling is told of cgroups that have a limit or had one.
func (b *builder) cpu(s *model.CpuStats) {
	b.add(metric.CPUUsage, "", float64(s.Usage.Total)/nanoseconds)
	b.add(metric.CPUUser, "", float64(s.Usage.User)/nanoseconds)
	b.add(metric.CPUSystem, "", float64(s.Usage.System)/nanoseconds)
}

func (b *builder) throttling(s *model.CpuStats, limited bool) {
	if !limited && s.CFS.Periods == 0 {
		return
	}
	b.count(metric.CPUPeriods, "", s.CFS.Periods)
	b.count(metric.CPUThrottledPeriods, "", s.CFS.ThrottledPeriods)
	b.add(metric.CPUThrottled, "", float64(s.CFS.ThrottledTime)/nanoseconds)
}

// memory adds the memory's rows. The working set is usage less inactive file pages, never below zero
// (cAdvisor, lib/container/libcontainer/handler.go, setMemoryStats).
func (b *builder) memory(s *model.MemoryStats) {
	b.count(metric.MemoryUsage, "", s.Usage)
	b.count(metric.MemoryWorkingSet, "", s.WorkingSet)
	b.count(metric.MemoryRSS, "", s.RSS)
	b.count(metric.MemoryCache, "", s.Cache)
	b.count(metric.MemorySwap, "", s.Swap)
	b.count(metric.MemoryPageFaults, "", s.ContainerData.Pgfault)
	b.count(metric.MemoryMajorPageFaults, "", s.ContainerData.Pgmajfault)
}

// pressure adds one resource's stalls, whose totals the kernel gives in microseconds.
func (b *builder) pressure(waiting, stalled metric.ID, some, full uint64) {
	b.add(waiting, "", float64(some)/1e6)
	b.add(stalled, "", float64(full)/1e6)
}

// disk adds the bytes and operations of each block device.
func (b *builder) disk(s *model.DiskIoStats) {
	for _, d := range s.IoServiceBytes {
		b.device(metric.DiskRead, metric.DiskWrite, d)
	}
	for _, d := range s.IoServiced {
		b.device(metric.DiskReads, metric.DiskWrites, d)
	}
}

func (b *builder) device(read, write metric.ID, d model.PerDiskStats) {
	name := d.Device
	if name == "" {
		name = strconv.FormatUint(d.Major, 10) + ":" + strconv.FormatUint(d.Minor, 10)
	}
	b.count(read, name, d.Stats["Read"])
	b.count(write, name, d.Stats["Write"])
}

// passedOver are interfaces that carry the traffic of others, by how their names begin: cAdvisor leaves them out too.
var passedOver = [...]string{"lo", "veth", "docker", "nerdctl"}

// network adds the interfaces of a process, as the /proc at a path tells of them.
func (b *builder) network(proc string, pid int) {
	all, err := interfaces(proc, pid)
	if err != nil {
		b.drop(reasonOf(err))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if slices.ContainsFunc(passedOver[:], func(prefix string) bool { return strings.HasPrefix(strings.ToLower(name), prefix) }) {
			continue
		}
		n := all[name]
		b.count(metric.NetworkReceive, name, n.RxBytes)
		b.count(metric.NetworkTransmit, name, n.TxBytes)
		b.count(metric.NetworkReceiveErrors, name, n.RxErrors)
		b.count(metric.NetworkTransmitErrors, name, n.TxErrors)
		b.count(metric.NetworkReceiveDropped, name, n.RxDropped)
		b.count(metric.NetworkTransmitDropped, name, n.TxDropped)
	}
}

func interfaces(proc string, pid int) (procfs.NetDev, error) {
	all, err := procfs.NewFS(proc)
	if err != nil {
		return nil, err
	}
	p, err := all.Proc(pid)
	if err != nil {
		return nil, err
	}
	return p.NetDev()
}

// unlimited is from where on a memory limit means none: cgroup v1 says so with nearly 2^63, v2 with "max".
const unlimited = 1 << 60

// limits adds the limits of a cgroup's spec.
func (b *builder) limits(s *model.ContainerSpec) {
	if limited(s) {
		b.add(metric.CPULimit, "", float64(s.Cpu.Quota)/float64(s.Cpu.Period))
	}
	if s.HasMemory && s.Memory.Limit > 0 && s.Memory.Limit < unlimited {
		b.count(metric.MemoryLimit, "", s.Memory.Limit)
	}
}

// limited says whether a cgroup has a CPU limit.
func limited(s *model.ContainerSpec) bool {
	return s.Cpu.Quota > 0 && s.Cpu.Quota < math.MaxInt64 && s.Cpu.Period > 0
}
