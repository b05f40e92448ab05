package live

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/cluster"
)

const (
	// skew is how far a sample's time may lie after its batch's.
	skew = 5 * time.Second
	// endOfTime is the latest time that a sample can have, in Unix milliseconds: the year 2286. It keeps sums of
	// times within range.
	endOfTime = 1e13
	// maxSub is the longest name of an interface or a device.
	maxSub = 512
)

// Options are what a Picture needs.
type Options struct {
	// Inventory says which pods there are, for snapshots to tell; nil: nobody knows.
	Inventory cluster.Inventory
	// Nodes says which machines there are, and in which pools; nil: nobody knows.
	Nodes func() []*cluster.Node
	// Pods says whether the cluster has a pod of a name, which is unique in it then, and since when; nil: nobody knows of any.
	Pods       func(namespace, pod string) (since time.Time, known bool)
	Registerer prometheus.Registerer // nil: the own metrics are not registered
	// MaxForeign is how many entities are kept of what other machines send; 0: as many as of all.
	MaxForeign int
}

// limits say how samples age and how many are kept; times are in milliseconds. Tests make them small.
type limits struct {
	// stale is the shortest time without a sample after which a row of a lane has no current value; three sampling intervals if that is longer.
	stale [numLanes]int64
	// keep is how long the samples of a row of which windows are asked are kept, and so the longest window there is, and ring the most of them. Those are
	// what pods use of a resource; of all else the newest value and rate are asked, which are of two samples.
	keep uint32
	ring int
	// forget is how long an entity without samples is shown with its gap before it is dropped, forgetNodes the same for a node: people
	// look for a machine that died.
	forget, forgetNodes int64
	series              int // most rows, counted with their interfaces and devices, of one entity
	entities            int // most entities that senders know; groups of further ones are rejected and counted
	foreign             int // of them, those that others have sent
}

// usual are the limits of the product.
var usual = limits{stale: [...]int64{full: 35_000, fast: 5_000}, keep: 75_000, ring: 150, forget: 120_000, forgetNodes: 3600_000, series: 512, entities: 200_000, foreign: 200_000}
