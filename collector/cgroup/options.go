package cgroup

import (
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/collector/host"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Namer names cgroups.
type Namer interface {
	// Name returns the entity of the cgroup at a path below the mount point ("/docker/3f.."), and false if it is not
	// a container and is not to be read. The pointer stays the same while the container lives and its
	// names stay. The path "/" may have the node's entity. Name is asked when a cgroup appears, each tick while
	// it is young or waits, when a child of it comes or goes, and every 10 s.
	Name(path string) (*metric.Entity, bool)
	// Waits says whether a cgroup that Name did not name is read as soon as somebody tells who it is.
	Waits(path string) bool
	// Turns is a number that grows when cgroups turned from a container into a part or a folder of others, or back: then all names are asked for.
	Turns() uint64
}

// Options says what a Reader reads.
type Options struct {
	// Host is where the machine's files are.
	Host host.Host
	// Node is the name of this machine.
	Node string
	// Namer names the containers. Required.
	Namer Namer
	// Logger gets what a person may want to know; nil discards.
	Logger *slog.Logger
	// Registerer takes the reader's own metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer

	// Only tests set what follows.
	maxCgroups     int // how many cgroups are followed at most; those beyond are counted and left out: 10000
	maxDescriptors int // how many files are kept open at most; those beyond are opened for each read: what descriptorBudget says
}

// rescan is how often all directories are compared with what is known, names are asked for again, and files that could not be
// opened are tried again.
const rescan = 10 * time.Second

// Validate reports the first thing that is wrong with the options.
func (o Options) Validate() error {
	if o.Namer == nil {
		return errors.New("cannot read cgroups without a namer")
	}
	return o.Host.Validate()
}

func (o Options) withDefaults() Options {
	o.Host = o.Host.Settled()
	if o.maxCgroups == 0 {
		o.maxCgroups = 10000
	}
	if o.maxDescriptors == 0 {
		o.maxDescriptors = descriptorBudget()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
