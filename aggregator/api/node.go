package api

import (
	"fmt"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// nodeOf makes the row of a machine, all but what is counted over its containers.
func nodeOf(it *live.Item) Node {
	n := Node{
		Name:           it.Entity.Node,
		Cores:          gauge(it, metric.CPUCapacity, decCores),
		Memory:         gauge(it, metric.MemoryCapacity, decBytes),
		CPU:            rate(it, metric.CPUUsage, decCores),
		WorkingSet:     gauge(it, metric.MemoryWorkingSet, decBytes),
		Swap:           gauge(it, metric.MemorySwap, decBytes),
		Load1:          gauge(it, metric.LoadAverage1m, decCount),
		CPUPressure:    share(it, metric.CPUWaiting),
		MemoryPressure: share(it, metric.MemoryWaiting),
		IOPressure:     share(it, metric.IOWaiting),
		DiskRead:       rate(it, metric.DiskRead, decBytes),
		DiskWrite:      rate(it, metric.DiskWrite, decBytes),
		NetReceive:     netRate(it, decBytes, metric.NetworkReceive),
		NetTransmit:    netRate(it, decBytes, metric.NetworkTransmit),
		NetErrors: netRate(it, decCount, metric.NetworkReceiveErrors, metric.NetworkTransmitErrors,
			metric.NetworkReceiveDropped, metric.NetworkTransmitDropped),
		Partial: partial(it),
		Parts:   partsOf(it),
		Source:  it.Source,
		Gap:     gapOf(it.Gap),
	}
	n.DiskFree, n.DiskSize, n.DiskDevice = fullest(it)
	if n.Gap == nil && n.Cores == nil && n.Memory == nil && it.Own.Has(metric.CPUUsage) {
		n.Gap = &cluster.Gap{Since: it.First.UTC(), Reason: metric.GapStarting, Detail: unsized}
	}
	return n
}

// unsized is why nothing is known of a machine's size though it is read.
const unsized = "how many cores and how much memory it has is not known yet: its collector says so with each full reading"

// have tells the rows of machines what the cluster says of them, and adds those of which nothing was ever heard.
func (p *picture) have(nodes []*cluster.Node) {
	for _, n := range nodes {
		i, found := slices.BinarySearchFunc(p.nodes, n.Name, func(row Node, name string) int { return strings.Compare(row.Name, name) })
		if !found {
			p.nodes = slices.Insert(p.nodes, i, Node{Name: n.Name, Gap: nobodyReads(n)})
		}
		p.nodes[i].Pool, p.nodes[i].Status = n.Pool, statusOf(n)
	}
}

// nobodyReads is the gap of a machine of which nothing was ever heard.
func nobodyReads(n *cluster.Node) *cluster.Gap {
	return &cluster.Gap{Since: n.Since.UTC(), Reason: metric.GapUnread, Detail: "no collector on it was ever heard"}
}

// statusOf says how a machine is as kubectl does, and what presses it.
func statusOf(n *cluster.Node) string {
	out := []string{"NotReady"}
	if n.Ready == "True" {
		out[0] = "Ready"
	}
	if n.Unschedulable {
		out = append(out, "SchedulingDisabled")
	}
	return strings.Join(append(out, n.Pressure...), ",")
}

// netRate sums counters over the machine's outward interfaces. What passes a bridge, a tunnel, a bond or a
// container's virtual cable passes a real interface too, or never leaves the machine: counting both would double it.
func netRate(it *live.Item, decimals int, ids ...metric.ID) *float64 {
	total, ok := 0.0, false
	for _, id := range ids {
		for _, v := range it.Row(id) {
			if v.Window > 0 && !virtual(v.Sub) {
				total, ok = total+v.Rate, true
			}
		}
	}
	return num(total, ok, decimals)
}

// inwardPrefixes begin the names of interfaces that are not counted.
var inwardPrefixes = [...]string{
	"veth", "docker", "br-", "cni", "flannel", "cali", "virbr", "vnet", "vmnet", "podman", "lxc", "nerdctl", "kube-",
	"dummy", "ifb", "bond", "team", "tun", "tap", "wg", "vxlan", "gre", "sit", "ip6tnl",
}

// inwardPattern is an RE2 expression that matches the whole names for which virtual is true.
var inwardPattern = `lo|.*\..*|(?:` + strings.Join(inwardPrefixes[:], "|") + `).*`

func virtual(iface string) bool {
	return iface == "lo" || strings.Contains(iface, ".") || begins(iface, inwardPrefixes[:]...) // eth0.7 is a VLAN on eth0
}

func begins(s string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

// fullest finds the real file system with the least of itself left.
func fullest(it *live.Item) (free, size *float64, device string) {
	best := 2.0
	for _, limit := range it.Row(metric.FilesystemLimit) {
		if limit.V <= 0 || !realDevice(limit.Sub) {
			continue
		}
		left, ok := available(it, &limit)
		if ratio := left / limit.V; ok && ratio < best {
			best, device = ratio, limit.Sub
			free, size = num(left, true, decBytes), num(limit.V, true, decBytes)
		}
	}
	return free, size, device
}

// available is what is left on a file system: as reported, else its size less its use.
func available(it *live.Item, limit *live.Value) (left float64, ok bool) {
	of := func(v live.Value) bool { return v.Sub == limit.Sub }
	free, used := it.Row(metric.FilesystemAvailable), it.Row(metric.FilesystemUsage)
	if i := slices.IndexFunc(free, of); i >= 0 {
		return free[i].V, true
	}
	if i := slices.IndexFunc(used, of); i >= 0 {
		return max(limit.V-used[i].V, 0), true
	}
	return 0, false
}

// realDevice tells disks from memory file systems, images mounted read-only and layers on top of another
// file system.
func realDevice(dev string) bool {
	if strings.HasPrefix(dev, "/dev/") || strings.Contains(dev, ":") { // a block device, or a server's path
		return !begins(dev, "/dev/loop", "/dev/shm", "/dev/ram")
	}
	switch kind, _, _ := strings.Cut(dev, "_"); kind {
	case "tmpfs", "shm", "overlay", "overlayfs", "devtmpfs", "none", "udev", "squashfs", "ramfs", "cgroup", "":
		return false
	}
	return !strings.HasPrefix(dev, "/") // a path is the mount point of a memory file system; a bare word is a pool
}

// together joins machines as the catalogue does; of disks the worst one counts.
func together(nodes []Node) Node {
	switch len(nodes) {
	case 0:
		return Node{}
	case 1:
		return nodes[0]
	}
	all, containers := Node{Name: fmt.Sprintf("%d machines", len(nodes))}, 0
	for i := range nodes {
		n := &nodes[i]
		if all.Gap == nil && n.Gap != nil {
			gap := *n.Gap
			gap.Detail = n.Name + ": " + gap.Detail // a sum's gap says whose it is
			all.Gap = &gap
		}
		if n.Gap != nil && n.Gap.Reason == metric.GapSilent {
			continue
		}
		cores, memory := n.Cores, n.Memory
		if n.CPU == nil { // a sum has the cores of those whose use is in it, and the memory
			cores = nil
		}
		if n.WorkingSet == nil {
			memory = nil
		}
		for _, f := range [...]struct {
			row      metric.ID
			to, from **float64
		}{
			{metric.CPUCapacity, &all.Cores, &cores}, {metric.MemoryCapacity, &all.Memory, &memory},
			{metric.CPUUsage, &all.CPU, &n.CPU}, {metric.MemoryWorkingSet, &all.WorkingSet, &n.WorkingSet},
			{metric.MemorySwap, &all.Swap, &n.Swap}, {metric.LoadAverage1m, &all.Load1, &n.Load1},
			{metric.DiskRead, &all.DiskRead, &n.DiskRead}, {metric.DiskWrite, &all.DiskWrite, &n.DiskWrite},
			{metric.NetworkReceive, &all.NetReceive, &n.NetReceive}, {metric.NetworkTransmit, &all.NetTransmit, &n.NetTransmit},
			{metric.NetworkReceiveErrors, &all.NetErrors, &n.NetErrors}, {metric.CPUWaiting, &all.CPUPressure, &n.CPUPressure},
			{metric.MemoryWaiting, &all.MemoryPressure, &n.MemoryPressure}, {metric.IOWaiting, &all.IOPressure, &n.IOPressure},
		} {
			*f.to = join(metric.Get(f.row).Join, *f.to, *f.from)
		}
		if fuller(n, &all) {
			all.DiskFree, all.DiskSize, all.DiskDevice = n.DiskFree, n.DiskSize, n.Name+" "+n.DiskDevice
		}
		if n.Containers != nil {
			containers += *n.Containers
			all.Containers = &containers
		}
	}
	all.lack(nodes)
	return all
}

// lack has the sum of machines say which of its parts it lacks, and of how many it is.
func (n *Node) lack(nodes []Node) {
	short := make([]bool, len(nodes))
	for _, f := range [...]struct {
		name string
		of   func(*Node) *float64
		use  func(*Node) *float64 // of whose use the sum is
	}{{"cpu", usedCPU, nil}, {"workingSet", usedMemory, nil}, {"cores", func(m *Node) *float64 { return m.Cores }, usedCPU}, {"memory", func(m *Node) *float64 { return m.Memory }, usedMemory}} {
		some := false
		for i := range nodes {
			if f.use != nil && (f.of(n) == nil || f.use(&nodes[i]) == nil) {
				continue
			}
			if f.of(&nodes[i]) == nil || slices.Contains(nodes[i].Partial, f.name) {
				short[i], some = true, true
			}
		}
		if some && f.of(n) != nil {
			n.Partial = append(n.Partial, f.name)
		}
	}
	if len(n.Partial) == 0 {
		return
	}
	n.Parts = &Parts{Of: len(nodes), Unit: "machines"}
	for _, lacks := range short {
		if !lacks {
			n.Parts.Counted++
		}
	}
}

func usedCPU(n *Node) *float64    { return n.CPU }
func usedMemory(n *Node) *float64 { return n.WorkingSet }

func fuller(n, than *Node) bool {
	if n.DiskFree == nil || n.DiskSize == nil {
		return false
	}
	return than.DiskSize == nil || *n.DiskFree**than.DiskSize < *than.DiskFree**n.DiskSize
}
