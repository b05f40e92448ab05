package api

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

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

// maxSilent is how many silent machines are told of by their names: nobody reads more.
const maxSilent = 20

// silent says as conditions which machines are silent. Those that were heard for longest come first, so that names that somebody made up for a
// moment are in nobody's way; what is beyond maxSilent is one condition.
func silent(s *live.Snapshot) []condition.Condition {
	gaps := silences(s)
	type machine struct {
		name  string
		gap   cluster.Gap
		heard time.Duration
	}
	var all []machine
	for _, n := range s.Nodes {
		if g, ok := gaps[n.Entity.Node]; ok {
			all = append(all, machine{n.Entity.Node, g, g.Since.Sub(n.First)})
		}
	}
	slices.SortFunc(all, func(x, y machine) int { return cmp.Or(cmp.Compare(y.heard, x.heard), strings.Compare(x.name, y.name)) })
	named := first(all, maxSilent)
	slices.SortFunc(named, func(x, y machine) int { return strings.Compare(x.name, y.name) })
	var out []condition.Condition
	for _, m := range named {
		out = append(out, condition.Ill("MachineHeard/"+m.name, "MachineSilent", fmt.Sprintf("machine %q is silent: %s", m.name, m.gap.Detail), m.gap.Since))
	}
	if rest := all[len(named):]; len(rest) > 0 {
		since := slices.MaxFunc(rest, func(x, y machine) int { return x.gap.Since.Compare(y.gap.Since) }).gap.Since
		out = append(out, condition.Ill("MachinesHeard", "MachinesSilent", fmt.Sprintf("%s more are silent, which were heard for a shorter time, such as %q; 'plimsoll top nodes' lists them", counted(len(rest), "machine"), rest[0].name), since))
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
