package api

import (
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/metric"
)

// silentAfter is how long nothing must have come of a machine, by either lane, until the slow lane's last values are not taken for
// present ones any more: a little more than that lane's interval.
const silentAfter = 12 * time.Second

// silent says whether nothing has come of a machine for so long.
func silent(it *live.Item, now time.Time) bool {
	return it.Gap != nil && it.Gap.Reason != metric.GapStarting && now.Sub(it.Gap.Since) > silentAfter
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
