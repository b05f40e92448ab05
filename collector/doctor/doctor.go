// Package doctor looks at what a machine allows a collector, each finding with its fix.
package doctor

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/collector/cgroup"
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

// Examine looks at what a collector reads, with cgroups mounted at root; each check stands alone.
func Examine(ctx context.Context, root string) []Finding {
	return append(append(cgroups(root), reading(root)...), sockets(ctx)...)
}

func cgroups(root string) []Finding {
	info, err := cgroup.Detect(root)
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
func reading(root string) []Finding {
	n, err := names.New(names.Options{})
	if err != nil {
		return []Finding{{"reading", Fail, err.Error(), ""}}
	}
	r, err := cgroup.New(cgroup.Options{Root: root, Namer: n})
	if err != nil {
		return []Finding{{"reading", Fail, err.Error(), "see the finding about cgroups"}}
	}
	defer r.Close()
	batch := r.Read(time.Now())
	out := []Finding{{"reading", OK, fmt.Sprintf("%d containers, services and cgroups, %d values in %v", len(batch.Groups), batch.Samples(), time.Since(batch.Time).Round(time.Millisecond)), ""}}
	for _, u := range r.Unreadable() {
		f := Finding{"reading", Warn, fmt.Sprintf("%s of %d cgroups: %s (such as %q)", u.File, u.Count, u.Reason, u.Example), ""}
		if u.Reason == metric.GapPermission {
			f.Fix = "run as root, or let this user read the file"
		}
		out = append(out, f)
	}
	return out
}

func sockets(ctx context.Context) []Finding {
	n, err := names.New(names.Options{Sockets: names.DefaultSockets()})
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
		case s.Exists:
			out = append(out, Finding{s.Runtime + " socket", Warn, fmt.Sprintf("%s does not answer: %s; its containers are shown by their ids", s.Path, s.Error), s.Fix})
		}
	}
	if len(out) == 0 {
		return []Finding{{"runtime sockets", OK, "neither Docker nor podman is here", ""}}
	}
	return out
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

// User says what the user of this process may read.
func User() Finding {
	if os.Geteuid() == 0 {
		return Finding{"user", OK, "root: reads everything, and gives each replica a cgroup; Linux, " + runtime.GOARCH, ""}
	}
	return Finding{"user", OK, fmt.Sprintf("uid %d: reads what is open to all; replicas of process services are measured by process, without a cgroup each", os.Geteuid()), ""}
}
