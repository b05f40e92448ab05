package cadvisor

import (
	"bytes"
	"os"
	"strconv"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
)

// userHZ is the unit of /proc/stat: 100 a second on every architecture that Go runs on.
const userHZ = 100

// usage adds the machine's CPU and memory from /proc.
func (b *builder) usage(root string) {
	if data, err := os.ReadFile(under(root, "proc/stat")); err != nil {
		b.drop(reasonOf(err))
	} else if c, ok := parseStat(data); !ok {
		b.drop("parse")
	} else {
		b.add(metric.CPUUsage, "", float64(c.all)/userHZ)
		b.add(metric.CPUUser, "", float64(c.user)/userHZ)
		b.add(metric.CPUSystem, "", float64(c.system)/userHZ)
	}
	if data, err := os.ReadFile(under(root, "proc/meminfo")); err != nil {
		b.drop(reasonOf(err))
	} else {
		b.meminfo(parseFields(data, 1024))
	}
	if data, err := os.ReadFile(under(root, "proc/vmstat")); err == nil {
		b.vmstat(parseFields(data, 1))
	}
}

// cpuTicks is the machine's CPU time in clock ticks.
type cpuTicks struct{ all, user, system uint64 }

// parseStat reads the first line of /proc/stat (proc(5)): user, nice, system, idle, iowait, irq, softirq, steal;
// guest time is part of user time already. All is what is neither idle nor iowait; steal is counted, since the
// machine had work and no CPU to spare.
func parseStat(data []byte) (cpuTicks, bool) {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	f := strings.Fields(string(line))
	if len(f) < 5 || f[0] != "cpu" {
		return cpuTicks{}, false
	}
	var v [8]uint64
	for i := range v {
		if i+1 >= len(f) {
			break
		}
		n, err := strconv.ParseUint(f[i+1], 10, 64)
		if err != nil {
			return cpuTicks{}, false
		}
		v[i] = n
	}
	c := cpuTicks{user: v[0] + v[1], system: v[2] + v[5] + v[6]}
	c.all = c.user + c.system + v[7]
	return c, true
}

// parseFields reads lines of a name and a number, as /proc/meminfo ("MemFree:  12 kB") and /proc/vmstat
// ("pgfault 12") have them; a line that is not one is passed over.
func parseFields(data []byte, scale uint64) map[string]uint64 {
	out := make(map[string]uint64, 64)
	for line := range bytes.Lines(data) {
		f := bytes.Fields(line)
		if len(f) < 2 {
			continue
		}
		if n, err := strconv.ParseUint(string(f[1]), 10, 64); err == nil && n < 1<<62/scale {
			out[string(bytes.TrimSuffix(f[0], []byte(":")))] = n * scale
		}
	}
	return out
}

// meminfo adds the machine's memory: usage is what is not free, the working set is that less the inactive
// file pages (as cAdvisor has it for a container).
func (b *builder) meminfo(m map[string]uint64) {
	total, free := m["MemTotal"], m["MemFree"]
	if total == 0 || free > total {
		b.drop("parse")
		return
	}
	used := total - free
	b.count(metric.MemoryUsage, "", used)
	b.count(metric.MemoryWorkingSet, "", used-min(used, m["Inactive(file)"]))
	b.count(metric.MemoryRSS, "", m["AnonPages"])
	b.count(metric.MemoryCache, "", m["Cached"]+m["Buffers"])
	if m["SwapFree"] <= m["SwapTotal"] {
		b.count(metric.MemorySwap, "", m["SwapTotal"]-m["SwapFree"])
	}
}

// vmstat adds the machine's page faults, and its kills for want of memory (Linux 4.13).
func (b *builder) vmstat(m map[string]uint64) {
	for name, id := range map[string]metric.ID{
		"pgfault": metric.MemoryPageFaults, "pgmajfault": metric.MemoryMajorPageFaults, "oom_kill": metric.OOMKills,
	} {
		if n, ok := m[name]; ok {
			b.count(id, "", n)
		}
	}
}
