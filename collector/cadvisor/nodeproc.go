package cadvisor

import (
	"math"
	"os"

	"github.com/prometheus/procfs"

	"plimsoll.dev/plimsoll/internal/metric"
)

// usage adds the machine's CPU and memory from /proc. Of vmstat there is no reader in procfs.
func (b *builder) usage(host procfs.FS, proc string) {
	if s, err := host.Stat(); err != nil {
		b.drop(reasonOf(err))
	} else if len(s.CPU) == 0 {
		b.drop("parse")
	} else {
		b.cpuTime(&s.CPUTotal)
	}
	if m, err := host.Meminfo(); err != nil {
		b.drop(reasonOf(err))
	} else {
		b.meminfo(&m)
	}
	if data, err := os.ReadFile(proc + "/vmstat"); err == nil {
		b.vmstat(data)
	}
}

// cpuTime adds the machine's CPU time. Guest time is part of user time already. All is what is neither idle nor
// iowait; steal is counted, since the machine had work and no CPU to spare.
func (b *builder) cpuTime(c *procfs.CPUStat) {
	system := c.System + c.IRQ + c.SoftIRQ
	b.add(metric.CPUUsage, "", hundredths(c.User+c.Nice+system+c.Steal))
	b.add(metric.CPUUser, "", hundredths(c.User+c.Nice))
	b.add(metric.CPUSystem, "", hundredths(system))
}

// hundredths takes out what adding up fractions adds: the kernel counts hundredths, and the fast reader adds those up.
// A counter that the two give in turn must not step back by the last bit.
func hundredths(seconds float64) float64 { return math.Round(seconds*100) / 100 }

// meminfo adds the machine's memory: usage is what is not free, the working set is that less the inactive
// file pages (as cAdvisor has it for a container).
func (b *builder) meminfo(m *procfs.Meminfo) {
	of := func(p *uint64) uint64 {
		if p == nil {
			return 0
		}
		return *p
	}
	total, free := of(m.MemTotalBytes), of(m.MemFreeBytes)
	if total == 0 || free > total {
		b.drop("parse")
		return
	}
	used := total - free
	b.count(metric.MemoryUsage, "", used)
	b.count(metric.MemoryWorkingSet, "", used-min(used, of(m.InactiveFileBytes)))
	b.count(metric.MemoryRSS, "", of(m.AnonPagesBytes))
	b.count(metric.MemoryCache, "", of(m.CachedBytes)+of(m.BuffersBytes))
	if of(m.SwapFreeBytes) <= of(m.SwapTotalBytes) {
		b.count(metric.MemorySwap, "", of(m.SwapTotalBytes)-of(m.SwapFreeBytes))
	}
}

// vmstat adds the machine's page faults, and its kills for want of memory (Linux 4.13).
func (b *builder) vmstat(data []byte) {
	for name, id := range map[string]metric.ID{
		"pgfault": metric.MemoryPageFaults, "pgmajfault": metric.MemoryMajorPageFaults, "oom_kill": metric.OOMKills,
	} {
		if n, ok := field(data, name); ok {
			b.count(id, "", n)
		}
	}
}
