package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/collector/cgroup"
	"plimsoll.dev/plimsoll/collector/names"
)

// finding is one thing that doctor looked at.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, warn, fail
	Found  string `json:"found"`
	Fix    string `json:"fix,omitempty"`
}

// The values of finding.Status.
const (
	statusOK   = "ok"
	statusWarn = "warn"
	statusFail = "fail"
)

// doctorOptions say what to look at.
type doctorOptions struct {
	data, listen, cgroupRoot string
}

func (a *app) doctorCommand() *cobra.Command {
	var o doctorOptions
	var out output
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check what this machine allows, each finding with its fix",
		Long: "Check cgroups, pressure, permissions, runtime sockets, the data folder, the port and the clock.\n\nExits 1 when a finding would keep 'plimsoll run' from working.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			found := examine(cmd.Context(), o)
			doc := struct {
				Schema   string    `json:"schema"` // plimsoll.dev/doctor/v1
				Findings []finding `json:"findings"`
			}{"plimsoll.dev/doctor/v1", found}
			err := out.print(a.out, doc, func(t *table) {
				t.header = []string{"CHECK", "STATUS", "FOUND"}
				for _, f := range found {
					t.rows = append(t.rows, []string{f.Check, strings.ToUpper(f.Status), f.Found})
					if f.Fix != "" {
						t.rows = append(t.rows, []string{"", "", "fix: " + f.Fix})
					}
				}
			})
			if err != nil {
				return err
			}
			for _, f := range found {
				if f.Status == statusFail {
					return errSaid
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "./plimsoll-data", "the data folder that 'run' would use")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8082", "the address that 'run' would use")
	f.StringVar(&o.cgroupRoot, "cgroup-root", "/sys/fs/cgroup", "where cgroups are mounted")
	out.flags(cmd, "table", "json", "yaml")
	return cmd
}

// examine looks at everything; each check stands alone.
func examine(ctx context.Context, o doctorOptions) []finding {
	found := examineCgroups(o.cgroupRoot)
	found = append(found, examineReading(o.cgroupRoot)...)
	found = append(found, examineSockets(ctx)...)
	found = append(found, examineData(o.data), examineServer(ctx, o.listen), examineClock(), examineUser())
	return found
}

func examineCgroups(root string) []finding {
	info, err := cgroup.Detect(root)
	if err != nil {
		return []finding{{"cgroups", statusFail, err.Error(), "mount the cgroup file system, or say where it is with --cgroup-root"}}
	}
	out := []finding{{"cgroups", statusOK, info.String(), ""}}
	if info.Memory == "" {
		out = append(out, finding{"memory controller", statusWarn, "memory of containers cannot be read", "boot with cgroup_enable=memory, or on v2 write +memory to cgroup.subtree_control"})
	}
	if info.PSI {
		return append(out, finding{"pressure (PSI)", statusOK, "the kernel accounts pressure", ""})
	}
	return append(out, finding{"pressure (PSI)", statusWarn, "the kernel accounts no pressure: charts of it stay empty", info.PSIReason})
}

// examineReading reads everything once, as the collector does.
func examineReading(root string) []finding {
	n, err := names.New(names.Options{})
	if err != nil {
		return []finding{{"reading", statusFail, err.Error(), ""}}
	}
	r, err := cgroup.New(cgroup.Options{Root: root, Namer: n})
	if err != nil {
		return []finding{{"reading", statusFail, err.Error(), "see the finding about cgroups"}}
	}
	defer r.Close()
	batch := r.Read(time.Now())
	out := []finding{{"reading", statusOK, fmt.Sprintf("%d containers, services and cgroups, %d values in %v", len(batch.Groups), batch.Samples(), time.Since(batch.Time).Round(time.Millisecond)), ""}}
	for _, u := range r.Unreadable() {
		f := finding{"reading", statusWarn, fmt.Sprintf("%s of %d cgroups: %s (such as %q)", u.File, u.Count, u.Reason, u.Example), ""}
		if u.Reason == "permission" {
			f.Fix = "run as root, or let this user read the file"
		}
		out = append(out, f)
	}
	return out
}

func examineSockets(ctx context.Context) []finding {
	n, err := names.New(names.Options{Sockets: names.DefaultSockets()})
	if err != nil {
		return []finding{{"runtime sockets", statusWarn, err.Error(), ""}}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var out []finding
	for _, s := range n.Check(ctx) {
		switch {
		case s.Reachable:
			out = append(out, finding{s.Runtime + " socket", statusOK, fmt.Sprintf("%s names %d containers", s.Path, s.Containers), ""})
		case s.Exists:
			out = append(out, finding{s.Runtime + " socket", statusWarn, fmt.Sprintf("%s does not answer: %s; its containers are shown by their ids", s.Path, s.Error), s.Fix})
		}
	}
	if len(out) == 0 {
		return []finding{{"runtime sockets", statusOK, "neither Docker nor podman is here", ""}}
	}
	return out
}

func examineData(dir string) finding {
	f := finding{Check: "data folder", Status: statusFail}
	abs, err := filepath.Abs(dir)
	if err != nil {
		f.Found = err.Error()
		return f
	}
	probe := abs
	for {
		if _, err = os.Stat(probe); err == nil || !errors.Is(err, fs.ErrNotExist) || probe == "/" {
			break
		}
		probe = filepath.Dir(probe) // not made yet: ask where it would be made
	}
	if err == nil {
		err = unix.Access(probe, unix.W_OK|unix.X_OK)
	}
	if err != nil {
		f.Found, f.Fix = fmt.Sprintf("cannot write to %q: %v", probe, err), "choose another folder with --data, or give this user the right to write there"
		return f
	}
	var st unix.Statfs_t
	if err := unix.Statfs(probe, &st); err != nil {
		f.Found = fmt.Sprintf("cannot ask %q for its room: %v", probe, err)
		return f
	}
	free := st.Bavail * uint64(st.Bsize)
	f.Found = fmt.Sprintf("%s, %d MiB free", abs, free>>20)
	if free < 2<<30 {
		f.Status, f.Fix = statusWarn, "the history takes up to 1 GiB and some room to compact it: free some, or lower --retention-bytes"
		return f
	}
	f.Status = statusOK
	return f
}

// examineServer asks a running Plimsoll for its health, or whether the port is free for one.
func examineServer(ctx context.Context, listen string) finding {
	f := finding{Check: "server", Status: statusOK}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", listen)
	if err == nil {
		l.Close()
		f.Found = listen + " is free"
		return f
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listen+"/readyz?verbose", nil)
	if err != nil {
		return finding{"server", statusFail, fmt.Sprintf("%q is no address: %v", listen, err), "give host:port with --listen"}
	}
	resp, err := (&http.Client{Timeout: 3 * time.Second}).Do(req)
	if err != nil {
		return finding{"server", statusFail, fmt.Sprintf("%s is taken, and what is there does not answer: %v", listen, err), "end it, or choose another address with --listen"}
	}
	defer resp.Body.Close()
	body := make([]byte, 4096)
	n, _ := resp.Body.Read(body) // an empty answer says enough
	text := strings.Join(strings.Fields(string(body[:n])), " ")
	switch {
	case strings.Contains(text, "readyz check passed"):
		f.Found = "Plimsoll is running at " + listen + " and well"
	case strings.Contains(text, "readyz check failed"):
		f.Status, f.Found, f.Fix = statusWarn, "Plimsoll is running at "+listen+" but not well: "+text, "see docs/operations.md, 'When things break'"
	default:
		f.Status, f.Found, f.Fix = statusFail, "something else than Plimsoll answers at "+listen, "end it, or choose another address with --listen"
	}
	return f
}

func examineClock() finding {
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	if err != nil {
		return finding{"clock", statusWarn, fmt.Sprintf("cannot ask the kernel: %v", err), ""}
	}
	const unsynchronised = 5 // TIME_ERROR of adjtimex(2)
	if state == unsynchronised {
		return finding{"clock", statusWarn, "the kernel says that the clock is not synchronised", "run chrony or systemd-timesyncd; one machine alone works, several would disagree about time"}
	}
	return finding{"clock", statusOK, fmt.Sprintf("synchronised, error at most %v", time.Duration(tx.Maxerror)*time.Microsecond), ""}
}

func examineUser() finding {
	if os.Geteuid() == 0 {
		return finding{"user", statusOK, "root: reads everything, and gives each replica a cgroup; Linux, " + runtime.GOARCH, ""}
	}
	return finding{"user", statusOK, fmt.Sprintf("uid %d: reads what is open to all; replicas of process services are measured by process, without a cgroup each", os.Geteuid()), ""}
}
