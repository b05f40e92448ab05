package vmtest

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Env is the environment variable that is "1" inside the machine.
const Env = "PLIMSOLL_VM"

// The values of Options.Cgroup.
const (
	CgroupV2   = "v2"   // cgroup2 on /sys/fs/cgroup, every controller enabled for the root's children
	CgroupV1   = "v1"   // a tmpfs with cpu,cpuacct together (and links cpu and cpuacct), memory and pids, as systemd lays it out
	CgroupNone = "none" // nothing mounted; the test mounts what it wants
)

// Options says what runs in the machine and what the machine is like. The zero value runs the tests of the
// current package whose names begin with TestInVM.
type Options struct {
	// Package is what "go test -c" builds, as an import path or a path relative to the working folder of the
	// outer test, which is its package's. Default ".".
	Package string
	// Run is the pattern of the inner tests, as in "go test -run". Default "^TestInVM".
	Run string
	// Timeout bounds one machine's life. Default 15 minutes: what takes a minute takes ten on a busy host.
	Timeout time.Duration
	// Args are further arguments of the test binary.
	Args []string
	// Env are further "NAME=value" pairs of its environment.
	Env []string
	// Files are copied into the machine, by their absolute path there; the value is the file here.
	Files map[string]string
	// Cgroup is CgroupV2 (the default), CgroupV1 or CgroupNone.
	Cgroup string
	// Cmdline is added to the kernel's command line.
	Cmdline string
	// MemoryMiB and CPUs size the machine. Default 768 and 2.
	MemoryMiB, CPUs int

	patience time.Duration // how long a machine may work without a pulse; 0: 60 s
}

// Validate reports the first thing that is wrong with the options.
func (o Options) Validate() error {
	if _, err := regexp.Compile(o.Run); err != nil {
		return fmt.Errorf("cannot use test pattern %q: %w", o.Run, err)
	}
	switch o.Cgroup {
	case "", CgroupV2, CgroupV1, CgroupNone:
	default:
		return fmt.Errorf("cannot mount cgroup version %q: have v2, v1, none", o.Cgroup)
	}
	for in := range o.Files {
		if in == "" || in[0] != '/' {
			return fmt.Errorf("cannot place file %q in the machine: the path must be absolute", in)
		}
	}
	if o.Timeout < 0 || o.MemoryMiB < 0 || o.CPUs < 0 {
		return errors.New("cannot use a negative timeout, memory size or CPU count")
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.Package == "" {
		o.Package = "."
	}
	if o.Run == "" {
		o.Run = "^TestInVM"
	}
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Minute
	}
	if o.Cgroup == "" {
		o.Cgroup = CgroupV2
	}
	if o.MemoryMiB == 0 {
		o.MemoryMiB = 768
	}
	if o.CPUs == 0 {
		o.CPUs = 2
	}
	if o.patience == 0 {
		o.patience = time.Minute
	}
	return o
}
