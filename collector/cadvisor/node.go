package cadvisor

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/cadvisor/lib/container/common"
	"github.com/google/cadvisor/lib/container/libcontainer"

	"plimsoll.dev/plimsoll/internal/metric"
)

// takeNode reads the node itself: the root cgroup, and what the machine tells elsewhere.
func (r *Reader) takeNode(b *metric.Batch) {
	m := r.machine.Load()
	g := &builder{points: make([]metric.Point, 0, 64), drop: r.drop}
	g.at(time.Now())
	if err := r.rootCgroup(g); err != nil {
		reason := reasonOf(err)
		r.drop(reason)
		b.Gaps = append(b.Gaps, metric.Gap{Entity: r.node, Reason: reason, Detail: err.Error()})
	}
	g.at(time.Now())
	r.rest(g, m)
	b.Groups = append(b.Groups, metric.Group{Entity: r.node, Start: m.booted, Points: g.points})
}

// rootCgroup reads what the root container, which is the whole machine, tells of network and disks. Its CPU and
// memory are not taken: on v1 they leave out kernel memory and most page faults, and the fast reader reads the
// same rows from /proc, as usage does here; two sources of one counter would look like resets.
func (r *Reader) rootCgroup(b *builder) error {
	if r.root == nil {
		t := &target{path: "/", paths: r.tree.mounts}
		own := map[string]string{}
		for c, d := range r.tree.mounts {
			if c != "pids" {
				own[c] = d
			}
		}
		m, err := libcontainer.NewCgroupManager("/", own)
		if err != nil {
			return fmt.Errorf("cannot read the root cgroup: %w", err)
		}
		t.manager = m
		r.root = t
	}
	s, err := libcontainer.NewHandler(r.root.manager, r.opt.Root, 1, r.kinds).GetStats()
	if err != nil {
		return fmt.Errorf("cannot read the root cgroup: %w", err)
	}
	b.at(s.Timestamp)
	if s.Network != nil {
		b.network(s.Network.Interfaces)
	}
	switch {
	case s.DiskIo != nil && len(s.DiskIo.IoServiceBytes) > 0:
		common.AssignDeviceNamesToDiskStats(r.machine.Load(), s.DiskIo)
		b.disk(s.DiskIo)
	default:
		b.diskstats(r.opt.Root)
	}
	return nil
}

// rest adds what no cgroup tells.
func (r *Reader) rest(b *builder, m *machineState) {
	cores, memory := float64(m.info.NumCores), m.info.MemoryCapacity
	b.add(metric.CPUCapacity, "", cores)
	b.add(metric.CPUAllocatable, "", cores)
	if memory > 0 {
		b.count(metric.MemoryCapacity, "", memory)
		b.count(metric.MemoryAllocatable, "", memory)
	}
	if !m.booted.IsZero() {
		b.add(metric.StartTime, "", float64(m.booted.Unix()))
	}
	b.usage(r.opt.Root)
	b.load(r.opt.Root)
	for _, x := range [...]struct {
		name             string
		waiting, stalled metric.ID
	}{
		{"cpu", metric.CPUWaiting, metric.CPUStalled},
		{"memory", metric.MemoryWaiting, metric.MemoryStalled},
		{"io", metric.IOWaiting, metric.IOStalled},
	} {
		if data, err := os.ReadFile(under(r.opt.Root, "proc/pressure/"+x.name)); err == nil {
			if some, full, ok := parsePressure(data); ok {
				b.pressure(x.waiting, x.stalled, some, full)
			}
		}
	}
	r.filesystems(b)
}

// load adds the load average and the numbers of processes and threads (proc(5), /proc/loadavg).
func (b *builder) load(root string) {
	data, err := os.ReadFile(under(root, "proc/loadavg"))
	if err != nil {
		b.drop(reasonOf(err))
		return
	}
	load1, threads, ok := parseLoad(string(data))
	if !ok {
		b.drop("parse")
		return
	}
	b.add(metric.LoadAverage1m, "", load1)
	b.count(metric.Threads, "", threads)
	d, err := os.Open(under(root, "proc"))
	if err != nil {
		return
	}
	defer func() { _ = d.Close() }() // it was only read
	names, err := d.Readdirnames(-1)
	if err != nil {
		return
	}
	n := uint64(0)
	for _, x := range names {
		if x[0] >= '0' && x[0] <= '9' {
			n++
		}
	}
	b.count(metric.Processes, "", n)
}

// parseLoad reads "0.20 0.18 0.12 1/80 11206".
func parseLoad(s string) (load1 float64, threads uint64, ok bool) {
	f := strings.Fields(s)
	if len(f) < 4 {
		return 0, 0, false
	}
	load1, err := strconv.ParseFloat(f[0], 64)
	if err != nil {
		return 0, 0, false
	}
	_, total, _ := strings.Cut(f[3], "/")
	threads, err = strconv.ParseUint(total, 10, 64)
	return load1, threads, err == nil
}

// parsePressure reads the totals of a pressure file, in microseconds:
// "some avg10=0.00 avg60=0.00 avg300=0.00 total=123" and the same for "full".
func parsePressure(data []byte) (some, full uint64, ok bool) {
	for line := range bytes.Lines(data) {
		kind, rest, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		_, total, found := bytes.Cut(rest, []byte("total="))
		if !found {
			continue
		}
		n, err := strconv.ParseUint(string(total), 10, 64)
		if err != nil {
			return 0, 0, false
		}
		switch string(kind) {
		case "some":
			some, ok = n, true
		case "full":
			full = n
		}
	}
	return some, full, ok
}

// sector is the unit of /proc/diskstats, whatever the device's own is.
const sector = 512

// diskstats adds the node's disks where the root cgroup does not tell of them (it does not on v1). Parts of
// disks, and disks that live in memory or in files, are left out.
func (b *builder) diskstats(root string) {
	data, err := os.ReadFile(under(root, "proc/diskstats"))
	if err != nil {
		b.drop(reasonOf(err))
		return
	}
	for line := range bytes.Lines(data) {
		f := strings.Fields(string(line))
		if len(f) < 10 || !physical(f[2]) {
			continue
		}
		var v [7]uint64 // reads, merged, sectors, ms; writes, merged, sectors
		for i := range v {
			if v[i], err = strconv.ParseUint(f[3+i], 10, 64); err != nil {
				break
			}
		}
		if err != nil {
			b.drop("parse")
			continue
		}
		name := "/dev/" + f[2]
		b.count(metric.DiskReads, name, v[0])
		b.count(metric.DiskRead, name, v[2]*sector)
		b.count(metric.DiskWrites, name, v[4])
		b.count(metric.DiskWrite, name, v[6]*sector)
	}
}

// physical says whether a block device is a whole disk with a device behind it.
func physical(name string) bool {
	_, err := os.Stat("/sys/block/" + name + "/device")
	return err == nil
}

// filesystems adds what Run last learnt of the file systems, unless that is old.
func (r *Reader) filesystems(b *builder) {
	d := r.disks.Load()
	if d == nil {
		return
	}
	if time.Since(d.at) > 3*r.opt.Interval {
		b.drop("stale")
		return
	}
	b.at(d.at)
	for i := range d.all {
		f := &d.all[i]
		b.count(metric.FilesystemUsage, f.Device, f.Capacity-f.Free)
		b.count(metric.FilesystemLimit, f.Device, f.Capacity)
		b.count(metric.FilesystemAvailable, f.Device, f.Available)
		if f.Inodes != nil && f.InodesFree != nil {
			b.count(metric.FilesystemInodes, f.Device, *f.Inodes)
			b.count(metric.FilesystemInodesFree, f.Device, *f.InodesFree)
		}
	}
}

// under puts a path below the host's root.
func under(root, path string) string {
	if root == "/" {
		return "/" + path
	}
	return root + "/" + path
}
