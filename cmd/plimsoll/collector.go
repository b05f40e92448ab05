package main

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"plimsoll.dev/plimsoll/cmd/plimsoll/wiring"
	"plimsoll.dev/plimsoll/internal/dial"
)

// collectorOptions are the flags of collector: the node agent.
type collectorOptions struct {
	historyOptions
	readingOptions
	doorOptions
	kubernetesOptions
	role    wiring.Collector
	history wiring.Remote // where its URL is not a --server's
	health  string        // address of a door for probes
}

// The flags by which servers and the history are found.
var (
	serverFlags  = dial.Flags{Address: "--server", CAFile: "--server-ca-file", TokenFile: "--server-token-file"}
	historyFlags = dial.Flags{Address: "--history", CAFile: "--history-ca-file", TokenFile: "--history-token-file", Query: true}
)

func (a *app) collectorCommand() *cobra.Command {
	var o collectorOptions
	cmd := &cobra.Command{
		Use: "collector", Short: "Collect this machine and send to servers: the node agent",
		Long: `Read this machine's containers and send them on: CPU and memory every second to each --server, everything every ten
seconds through a durable queue to the history: the first server's own store, InfluxDB (--influx-url), or another remote-write
engine (--history).

What the queue has taken survives kill -9 and arrives, until --queue-max-bytes or --queue-max-age drops the oldest, which is counted.`,
		Example: "  plimsoll collector --server https://plimsoll.example:8082 --server-ca-file ca.crt --server-token-file token\n  plimsoll collector --server http://127.0.0.1:8082 --influx-url http://127.0.0.1:8086 --influx-bucket plimsoll",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.cluster() != nil && !cmd.Flags().Changed("node") {
				o.node.Name, _ = a.env("NODE_NAME") // a machine may call itself otherwise than its cluster does
			}
			return a.collect(cmd.Context(), o)
		},
	}
	o.flags(cmd.Flags())
	return cmd
}

func (o *collectorOptions) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.role.Servers, "server", nil, "a Plimsoll server for the live picture; may be repeated")
	f.StringVar(&o.history.URL, "history", "", "remote-write address for the history; the first --server's if empty, none to keep none")
	loginFlags(f, &o.history.Login, historyFlags, "--history, where that is not a --server")
	loginFlags(f, &o.role.Login, serverFlags, "the servers")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8083", "address of its own metrics and health")
	f.StringVar(&o.health, "health-listen", "", "address that serves /livez and /readyz alone, to whoever asks: for a kubelet's probes, such as :8084; none if empty")
	f.StringVar(&o.webConfig, "web.config.file", "", "TLS and login for --listen, in exporter-toolkit's format")
	f.StringVar(&o.queue.Dir, "queue", "./plimsoll-queue", "folder of the durable queue")
	o.embedded.Retention = 15 * 24 * time.Hour // of a database that is made because there is none
	o.readingOptions.flags(f)
	o.kubernetesOptions.flags(f)
	o.influx.flags(f)
	o.queueFlags(f)
}

func (o *collectorOptions) validate() error {
	to := o.history.URL
	if len(o.role.Servers) == 0 && to == "" && o.influx.Conn.URL == "" {
		return usagef("say where to send: --server, --history or --influx-url")
	}
	if o.cluster() != nil && o.node.Name == "" {
		return usagef("--kubernetes: say which node of the cluster this machine is, with --node or NODE_NAME (in a pod from spec.nodeName)")
	}
	for _, s := range o.role.Servers {
		if err := serverFlags.Check(s, o.role.Login.Plain); err != nil {
			return wrongUsage(err)
		}
	}
	if to != "" && to != "none" {
		if o.influx.Conn.URL != "" {
			return usagef("--history and --influx-url both say where the history goes: give one")
		}
		if err := historyFlags.Check(to, o.history.Login.Plain || o.toServer(to) && o.role.Login.Plain); err != nil {
			return wrongUsage(err)
		}
	}
	if l := o.history.Login; l.CAFile+l.TokenFile+l.CertFile+l.KeyFile != "" {
		if to == "" || to == "none" {
			return usagef("--history-ca-file, --history-token-file, --history-cert-file and --history-key-file need --history")
		}
		if o.toServer(to) {
			return usagef("--history %q is a --server: give --server-ca-file and --server-token-file", to)
		}
	}
	if o.queue.Dir == "" {
		return usagef(`--queue "": want a folder`)
	}
	return cmp.Or(o.readingOptions.validate(), o.validateQueue(), o.influx.validate())
}

// toServer says whether an address is one of a --server.
func (o *collectorOptions) toServer(address string) bool {
	return slices.ContainsFunc(o.role.Servers, func(s string) bool { return dial.SameServer(s, address) })
}

// settled is the role with its history. The servers' login is for the servers alone.
func (o *collectorOptions) settled() wiring.Collector {
	out, to := o.role, o.history
	out.Node, out.Kubernetes, to.Queue, out.State = o.node, o.cluster(), o.queue, o.queue.Dir
	if to.URL == "" && o.influx.Conn.URL == "" {
		to.URL = strings.TrimSuffix(out.Servers[0], "/") + "/api/v1/write"
	}
	if to.ToServer = o.toServer(to.URL); to.ToServer {
		to.Login = out.Login
	}
	switch {
	case o.influx.Conn.URL != "":
		out.Writing = o.influxStore(len(out.Servers) == 0)
	case to.URL == "none":
		out.Writing = wiring.Nowhere{}
	default:
		out.Writing = to
	}
	return out
}

// collect runs the agent until ctx ends.
func (a *app) collect(ctx context.Context, o collectorOptions) error {
	if err := o.validate(); err != nil {
		return err
	}
	log, err := a.logger()
	if err != nil {
		return err
	}
	ran := false // a start that is refused has nothing to end
	err = wiring.Run(ctx, wiring.Options{Role: o.settled(), Listen: o.listen, HealthListen: o.health, WebConfig: o.webConfig, Version: thisBuild().Version, Logger: log, Listening: func(at net.Addr) {
		ran = true
		log.Info("collecting", "version", thisBuild().Version, "node", o.node.Name, "servers", strings.Join(o.role.Servers, " "), "metrics", "http://"+at.String()+"/metrics")
	}})
	if ran {
		log.Info("collector has ended")
	}
	return err
}
