package main

import (
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
	servers []string
	history string

	serverCAFile, serverTokenFile   string
	historyCAFile, historyTokenFile string
}

// The flags by which servers and the history are found.
var (
	serverFlags  = dial.Flags{Address: "--server", CAFile: "--server-ca-file", TokenFile: "--server-token-file"}
	historyFlags = dial.Flags{Address: "--history", CAFile: "--history-ca-file", TokenFile: "--history-token-file"}
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
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.collect(cmd.Context(), o) },
	}
	o.flags(cmd.Flags())
	return cmd
}

func (o *collectorOptions) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.servers, "server", nil, "a Plimsoll server for the live picture; may be repeated")
	f.StringVar(&o.history, "history", "", "remote-write address for the history; the first --server's if empty, none to keep none")
	f.StringVar(&o.historyCAFile, "history-ca-file", "", "PEM file with the certificate authority of --history, where that is not a --server")
	f.StringVar(&o.historyTokenFile, "history-token-file", "", "file with user:password, or a bearer token, for --history, where that is not a --server")
	f.StringVar(&o.serverCAFile, "server-ca-file", "", "PEM file with the certificate authority of the servers")
	f.StringVar(&o.serverTokenFile, "server-token-file", "", "file with user:password, or a bearer token, for the servers")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8083", "address of its own metrics and health")
	f.StringVar(&o.webConfig, "web.config.file", "", "TLS and login for --listen, in exporter-toolkit's format")
	f.StringVar(&o.data, "queue", "./plimsoll-queue", "folder of the durable queue")
	o.retention = days(15 * 24 * time.Hour) // of a database that is made because there is none
	o.readingOptions.flags(f)
	o.influx.flags(f)
	o.queueFlags(f)
}

func (o *collectorOptions) validate() error {
	if len(o.servers) == 0 && o.history == "" && o.influx.url == "" {
		return usagef("say where to send: --server, --history or --influx-url")
	}
	for _, s := range o.servers {
		if err := serverFlags.Check(s); err != nil {
			return wrongUsage(err)
		}
	}
	if o.history != "" && o.history != "none" {
		if o.influx.url != "" {
			return usagef("--history and --influx-url both say where the history goes: give one")
		}
		if err := historyFlags.Check(o.history); err != nil {
			return wrongUsage(err)
		}
	}
	if o.historyCAFile+o.historyTokenFile != "" {
		if o.history == "" || o.history == "none" {
			return usagef("--history-ca-file and --history-token-file need --history")
		}
		if o.toServer(o.history) {
			return usagef("--history %q is a --server: give --server-ca-file and --server-token-file", o.history)
		}
	}
	if o.data == "" {
		return usagef(`--queue "": want a folder`)
	}
	if err := o.readingOptions.validate(); err != nil {
		return err
	}
	if err := o.validateQueue(); err != nil {
		return err
	}
	return o.influx.validate()
}

// toServer says whether an address is one of a --server.
func (o *collectorOptions) toServer(address string) bool {
	return slices.ContainsFunc(o.servers, func(s string) bool { return dial.SameServer(s, address) })
}

// role is what the flags ask for. The servers' login is for the servers alone.
func (o *collectorOptions) role() wiring.Collector {
	servers := dial.Options{Flags: serverFlags, CAFile: o.serverCAFile, TokenFile: o.serverTokenFile}
	out := wiring.Collector{Node: o.node(), Servers: o.servers, Login: servers, HistoryURL: o.history}
	switch {
	case o.influx.url != "":
		out.Writing = o.influxStore(len(o.servers) == 0)
		return out
	case o.history == "none":
		out.Writing = wiring.Nowhere{}
		return out
	case o.history == "":
		out.HistoryURL = strings.TrimSuffix(o.servers[0], "/") + "/api/v1/write"
	}
	to := wiring.Remote{URL: out.HistoryURL, Login: servers, ToServer: o.toServer(out.HistoryURL), Queue: o.queue()}
	if !to.ToServer {
		to.Login = dial.Options{Flags: historyFlags, CAFile: o.historyCAFile, TokenFile: o.historyTokenFile}
	}
	out.Writing = to
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
	err = wiring.Run(ctx, wiring.Options{Role: o.role(), Listen: o.listen, WebConfig: o.webConfig, Version: thisBuild().Version, Logger: log, Listening: func(at net.Addr) {
		log.Info("collecting", "version", thisBuild().Version, "node", o.name, "servers", strings.Join(o.servers, " "), "metrics", "http://"+at.String()+"/metrics")
	}})
	log.Info("collector has ended")
	return err
}
