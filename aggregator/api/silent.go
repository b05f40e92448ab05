package api

import (
	"fmt"
	"maps"
	"slices"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/condition"
)

// The last values of a machine that is silent, and of what is on it, are not taken for present ones: they are in no sum and order nobody.

// silences are the gaps of the machines that nothing is heard of, each of which tells how much is folded under it.
func silences(s *live.Snapshot) map[string]cluster.Gap {
	out, folded := map[string]cluster.Gap{}, map[string]int{}
	for _, it := range s.Containers {
		if it.Silent() {
			folded[it.Entity.Node]++
		}
	}
	for _, n := range s.Nodes {
		if !n.Silent() {
			continue
		}
		g := *gapOf(n.Gap)
		if k := folded[n.Entity.Node]; k > 0 {
			g.Detail += "; with it " + counted(k, "container")
		}
		out[n.Entity.Node] = g
	}
	return out
}

// counted writes a count with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// silent says as conditions which machines are silent.
func silent(s *live.Snapshot) []condition.Condition {
	var out []condition.Condition
	gaps := silences(s)
	for _, name := range slices.Sorted(maps.Keys(gaps)) {
		g := gaps[name]
		out = append(out, condition.Ill("MachineHeard/"+name, "MachineSilent", fmt.Sprintf("machine %q is silent: %s", name, g.Detail), g.Since))
	}
	return out
}

// mute takes the values away that change all the time. What the machine is made of stays.
func (n *Node) mute() {
	n.CPU, n.WorkingSet, n.Swap, n.Load1 = nil, nil, nil, nil
	n.CPUPressure, n.MemoryPressure, n.IOPressure = nil, nil, nil
	n.DiskRead, n.DiskWrite, n.DiskFree = nil, nil, nil
	n.NetReceive, n.NetTransmit, n.NetErrors = nil, nil, nil
}

// mute takes the values away that change all the time.
func (c *Container) mute() {
	c.CPU, c.WorkingSet, c.Throttled, c.Processes = nil, nil, nil, nil
	c.CPUPressure, c.MemoryPressure, c.IOPressure = nil, nil, nil
	c.DiskRead, c.DiskWrite, c.NetReceive, c.NetTransmit = nil, nil, nil, nil
}
