package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"plimsoll.dev/plimsoll/collector"
	"plimsoll.dev/plimsoll/collector/cadvisor"
	"plimsoll.dev/plimsoll/collector/cgroup"
	"plimsoll.dev/plimsoll/collector/names"
	processes "plimsoll.dev/plimsoll/collector/process"
	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/lifecycle"
	"plimsoll.dev/plimsoll/internal/serve"
)

// agentOptions are the flags of collector: the node agent.
type agentOptions struct {
	historyOptions
	readingOptions
	client
	servers           []string
	history           string
	listen, webConfig string

	historyCAFile, historyTokenFile string
}

func (a *app) collectorCommand() *cobra.Command {
	var o agentOptions
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

func (o *agentOptions) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.servers, "server", nil, "a Plimsoll server for the live picture; may be repeated")
	f.StringVar(&o.history, "history", "", "remote-write address for the history; the first --server's if empty, none to keep none")
	f.StringVar(&o.historyCAFile, "history-ca-file", "", "PEM file with the certificate authority of --history, where that is not a --server")
	f.StringVar(&o.historyTokenFile, "history-token-file", "", "file with user:password, or a bearer token, for --history, where that is not a --server")
	f.StringVar(&o.caFile, "server-ca-file", "", "PEM file with the certificate authority of the servers")
	f.StringVar(&o.tokenFile, "server-token-file", "", "file with user:password, or a bearer token, for the servers")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8083", "address of its own metrics and health")
	f.StringVar(&o.webConfig, "web.config.file", "", "TLS and login for --listen, in exporter-toolkit's format")
	f.StringVar(&o.data, "queue", "./plimsoll-queue", "folder of the durable queue")
	o.retention = days(15 * 24 * time.Hour) // of a database that is made because there is none
	o.readingOptions.flags(f)
	o.influx.flags(f)
	o.queueFlags(f)
}

func (o *agentOptions) validate() error {
	if len(o.servers) == 0 && o.history == "" && o.influx.url == "" {
		return usagef("say where to send: --server, --history or --influx-url")
	}
	for _, s := range o.servers {
		if err := serverFlags.Check(s); err != nil {
			return &usageError{err}
		}
	}
	if o.history != "" && o.history != "none" {
		if o.influx.url != "" {
			return usagef("--history and --influx-url both say where the history goes: give one")
		}
		if err := historyFlags.Check(o.history); err != nil {
			return &usageError{err}
		}
	}
	if o.historyCAFile+o.historyTokenFile != "" {
		if o.history == "" || o.history == "none" {
			return usagef("--history-ca-file and --history-token-file need --history")
		}
		if slices.ContainsFunc(o.servers, func(s string) bool { return dial.SameServer(s, o.history) }) {
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

// collect runs the agent until ctx ends.
func (a *app) collect(ctx context.Context, o agentOptions) (err error) {
	if err := o.validate(); err != nil {
		return err
	}
	log, err := a.logger()
	if err != nil {
		return err
	}
	life := lifecycle.New(log)
	defer func() { err = errors.Join(err, life.Close()) }()
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	c, sinks, err := o.wire(log, reg, life)
	if err != nil {
		return err
	}
	checks := []serve.Check{{Name: "collector", Live: true, Test: c.Health}}
	checks = append(checks, sinks.checks...)
	var server *serve.Server
	checks = append(checks, serve.Check{Name: "door", Test: func() error { return server.Health() }})
	routes := append(serve.Health(checks), serve.Route{Method: "GET", Pattern: "/metrics", InFlight: 8,
		Handler: promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg, Timeout: 10 * time.Second})})
	server, err = serve.New(serve.Options{Listen: o.listen, WebConfig: o.webConfig, Routes: routes, Logger: logOf(log, "http"), Registerer: reg})
	if err != nil {
		return err
	}
	addr, err := server.Listen(ctx)
	if err != nil {
		return err
	}
	life.Opened("the listener", server.Close)
	life.Runs("http", server.Run)
	log.Info("collecting", "version", thisBuild().Version, "node", o.node, "servers", strings.Join(o.servers, " "), "metrics", "http://"+addr.String()+"/metrics")
	err = life.Run(ctx)
	log.Info("collector has ended")
	return err
}

// sinks are where an agent sends.
type sinks struct {
	live, history collector.Sink
	checks        []serve.Check
}

// wire makes the readers, the lanes and what they send to.
func (o *agentOptions) wire(log *slog.Logger, reg prometheus.Registerer, life *lifecycle.Life) (*collector.Collector, *sinks, error) {
	out, err := o.openSinks(log, reg, life)
	if err != nil {
		return nil, nil, err
	}
	n, err := names.New(names.Options{Node: o.node, Sockets: names.DefaultSockets(), Logger: logOf(log, "names")})
	if err != nil {
		return nil, nil, err
	}
	life.Runs("names", n.Run)
	clog := logOf(log, "collector")
	fast, err := cgroup.New(cgroup.Options{Root: o.cgroupRoot, Node: o.node, Namer: n, Logger: clog, Registerer: reg})
	if err != nil {
		return nil, nil, err
	}
	life.Opened("the fast reader", fast.Close)
	full, err := cadvisor.New(cadvisor.Options{Interval: o.interval, Node: o.node, Namer: n, Starts: fast, Logger: clog, Registerer: reg})
	if err != nil {
		return nil, nil, err
	}
	life.Runs("cadvisor", full.Run)
	pods := collector.NewPods(o.node, os.Getpid(), n, nil)
	byProcess, err := processes.New(processes.Options{List: pods.Processes, Logger: clog, Registerer: reg})
	if err != nil {
		return nil, nil, err
	}
	c, err := collector.New(collector.Options{Node: o.node, Interval: o.interval, FastInterval: o.fast, Full: full, Fast: fast,
		Extra: []collector.Extra{byProcess}, Live: out.live, History: out.history, Logger: clog, Registerer: reg})
	if err != nil {
		return nil, nil, err
	}
	life.Runs("collector", c.Run)
	return c, out, nil
}
