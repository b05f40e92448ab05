package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"plimsoll.dev/plimsoll/cmd/plimsoll/terminal"
	"plimsoll.dev/plimsoll/cmd/plimsoll/wiring"
	"plimsoll.dev/plimsoll/internal/serve"
)

func (a *app) runCommand() *cobra.Command {
	var o historyOptions
	var reading readingOptions
	var door doorOptions
	var scaling wiring.Scaling
	var receive bool
	var most int64
	cmd := &cobra.Command{
		Use: "run", Short: "Collect, keep, show and scale on this machine, in one process",
		Long: `Collect every container's metrics, keep their history, serve the page and the APIs, and scale the services of
the policies file, all in this process.

SIGHUP reads the policies file again; SIGTERM ends everything, replicas included.`,
		Example: "  plimsoll run --demo\n  plimsoll run --policies policies.yaml --data /var/lib/plimsoll",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmp.Or(reading.validate(), o.validate(), validMemory(most)); err != nil {
				return err
			}
			scaling.Data = o.data
			role := wiring.Machine{History: o.store(reading.node.Interval), Scaling: scaling, Node: reading.node, Receive: receive, Memory: most}
			return a.serve(cmd.Context(), role, door, reading.node.Name, o.data)
		},
	}
	f := cmd.Flags()
	o.flags(f)
	reading.flags(f)
	door.flags(f)
	memoryFlag(f, &most, "512Mi")
	f.BoolVar(&receive, "receive", false, "take what collectors and others send by remote write too; of this machine they may say nothing")
	f.StringVar(&scaling.Policies, "policies", "", "YAML file with services and scaling policies")
	f.BoolVar(&scaling.Demo, "demo", false, "also run a demo service under a changing load, and scale it")
	return cmd
}

// doorOptions say where the page and the APIs are found.
type doorOptions struct {
	listen, webConfig, senders string
	linger                     time.Duration // of a server alone
}

func (o *doorOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.listen, "listen", "127.0.0.1:8082", "address of the page and the APIs; others than loopback need --web.config.file")
	f.StringVar(&o.webConfig, "web.config.file", "", "TLS and login, in exporter-toolkit's format")
	f.StringVar(&o.senders, "senders", serve.AnyNode, "which nodes each login may send for: any, named (the node of its name), or a YAML file")
}

// serve runs a role that has a page, says where that is, and reads its files again at SIGHUP.
func (a *app) serve(ctx context.Context, role wiring.Role, o doorOptions, node, data string) error {
	log, err := a.logger()
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	ran := false // a start that is refused has nothing to end
	err = wiring.Run(ctx, wiring.Options{Role: role, Listen: o.listen, WebConfig: o.webConfig, Senders: o.senders, Linger: o.linger, Version: thisBuild().Version, Logger: log, Reload: hup, Listening: func(at net.Addr) {
		ran = true
		url := "http://" + at.String()
		if o.webConfig != "" {
			url = "address " + at.String() + " (scheme as in the web configuration)"
		}
		log.Info("Plimsoll is running", "version", thisBuild().Version, "node", node, "page", url, "data", data)
		for _, who := range others(data) {
			log.Warn("others may write in the data folder", "who", who, "data", data)
		}
		if terminal.Is(a.err) {
			fmt.Fprintf(a.err, "\n  Open %s\n\n", url)
		}
	}})
	if ran {
		log.Info("Plimsoll has ended")
	}
	return err
}
