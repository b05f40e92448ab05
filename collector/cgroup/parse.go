package cgroup

import "bytes"

// The parsers read the kernel's text without allocating. They trust nothing: a cgroup file can only be
// written by the kernel, but the reader may be pointed at any tree.

// maxValue bounds every number. 2^62 ns of CPU are 146 years, 2^62 bytes are 4 EiB: what is beyond is the kernel's own
// arithmetic gone below zero.
const maxValue = 1 << 62

// parseUint reads a file that holds one number.
func parseUint(b []byte) (uint64, reason) {
	v, n, why := leadingUint(b)
	if why != fine {
		return 0, why
	}
	if n != len(b) && (b[n] != '\n' || n+1 != len(b)) {
		return 0, parse
	}
	return v, fine
}

// leadingUint reads the digits at the beginning and says how many there were.
func leadingUint(b []byte) (v uint64, n int, why reason) {
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		if v > maxValue/10 {
			return 0, 0, overflow
		}
		if v = v*10 + uint64(b[n]-'0'); v >= maxValue {
			return 0, 0, overflow
		}
		n++
	}
	if n == 0 {
		if len(b) > 1 && b[0] == '-' && b[1] >= '0' && b[1] <= '9' {
			return 0, 0, overflow
		}
		return 0, 0, parse
	}
	return v, n, fine
}

// after finds a line by its key, which comes with a newline before it ("\nnr_periods "), so that it is one search; the first
// line of a file is found as well.
func after(b []byte, key string) (rest []byte, found bool) {
	if n := len(key) - 1; string(b[:min(len(b), n)]) == key[1:] {
		return b[n:], true
	}
	_, rest, found = bytes.Cut(b, []byte(key))
	return rest, found
}

// field finds the line "key value" and reads its value.
func field(b []byte, key string) (v uint64, found bool, why reason) {
	rest, found := after(b, key)
	if !found {
		return 0, false, fine
	}
	v, n, why := leadingUint(rest)
	if why != fine {
		return 0, true, why
	}
	// A number that runs to the end of what was read may have been cut off; the kernel ends each line.
	if n == len(rest) || rest[n] != '\n' {
		return 0, true, parse
	}
	return v, true, fine
}

// need is field for a line that must be there.
func need(b []byte, key string) (uint64, reason) {
	v, found, why := field(b, key)
	if !found {
		return 0, parse
	}
	return v, why
}

// throttling is how a CPU limit was at work: cpu.stat of version 1 and 2.
type throttling struct {
	periods, throttled uint64
	time               uint64 // in the file's own unit: nanoseconds in version 1, microseconds in 2
}

// parseThrottling reads the three values; found is false where the cpu controller is off (version 2).
func parseThrottling(b []byte, timeKey string) (x throttling, found bool, why reason) {
	x.periods, found, why = field(b, "\nnr_periods ")
	if !found || why != fine {
		return x, found, why
	}
	if x.throttled, why = need(b, "\nnr_throttled "); why != fine {
		return x, true, why
	}
	x.time, why = need(b, timeKey)
	return x, true, why
}

// parseProcStat reads the machine's CPU time from /proc/stat (proc(5)), in clock ticks: all but idle and iowait.
// Guest time is part of user time already. Steal is counted as used: the machine had work and no CPU to spare.
// The boot time is in Unix seconds, zero if it is not in the part that was read.
func parseProcStat(b []byte) (ticks, boot uint64, why reason) {
	rest, ok := bytes.CutPrefix(b, []byte("cpu "))
	if !ok {
		return 0, 0, parse
	}
	const idle, iowait, steal = 3, 4, 7
	for i := 0; i <= steal; i++ {
		rest = bytes.TrimLeft(rest, " ")
		v, n, why := leadingUint(rest)
		if why != fine {
			return 0, 0, why
		}
		rest = rest[n:]
		if len(rest) == 0 || rest[0] != ' ' && rest[0] != '\n' {
			return 0, 0, parse
		}
		if i != idle && i != iowait {
			ticks += v
		}
		if rest[0] == '\n' { // older kernels have fewer columns
			if i < iowait {
				return 0, 0, parse
			}
			break
		}
	}
	if ticks >= maxValue {
		return 0, 0, overflow
	}
	boot, _, _ = field(rest, "\nbtime ")
	return ticks, boot, fine
}

// memory is what /proc/meminfo says, in bytes.
type memory struct{ usage, workingSet uint64 }

// parseMeminfo reads the machine's memory: usage is what is not free, the kernel's own memory included, and the working set is
// that less the inactive file pages. For a root cgroup cAdvisor has anonymous memory and page cache alone.
func parseMeminfo(b []byte) (memory, reason) {
	var v [3]uint64
	for i, key := range [...]string{"\nMemTotal:", "\nMemFree:", "\nInactive(file):"} {
		var why reason
		if v[i], why = meminfoField(b, key); why != fine {
			return memory{}, why
		}
	}
	total, free, inactive := v[0], v[1], v[2]
	if free > total {
		return memory{}, parse
	}
	usage := total - free
	return memory{usage: usage, workingSet: usage - min(usage, inactive)}, fine
}

// meminfoField reads a line "key:   123 kB" into bytes.
func meminfoField(b []byte, key string) (uint64, reason) {
	b, _ = after(b, key) // if there is no such line, no number is found either
	b = bytes.TrimLeft(b, " ")
	v, n, why := leadingUint(b)
	if why != fine {
		return 0, why
	}
	if !bytes.HasPrefix(b[n:], []byte(" kB\n")) {
		return 0, parse
	}
	if v >= maxValue/1024 {
		return 0, overflow
	}
	return v * 1024, fine
}

// pressure is a PSI file (Documentation/accounting/psi.rst), in microseconds.
type pressure struct {
	some, full uint64
	hasFull    bool
}

// parsePressure reads the totals of a PSI file. Kernels before 5.13 have no "full" line for CPU.
func parsePressure(b []byte) (p pressure, why reason) {
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	if p.some, why = pressureTotal(line, "some "); why != fine {
		return p, why
	}
	if line, _, _ = bytes.Cut(rest, []byte("\n")); len(line) == 0 {
		return p, fine
	}
	p.full, why = pressureTotal(line, "full ")
	p.hasFull = why == fine
	return p, why
}

func pressureTotal(line []byte, kind string) (uint64, reason) {
	_, total, _ := bytes.Cut(line, []byte(" total="))
	if !bytes.HasPrefix(line, []byte(kind)) {
		return 0, parse
	}
	return parseUint(total)
}
