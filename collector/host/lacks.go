package host

// Lack is something of the machine that is not seen from where this process runs.
type Lack struct{ What, Fix string }

// Lacks says what is taken from the container that this process runs in instead of the machine. On the machine itself that is nothing.
func (h Host) Lacks() []Lack {
	h = h.Settled()
	usual := Host{}.Settled()
	if !h.Isolated() {
		return nil
	}
	var out []Lack
	if h.Cgroups == usual.Cgroups && apart("cgroup", firstCgroups) {
		out = append(out, Lack{"the cgroups are those of this container alone", "mount the machine's /sys/fs/cgroup, and say where with --cgroup-root"})
	}
	if h.Proc == usual.Proc && Contained() {
		out = append(out, Lack{"the machine's network and number of processes are those of this container", "mount the machine's /proc, and say where with --proc-root"})
	}
	if h.Root == usual.Root {
		out = append(out, Lack{"the machine's file systems are those of this container", "mount the machine's / with all that is mounted below it (in Docker -v /:/host:ro,rslave), and say where with --host-root"})
	}
	return out
}

// Isolated says whether this process is in a container, as far as it can tell, or was told where the machine's files are.
func (h Host) Isolated() bool { return h.Told() || Contained() || apart("cgroup", firstCgroups) }

// Told says whether somebody said where the machine is: then what lacks was not meant to.
func (h Host) Told() bool { return h.Settled() != Host{}.Settled() }
