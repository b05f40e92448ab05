package main

import (
	"os"
	"time"

	"github.com/spf13/pflag"

	"plimsoll.dev/plimsoll/cmd/plimsoll/wiring"
)

// readingOptions say how this machine is read, by run and by collector.
type readingOptions struct {
	name, cgroupRoot string
	interval, fast   time.Duration
}

func (o *readingOptions) flags(f *pflag.FlagSet) {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	f.StringVar(&o.name, "node", host, "this machine's name in labels")
	f.StringVar(&o.cgroupRoot, "cgroup-root", "/sys/fs/cgroup", "where cgroups are mounted")
	f.DurationVar(&o.interval, "interval", 10*time.Second, "time between full readings, which go to the history")
	f.DurationVar(&o.fast, "fast-interval", time.Second, "time between fast readings of CPU and memory")
}

func (o *readingOptions) validate() error {
	if err := validInterval(o.interval); err != nil {
		return err
	}
	switch {
	case o.fast < 200*time.Millisecond || o.fast > o.interval:
		return usagef("--fast-interval %q: want 200ms to --interval (%q)", o.fast, o.interval)
	case o.name == "":
		return usagef(`--node "": want a name`)
	}
	return nil
}

func validInterval(d time.Duration) error {
	if d < time.Second || d > 10*time.Minute {
		return usagef("--interval %q: want 1s to 10m", d)
	}
	return nil
}

// node is the part that reads this machine.
func (o *readingOptions) node() wiring.Node {
	return wiring.Node{Name: o.name, CgroupRoot: o.cgroupRoot, Interval: o.interval, Fast: o.fast}
}
