package main

import (
	"os"
	"time"

	"github.com/spf13/pflag"

	"plimsoll.dev/plimsoll/cmd/plimsoll/wiring"
	"plimsoll.dev/plimsoll/collector/host"
)

// readingOptions say how this machine is read, by run and by collector.
type readingOptions struct{ node wiring.Node }

func (o *readingOptions) flags(f *pflag.FlagSet) {
	name, err := os.Hostname()
	if err != nil {
		name = "localhost"
	}
	f.StringVar(&o.node.Name, "node", name, "this machine's name in labels")
	hostFlags(f, &o.node.Host)
	durationVar(f, &o.node.Interval, "interval", 10*time.Second, "time between full readings, which go to the history")
	durationVar(f, &o.node.Fast, "fast-interval", time.Second, "time between fast readings of CPU and memory")
}

// hostFlags are the flags by which the machine's files are found.
func hostFlags(f *pflag.FlagSet, h *host.Host) {
	f.StringVar(&h.Root, "host-root", "/", "where the machine's / is mounted, in a container such as /host")
	f.StringVar(&h.Cgroups, "cgroup-root", "", "where its cgroups are mounted; sys/fs/cgroup below --host-root if empty")
	f.StringVar(&h.Proc, "proc-root", "", "where its /proc is mounted; proc below --host-root if empty")
}

func validHost(h host.Host) error { return wrongUsage(h.Validate()) }

func (o *readingOptions) validate() error {
	if err := validHost(o.node.Host); err != nil {
		return err
	}
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
