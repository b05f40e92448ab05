package cgroup

import (
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// ticksPerSecond is USER_HZ, the unit of /proc/stat: 100 on every architecture that Go runs on.
const ticksPerSecond = 100

// nodeKind is a file of the machine.
type nodeKind int

const (
	nodeCPU nodeKind = iota
	nodeMemory
	nodePressure
	numNodeKinds
)

var nodeFiles = [numNodeKinds]string{"stat", "meminfo", "pressure/cpu"}

// node reads the machine itself.
type node struct {
	entity *metric.Entity
	start  time.Time // when the machine booted
	proc   string
	files  [numNodeKinds]file
}

func newNode(name, proc string) *node {
	nd := &node{proc: proc, entity: &metric.Entity{Level: metric.Node, Node: name, ID: "/"}}
	for i := range nd.files {
		nd.files[i].fd = fdMissing
	}
	return nd
}

// open opens the files that are not open yet.
func (nd *node) open(o *opener) {
	for i := range nd.files {
		if f := &nd.files[i]; f.fd < 0 {
			o.open(f, nd.name(nodeKind(i)))
		}
	}
}

func (nd *node) close(o *opener) {
	for i := range nd.files {
		o.close(&nd.files[i])
	}
}

func (nd *node) name(k nodeKind) string { return nd.proc + "/" + nodeFiles[k] }

// read appends the machine's points.
func (nd *node) read(s *sampler) (why reason, which nodeKind) {
	for i := range nd.files {
		k, f := nodeKind(i), &nd.files[i]
		f.why = nd.one(s, k, f)
		if f.why != fine {
			s.drop(f.why)
			why, which = f.why, k
		}
	}
	return why, which
}

func (nd *node) one(s *sampler, k nodeKind, f *file) reason {
	var n int
	var why reason
	switch {
	case f.fd >= 0:
		n, why = pread(int(f.fd), s.buf)
	case f.fd == fdEachTime:
		n, why = s.opener.readOnce(nd.name(k), s.buf)
	case f.fd == fdRefused:
		return f.why
	case k == nodePressure:
		return fine // the kernel accounts none
	default:
		return gone
	}
	if why != fine {
		return why
	}
	return nd.parse(s, k, s.buf[:n], s.tick.Stamp())
}

func (nd *node) parse(s *sampler, k nodeKind, b []byte, t int64) reason {
	switch k {
	case nodeCPU:
		ticks, boot, why := parseProcStat(b)
		if why != fine {
			return why
		}
		if boot > 0 {
			nd.start = time.Unix(int64(boot), 0)
		}
		s.add(metric.CPUUsage, t, float64(ticks)/ticksPerSecond)
	case nodeMemory:
		m, why := parseMeminfo(b)
		if why != fine {
			return why
		}
		s.add(metric.MemoryUsage, t, float64(m.usage))
		s.add(metric.MemoryWorkingSet, t, float64(m.workingSet))
	case nodePressure:
		p, why := parsePressure(b)
		if why != fine {
			return why
		}
		s.add(metric.CPUWaiting, t, float64(p.some)/1e6)
		if p.hasFull {
			s.add(metric.CPUStalled, t, float64(p.full)/1e6)
		}
	}
	return fine
}
