// Package doctor looks at what a machine allows a collector, each finding with its fix.
package doctor

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/collector/cadvisor"
	"plimsoll.dev/plimsoll/collector/cgroup"
	"plimsoll.dev/plimsoll/collector/host"
	"plimsoll.dev/plimsoll/collector/names"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Finding is one thing that was looked at.
type Finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // OK, Warn or Fail
	Found  string `json:"found"`
	Fix    string `json:"fix,omitempty"`
}

// The values of Finding.Status.
const (
	OK   = "ok"
	Warn = "warn"
	Fail = "fail"
)

// Examine looks at what a collector reads of a machine; each check stands alone.
func Examine(ctx context.Context, h host.Host) []Finding {
	return slices.Concat(cgroups(h), reading(h), here(h), sockets(ctx, h))
}

// here says what is taken from the container in which this runs instead of the machine.
func here(h host.Host) []Finding {
	var out []Finding
	for _, l := range h.Lacks() {
		out = append(out, Finding{"container", Warn, l.What, l.Fix})
	}
	return out
}

func cgroups(h host.Host) []Finding {
	info, err := cgroup.Detect(h)
	if err != nil {
		return []Finding{{"cgroups", Fail, err.Error(), "mount the cgroup file system, or say where it is with --cgroup-root"}}
	}
	out := []Finding{{"cgroups", OK, info.String(), ""}}
	if info.Memory == "" {
		out = append(out, Finding{"memory controller", Warn, "memory of containers cannot be read", "boot with cgroup_enable=memory, or on v2 write +memory to cgroup.subtree_control"})
	}
	if info.PSI {
		return append(out, Finding{"pressure (PSI)", OK, "the kernel accounts pressure", ""})
	}
	return append(out, Finding{"pressure (PSI)", Warn, "the kernel accounts no pressure: charts of it stay empty", info.PSIReason})
}

// reading reads everything once, as the collector does.
func reading(h host.Host) []Finding {
	n, err := names.New(names.Options{Host: h})
	if err != nil {
		return []Finding{{"reading", Fail, err.Error(), ""}}
	}
	return append(fast(h, n), full(h, n)...)
}

func fast(h host.Host, n *names.Names) []Finding {
	r, err := cgroup.New(cgroup.Options{Host: h, Namer: n})
	if err != nil {
		return []Finding{{"reading", Fail, err.Error(), "see the finding about cgroups"}}
	}
	defer r.Close()
	batch := r.Read(time.Now())
	out := []Finding{{"reading", OK, counted(batch), ""}}
	for _, u := range r.Unreadable() {
		f := Finding{"reading", Warn, fmt.Sprintf("%s of %d cgroups: %s (such as %q)", u.File, u.Count, u.Reason, u.Example), ""}
		if u.Reason == metric.GapPermission {
			f.Fix = "run as root, or let this user read the file"
		}
		out = append(out, f)
	}
	return out
}

// full reads with cAdvisor's readers too: limits, network, disks, kills.
func full(h host.Host, n *names.Names) []Finding {
	const check = "full reading"
	r, err := cadvisor.New(cadvisor.Options{Host: h, Namer: n})
	if err != nil {
		return []Finding{{check, Fail, err.Error(), "see the findings before this one"}}
	}
	batch := r.Read(time.Now())
	out := []Finding{{check, OK, counted(batch), ""}}
	if u := r.Unseen(); u > 0 {
		out = append(out, Finding{check, Warn, Hidden(u), HiddenFix})
	}
	if n := r.Closed(); n > 0 {
		out = append(out, Finding{check, Warn, fmt.Sprintf("uid %d may not count the open files of the processes of %d cgroups", os.Geteuid(), n),
			"run as root with CAP_SYS_PTRACE, or on Linux 6.2 or later, where all may count them"})
	}
	missed := map[string][]metric.Gap{}
	for _, g := range batch.Gaps {
		if g.Reason != metric.GapGone {
			missed[g.Reason] = append(missed[g.Reason], g)
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(missed)) {
		all := missed[reason]
		out = append(out, Finding{check, Warn, fmt.Sprintf("%d cgroups: %s (such as %s)", len(all), reason, all[0].Detail), ""})
	}
	if err := r.Filesystems(); err != nil {
		out = append(out, Finding{check, Warn, err.Error(), "mount the machine's / with all that is mounted below it, and say where with --host-root"})
	}
	return out
}

// Hidden says that a container has processes of its own.
func Hidden(cgroups int) string {
	return fmt.Sprintf("the processes of %d cgroups cannot be seen from this container: nobody knows their network, their number and their open files", cgroups)
}

// HiddenFix is what shows them.
const HiddenFix = "give the container the machine's processes: --pid host in Docker, hostPID: true in Kubernetes"

func counted(b *metric.Batch) string {
	return fmt.Sprintf("%d containers, services and cgroups, %d values in %v", len(b.Groups), b.Samples(), time.Since(b.Time).Round(time.Millisecond))
}

func sockets(ctx context.Context, h host.Host) []Finding {
	n, err := names.New(names.Options{Sockets: names.DefaultSockets(h)})
	if err != nil {
		return []Finding{{"runtime sockets", Warn, err.Error(), ""}}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var out []Finding
	for _, s := range n.Check(ctx) {
		switch {
		case s.Reachable:
			out = append(out, Finding{s.Runtime + " socket", OK, fmt.Sprintf("%s names %d containers", s.Path, s.Containers), ""})
		case s.Crowded:
			out = append(out, Finding{s.Runtime + " socket", Warn, fmt.Sprintf("%s could not be asked: %s", s.Path, s.Error), s.Fix})
		case s.Denied:
			out = append(out, Finding{s.Runtime + " socket", Warn, fmt.Sprintf("uid %d may not ask %s: its containers, if there are any, are shown by their ids", os.Geteuid(), s.Path), s.Fix})
		case s.Exists:
			out = append(out, Finding{s.Runtime + " socket", Warn, fmt.Sprintf("%s does not answer: %s; its containers are shown by their ids", s.Path, s.Error), s.Fix})
		}
	}
	if hidden := names.Hidden(h); len(hidden) > 0 {
		out = append(out, Finding{"runtime sockets", Warn, fmt.Sprintf("uid %d may not look for a runtime's socket in %s", os.Geteuid(), strings.Join(hidden, ", ")), "run as root, or as the user whose runtime it is"})
	}
	if len(out) > 0 {
		return out
	}
	if h.Isolated() {
		return []Finding{{"runtime sockets", Warn, "no socket of Docker or podman is to be seen from this container: if they run here, their containers are shown by their ids",
			"mount it: -v /var/run/docker.sock:/var/run/docker.sock in Docker; in a cluster the API server tells the names"}}
	}
	return []Finding{{"runtime sockets", OK, "neither Docker nor podman is here", ""}}
}

// Clock asks the kernel for its clock.
func Clock() Finding {
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	if err != nil {
		return Finding{"clock", Warn, fmt.Sprintf("cannot ask the kernel: %v", err), ""}
	}
	const unsynchronised = 5 // TIME_ERROR of adjtimex(2)
	if state == unsynchronised {
		return Finding{"clock", Warn, "the kernel says that the clock is not synchronised", "run chrony or systemd-timesyncd; one machine alone works, several would disagree about time"}
	}
	return Finding{"clock", OK, fmt.Sprintf("synchronised, error at most %v", time.Duration(tx.Maxerror)*time.Microsecond), ""}
}

// User says who this process is and what follows for replicas. What it may not read is told where that was tried.
func User(h host.Host) Finding {
	who := fmt.Sprintf("uid %d", os.Geteuid())
	if os.Geteuid() == 0 {
		who = "root"
	}
	who += ", Linux, " + runtime.GOARCH
	for _, dir := range cgroup.Mounts(h) {
		if err := unix.Access(dir, unix.W_OK); err != nil {
			return Finding{"user", OK, fmt.Sprintf("%s: may not make cgroups in %s (%v), so replicas of process services are measured by process, without a cgroup each", who, dir, err), ""}
		}
	}
	return Finding{"user", OK, who + ": gives each replica of a process service a cgroup", ""}
}

// enough is how many open files a Plimsoll on a small machine comes by with.
const enough = 1024

// Files says how many files this process may open.
func Files() Finding {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return Finding{"open files", Warn, fmt.Sprintf("cannot ask the kernel: %v", err), ""}
	}
	if l.Cur < enough {
		return Finding{"open files", Warn, fmt.Sprintf("%d at most: the store, the page and the readers may run out of them", l.Cur),
			"raise it to 1024 or more: LimitNOFILE= of a systemd unit, --ulimit nofile= of a container, ulimit -n of a shell"}
	}
	return Finding{"open files", OK, fmt.Sprintf("%d at most", l.Cur), ""}
}
