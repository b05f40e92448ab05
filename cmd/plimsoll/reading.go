package main

import (
	"os"
	"time"

	"github.com/spf13/pflag"

	"plimsoll.dev/plimsoll/cmd/plimsoll/wiring"
)

// readingOptions say how this machine is read, by run and by collector.
type readingOptions struct{ node wiring.Node }

func (o *readingOptions) flags(f *pflag.FlagSet) {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	f.StringVar(&o.node.Name, "node", host, "this machine's name in labels")
	f.StringVar(&o.node.CgroupRoot, "cgroup-root", "/sys/fs/cgroup", "where cgroups are mounted")
	durationVar(f, &o.node.Interval, "interval", 10*time.Second, "time between full readings, which go to the history")
	durationVar(f, &o.node.Fast, "fast-interval", time.Second, "time between fast readings of CPU and memory")
}

func (o *readingOptions) validate() error {
	if err := validInterval(o.node.Interval); err != nil {
		return err
	}
	switch {
	case o.node.Fast < 200*time.Millisecond || o.node.Fast > o.node.Interval:
		return usagef("--fast-interval %q: want 200ms to --interval (%q)", o.node.Fast, o.node.Interval)
	case o.node.Name == "":
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
