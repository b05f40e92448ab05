package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"plimsoll.dev/plimsoll/collector/doctor"
	"plimsoll.dev/plimsoll/collector/host"
	"plimsoll.dev/plimsoll/internal/disk"
	"plimsoll.dev/plimsoll/internal/serve"
	"plimsoll.dev/plimsoll/internal/table"
)

// doctorOptions say what to look at.
type doctorOptions struct {
	data, listen, webConfig string
	host                    host.Host
	cluster                 personOptions
}

func (a *app) doctorCommand() *cobra.Command {
	o := doctorOptions{cluster: personOptions{on: a.plugin}}
	var out output
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check what this machine allows, each finding with its fix",
		Long: "Check cgroups, pressure, permissions, runtime sockets, the data folder, the port and the clock; with --kubeconfig or --context, and\nas kubectl's plugin, who answers in that cluster for the APIs that Plimsoll serves.\n\nExits 1 when a finding would keep 'plimsoll run' from working. A Plimsoll that already runs at the address, with the folder, is not one.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := validHost(o.host); err != nil {
				return err
			}
			found := examine(cmd.Context(), o)
			if o.cluster.on || o.cluster.kubeconfig != "" || o.cluster.context != "" {
				apis, err := examineAPIs(cmd.Context(), o.cluster)
				if err != nil {
					return err
				}
				found = append(found, apis...)
			}
			doc := struct {
				Schema   string           `json:"schema"` // plimsoll.dev/doctor/v1
				Findings []doctor.Finding `json:"findings"`
			}{"plimsoll.dev/doctor/v1", found}
			err := out.print(a.out, doc, func() *table.Table {
				t := table.New("CHECK", "STATUS", "FOUND")
				for _, f := range found {
					t.Add(f.Check, strings.ToUpper(f.Status), f.Found)
					if f.Fix != "" {
						t.Add("", "", "fix: "+f.Fix)
					}
				}
				return t
			})
			if err != nil {
				return err
			}
			if slices.ContainsFunc(found, func(f doctor.Finding) bool { return f.Status == doctor.Fail }) {
				return errSaid
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "./plimsoll-data", "the data folder that 'run' would use")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8082", "the address that 'run' would use")
	f.StringVar(&o.webConfig, "web.config.file", "", "the web configuration that 'run' would use")
	hostFlags(f, &o.host)
	f.StringVar(&o.cluster.kubeconfig, "kubeconfig", "", "the cluster to look at, with your rights there, as kubectl does")
	f.StringVar(&o.cluster.context, "context", "", "the context of the kubeconfig; the current one if empty")
	out.flags(cmd, "table", "json", "yaml")
	return cmd
}

// examine looks at everything; each check stands alone.
func examine(ctx context.Context, o doctorOptions) []doctor.Finding {
	data, server := examineStart(ctx, o.data, o.listen, o.webConfig)
	return append(doctor.Examine(ctx, o.host), data, server, doctor.Files(), doctor.Clock(), doctor.User(o.host))
}

func examineData(dir string) doctor.Finding {
	say := func(status, found, fix string) doctor.Finding {
		return doctor.Finding{Check: "data folder", Status: status, Found: found, Fix: fix}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return say(doctor.Fail, err.Error(), "")
	}
	probe := abs
	for _, err = os.Stat(probe); errors.Is(err, fs.ErrNotExist) && probe != "/"; _, err = os.Stat(probe) {
		probe = filepath.Dir(probe) // not made yet: ask where it would be made
	}
	if err == nil {
		err = tryFolder(probe)
	}
	if err != nil {
		return say(doctor.Fail, fmt.Sprintf("cannot write to %q: %v", probe, err), "choose another folder with --data, or give this user the right to write there")
	}
	free, err := disk.Free(probe)
	if err != nil {
		return say(doctor.Fail, fmt.Sprintf("cannot ask %q for its room: %v", probe, err), "")
	}
	found := fmt.Sprintf("%s, %d MiB free", abs, free>>20)
	if free < 2<<30 {
		return say(doctor.Warn, found, "the history takes up to 1 GiB and some room to compact it: free some, or lower --retention-bytes")
	}
	if who := others(abs); len(who) > 0 {
		return say(doctor.Warn, found+"; it can be written by "+strings.Join(who, "; "), "take the right away: what is in there is read, and written over, by root")
	}
	return say(doctor.OK, found, "")
}

// others says who beside root may write in the data folder of a process that is root, with what to do about it. In a container its folder may well be
// everybody's who is there.
func others(dir string) []string {
	if os.Geteuid() != 0 {
		return nil
	}
	return disk.Writers("data folder", dir)
}

// tryFolder makes a folder in there and removes it again: rights alone do not tell, as in /proc or on a disk that is read-only.
func tryFolder(dir string) error {
	made, err := os.MkdirTemp(dir, ".plimsoll-doctor-")
	if err != nil {
		return errors.Unwrap(err)
	}
	return os.Remove(made)
}

// examineServer asks a running Plimsoll for its health, or whether the port is free for one.
func examineServer(ctx context.Context, listen, webConfig string) (found doctor.Finding, runs bool) {
	say := func(status, found, fix string) doctor.Finding {
		return doctor.Finding{Check: "server", Status: status, Found: found, Fix: fix}
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", listen)
	if err == nil {
		l.Close()
		if err := serve.CheckDoor(listen, webConfig); err != nil {
			return say(doctor.Fail, err.Error(), "give --web.config.file with TLS and a login, or listen on 127.0.0.1"), false
		}
		return say(doctor.OK, listen+" is free", ""), false
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return say(doctor.Fail, fmt.Sprintf("cannot listen on %q: %v", listen, err), "give host:port of this machine with --listen, such as 127.0.0.1:8082"), false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listen+"/readyz?verbose", nil)
	if err != nil {
		return say(doctor.Fail, fmt.Sprintf("%q is no address: %v", listen, err), "give host:port with --listen"), false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return say(doctor.Fail, fmt.Sprintf("%s is taken, and what is there does not answer: %v", listen, err), "end it, or choose another address with --listen"), false
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096)) // an empty answer says enough
	text := strings.Join(strings.Fields(string(body)), " ")
	switch {
	case strings.Contains(text, "readyz check passed"):
		return say(doctor.OK, "Plimsoll is running at "+listen+" and well", ""), true
	case strings.Contains(text, "readyz check failed"):
		return say(doctor.Warn, "Plimsoll is running at "+listen+" but not well: "+text, "see docs/operations.md, 'When things break'"), true
	}
	return say(doctor.Fail, "something else than Plimsoll answers at "+listen, "end it, or choose another address with --listen"), false
}
