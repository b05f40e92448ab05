package cgroup

import (
	"time"

	"plimsoll.dev/plimsoll/collector/cgroup/tick"
	"plimsoll.dev/plimsoll/internal/metric"
)

// sampler turns the files of one cgroup into points. It is one value that is used over and over.
type sampler struct {
	tick   tick.Tick
	last   int64 // the newest stamp
	opener *opener
	drop   func(reason)
	buf    []byte
	points []metric.Point
	booted time.Time // when the machine was, once read
	usage  uint64    // the cgroup's memory usage, once read
	hasMem bool
}

// ticksPerSecond is USER_HZ, the unit of /proc/stat: 100 on every architecture that Go runs on.
const ticksPerSecond = 100

// machine is where the files of the machine itself are.
func machine(proc string) hierarchy {
	return hierarchy{dir: proc, kinds: []kind{nodeCPU, nodeMemory, nodePressure}}
}

// read appends the points of a cgroup. dead says that a file's cgroup or controller was removed; why is the worst
// that happened to any file.
func (s *sampler) read(ms *members, m *member) (dead bool, why reason, which kind) {
	s.hasMem = false
	for i := range m.files {
		f := &m.files[i]
		r := s.one(ms, m, f)
		if r == fine {
			continue
		}
		s.drop(r)
		f.why, why, which = r, r, f.kind
		dead = dead || r == gone
	}
	return dead, why, which
}

// maxRead is how long a read may take, in milliseconds, for its stamp to be that of what was read: 2 % of a second. maxReads is how often one is tried.
const maxRead, maxReads = 20, 3

// timely reads until a read has taken no longer than maxRead, and stamps it. Whoever is kept off the processor between the read and the stamp, as on a busy machine
// or at the end of a CPU limit's period, would have what was read be younger than it is, and the next second's rate too high.
func (s *sampler) timely(read func() (int, reason)) (n int, t int64, why reason) {
	for try := 1; ; try++ {
		n, why = read()
		begun := s.last
		if t = s.tick.Stamp(); why != fine || t-begun <= maxRead || try == maxReads {
			s.last = t
			return n, t, why
		}
		s.last = t
	}
}

// one reads one file. It returns why no sample came of it; a file that the cgroup does not have is fine, and so is a
// machine that accounts no pressure.
func (s *sampler) one(ms *members, m *member, f *file) reason {
	switch {
	case f.fd >= 0 || f.fd == fdEachTime:
	case f.fd == fdRefused:
		return f.why
	case f.kind == nodeCPU || f.kind == nodeMemory:
		return gone
	default:
		return fine
	}
	n, t, why := s.timely(func() (int, reason) {
		if f.fd >= 0 {
			return pread(int(f.fd), s.buf)
		}
		return s.opener.readOnce(ms.fileName(m, f), s.buf)
	})
	if why != fine {
		return why
	}
	f.why = fine
	return s.parse(f.kind, s.buf[:n], t)
}

// parse turns one file's text into points.
func (s *sampler) parse(k kind, b []byte, t int64) reason {
	switch k {
	case v1Usage:
		v, why := parseUint(b)
		if why == fine {
			s.add(metric.CPUUsage, t, float64(v)/1e9)
		}
		return why
	case v1Throttling:
		x, found, why := parseThrottling(b, "\nthrottled_time ")
		return s.throttled(x, found, why, t, 1e9)
	case v2CPU:
		v, why := need(b, "\nusage_usec ")
		if why != fine {
			return why
		}
		s.add(metric.CPUUsage, t, float64(v)/1e6)
		x, found, why := parseThrottling(b, "\nthrottled_usec ")
		return s.throttled(x, found, why, t, 1e6)
	case v1Memory, v2Memory:
		v, why := parseUint(b)
		if why == fine {
			s.usage, s.hasMem = v, true
			s.add(metric.MemoryUsage, t, float64(v))
		}
		return why
	case v1MemoryStat:
		return s.workingSet(b, "\ntotal_inactive_file ", t)
	case v2MemoryStat:
		return s.workingSet(b, "\ninactive_file ", t)
	case nodeCPU:
		ticks, boot, why := parseProcStat(b)
		if why != fine {
			return why
		}
		if boot > 0 {
			s.booted = time.Unix(int64(boot), 0)
		}
		s.add(metric.CPUUsage, t, float64(ticks)/ticksPerSecond)
		return fine
	case nodeMemory:
		m, why := parseMeminfo(b)
		if why == fine {
			s.add(metric.MemoryUsage, t, float64(m.usage))
			s.add(metric.MemoryWorkingSet, t, float64(m.workingSet))
		}
		return why
	case nodePressure:
		p, why := parsePressure(b)
		if why != fine {
			return why
		}
		s.add(metric.CPUWaiting, t, float64(p.some)/1e6)
		if p.hasFull {
			s.add(metric.CPUStalled, t, float64(p.full)/1e6)
		}
		return fine
	}
	return parse
}

// throttled adds what a CPU limit did, once one was at work.
func (s *sampler) throttled(x throttling, found bool, why reason, t int64, perSecond float64) reason {
	if why != fine || !found || x.periods == 0 {
		return why
	}
	s.add(metric.CPUPeriods, t, float64(x.periods))
	s.add(metric.CPUThrottledPeriods, t, float64(x.throttled))
	s.add(metric.CPUThrottled, t, float64(x.time)/perSecond)
	return fine
}

// workingSet adds usage less the inactive file pages, which the kernel can drop at once (cAdvisor's definition), never below zero:
// two files are never read at the same moment.
func (s *sampler) workingSet(b []byte, key string, t int64) reason {
	v, why := need(b, key)
	if why != fine {
		return why
	}
	if s.hasMem {
		s.add(metric.MemoryWorkingSet, t, float64(s.usage-min(s.usage, v)))
	}
	return fine
}

func (s *sampler) add(id metric.ID, t int64, v float64) {
	s.points = append(s.points, metric.Point{ID: id, T: t, V: v})
}
