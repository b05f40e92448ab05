package cadvisor

import (
	"fmt"
	"os"
	"time"

	"github.com/google/cadvisor/lib/container/common"
	"github.com/google/cadvisor/lib/container/libcontainer"
	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/fs2"
	"github.com/prometheus/procfs"
	"github.com/prometheus/procfs/blockdevice"

	"plimsoll.dev/plimsoll/collector/host"
	"plimsoll.dev/plimsoll/internal/metric"
)

// readNode reads the node itself: the root cgroup, and what the machine tells elsewhere.
func (r *Reader) readNode(b *metric.Batch) {
	m := r.machine.Load()
	g := &builder{points: make([]metric.Point, 0, 64), drop: r.drop}
	g.at(time.Now())
	if err := r.rootCgroup(g); err != nil {
		r.gap(b, r.node, err)
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
		m, err := r.rootManager()
		if err != nil {
			return fmt.Errorf("cannot read the root cgroup: %w", err)
		}
		r.root = m
	}
	s, err := libcontainer.NewHandler(r.root, "/", 0, r.kinds).GetStats()
	if err != nil {
		return fmt.Errorf("cannot read the root cgroup: %w", err)
	}
	b.at(s.Timestamp)
	b.network(r.opt.Host.Proc, 1)
	if s.DiskIo != nil && len(s.DiskIo.IoServiceBytes) > 0 {
		common.AssignDeviceNamesToDiskStats(r.machine.Load(), s.DiskIo)
		b.disk(s.DiskIo)
	} else {
		all, err := diskstats(r.opt.Host)
		if err != nil {
			b.drop(reasonOf(err))
		}
		b.diskstats(all, r.opt.Host.Path("/sys/block"))
	}
	return nil
}

// rootManager is the library's reader of the root cgroup. On v2 the root lacks most files, which the library overlooks only at the usual
// place of the mount, and anywhere for a cgroup of who is not root.
func (r *Reader) rootManager() (cgroups.Manager, error) {
	if r.tree.v2 {
		return fs2.NewManager(&cgroups.Cgroup{Name: "/", Rootless: true, Resources: &cgroups.Resources{}}, r.tree.mounts[""])
	}
	return newManager("/", r.tree.mounts)
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
	b.usage(r.host, r.opt.Host.Proc)
	b.load(r.host, r.opt.Host.Proc)
	for _, x := range [...]struct {
		name             string
		waiting, stalled metric.ID
	}{
		{"cpu", metric.CPUWaiting, metric.CPUStalled},
		{"memory", metric.MemoryWaiting, metric.MemoryStalled},
		{"io", metric.IOWaiting, metric.IOStalled},
	} {
		if p, err := r.host.PSIStatsForResource(x.name); err == nil && p.Some != nil {
			full := procfs.PSILine{} // before Linux 5.13 there is none of the CPU
			if p.Full != nil {
				full = *p.Full
			}
			b.pressure(x.waiting, x.stalled, p.Some.Total, full.Total)
		}
	}
	r.filesystems(b)
}

// load adds the load average and the numbers of processes and threads.
func (b *builder) load(host procfs.FS, proc string) {
	data, err := os.ReadFile(proc + "/loadavg")
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
	if all, err := host.AllProcs(); err == nil {
		b.count(metric.Processes, "", uint64(len(all)))
	}
}

// parseLoad reads "0.20 0.18 0.12 1/80 11206" (proc(5)): procfs leaves out the threads, of which there are 80 here.
func parseLoad(s string) (load1 float64, threads uint64, ok bool) {
	var load5, load15 float64
	var running uint64
	_, err := fmt.Sscanf(s, "%f %f %f %d/%d", &load1, &load5, &load15, &running, &threads)
	return load1, threads, err == nil
}

// diskstats asks the kernel for the block devices.
func diskstats(h host.Host) ([]blockdevice.Diskstats, error) {
	devices, err := blockdevice.NewFS(h.Proc, h.Path("/sys"))
	if err != nil {
		return nil, err
	}
	return devices.ProcDiskstats()
}

// diskstats adds the node's disks where the root cgroup does not tell of them (it does not on v1). Parts of
// disks, and disks that live in memory or in files, are left out.
func (b *builder) diskstats(all []blockdevice.Diskstats, sys string) {
	for i := range all {
		d := &all[i]
		if _, err := os.Stat(sys + "/" + d.DeviceName + "/device"); err != nil {
			continue
		}
		name := "/dev/" + d.DeviceName
		b.count(metric.DiskReads, name, d.ReadIOs)
		b.count(metric.DiskRead, name, d.ReadSectors*procfs.SectorSize)
		b.count(metric.DiskWrites, name, d.WriteIOs)
		b.count(metric.DiskWrite, name, d.WriteSectors*procfs.SectorSize)
	}
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
		b.count(metric.FilesystemUsage, f.device, f.Capacity-f.Free)
		b.count(metric.FilesystemLimit, f.device, f.Capacity)
		b.count(metric.FilesystemAvailable, f.device, f.Available)
		if f.Inodes != nil && f.InodesFree != nil {
			b.count(metric.FilesystemInodes, f.device, *f.Inodes)
			b.count(metric.FilesystemInodesFree, f.device, *f.InodesFree)
		}
	}
}
