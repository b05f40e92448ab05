package cgroup

import (
	"errors"
	"fmt"
	"log/slog"
	"path"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/metric"
)

// Namer names cgroups.
type Namer interface {
	// Name returns the entity of the cgroup at a path below the mount point ("/docker/3f.."), and false if it is not
	// a container and is not to be read. The pointer stays the same while the container lives and its
	// names stay. The path "/" may have the node's entity. Name is asked when a cgroup appears, each tick while
	// it is young, when a child of it comes or goes, and every Options.Rescan.
	Name(path string) (*metric.Entity, bool)
}

// Options says what a Reader reads.
type Options struct {
	// Root is where the cgroup file systems are mounted. Default /sys/fs/cgroup.
	Root string
	// Proc is where the proc file system is mounted. Default /proc.
	Proc string
	// Node is the name of this machine.
	Node string
	// Namer names the containers. Required.
	Namer Namer
	// MaxCgroups is how many cgroups are followed at most; those beyond are counted and left out. Default 10000.
	MaxCgroups int
	// MaxDescriptors is how many files are kept open at most; the files beyond are opened for each read.
	// Default: three quarters of what RLIMIT_NOFILE allows the process.
	MaxDescriptors int
	// Rescan is how often all directories are compared with what is known, names are asked for again, and
	// files that could not be opened are tried again. Default 10 s.
	Rescan time.Duration
	// Logger gets what a person may want to know; nil discards.
	Logger *slog.Logger
	// Registerer takes the reader's own metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
}

// Validate reports the first thing that is wrong with the options.
func (o Options) Validate() error {
	if o.Namer == nil {
		return errors.New("cannot read cgroups without a namer")
	}
	for _, p := range []string{o.Root, o.Proc} {
		if p != "" && !path.IsAbs(p) {
			return fmt.Errorf("cannot read cgroups at %q: the path must be absolute", p)
		}
	}
	if o.MaxCgroups < 0 || o.MaxDescriptors < 0 {
		return fmt.Errorf("cannot keep %d cgroups and %d descriptors: the limits must not be negative", o.MaxCgroups, o.MaxDescriptors)
	}
	if o.Rescan < 0 {
		return fmt.Errorf("cannot rescan every %v: the interval must not be negative", o.Rescan)
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Root == "" {
		o.Root = "/sys/fs/cgroup"
	}
	if o.Proc == "" {
		o.Proc = "/proc"
	}
	o.Root, o.Proc = path.Clean(o.Root), path.Clean(o.Proc)
	if o.MaxCgroups == 0 {
		o.MaxCgroups = 10000
	}
	if o.MaxDescriptors == 0 {
		o.MaxDescriptors = descriptorBudget()
	}
	if o.Rescan == 0 {
		o.Rescan = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
