package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"

	"plimsoll.dev/plimsoll/internal/duration"
)

// runOptions are the flags of run.
type runOptions struct {
	historyOptions
	readingOptions
	listen, webConfig string
	policies          string
	demo              bool
	// only serve: this machine is not collected; collectors send to it.
	serveOnly bool
}

func (a *app) runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use: "run", Short: "Collect, keep, show and scale on this machine, in one process",
		Long: `Collect every container's metrics, keep their history, serve the page and the APIs, and scale the services of
the policies file, all in this process.

SIGHUP reads the policies file again; SIGTERM ends everything, replicas included.`,
		Example: "  plimsoll run --demo\n  plimsoll run --policies policies.yaml --data /var/lib/plimsoll",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.run(cmd.Context(), o)
		},
	}
	o.flags(cmd.Flags())
	return cmd
}

func (o *runOptions) flags(f *pflag.FlagSet) {
	o.historyOptions.flags(f)
	o.readingOptions.flags(f)
	f.StringVar(&o.listen, "listen", "127.0.0.1:8082", "address of the page and the APIs; others than loopback need --web.config.file")
	f.StringVar(&o.webConfig, "web.config.file", "", "TLS and login, in exporter-toolkit's format")
	f.StringVar(&o.policies, "policies", "", "YAML file with services and scaling policies")
	f.BoolVar(&o.demo, "demo", false, "also run a demo service under a changing load, and scale it")
}

func (o *runOptions) validate() error {
	if err := o.readingOptions.validate(); err != nil {
		return err
	}
	return o.historyOptions.validate()
}

// run wires the machine, says where it is, and runs it until ctx ends.
func (a *app) run(ctx context.Context, o runOptions) (err error) {
	if err := o.validate(); err != nil {
		return err
	}
	log, err := a.logger()
	if err != nil {
		return err
	}
	m, err := newMachine(ctx, o, log, time.Now())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.life.Close()) }()
	addr, err := m.server.Listen(ctx)
	if err != nil {
		return err
	}
	url := "http://" + addr.String()
	if o.webConfig != "" {
		url = "address " + addr.String() + " (scheme as in the web configuration)"
	}
	log.Info("Plimsoll is running", "version", thisBuild().Version, "node", o.node, "page", url, "data", o.data)
	if terminal(a.err) {
		fmt.Fprintf(a.err, "\n  Open %s\n\n", url)
	}
	m.life.Runs("signals", func(ctx context.Context) error { return onHangup(ctx, log, m.reload) })
	err = m.life.Run(ctx)
	log.Info("Plimsoll has ended")
	return err
}

// onHangup calls reload at each SIGHUP until ctx ends.
func onHangup(ctx context.Context, log *slog.Logger, reload func(context.Context) error) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
			if err := reload(ctx); err != nil {
				log.Warn("kept the old policies", "err", err)
			}
		}
	}
}

// days is a duration flag that also knows days and weeks, as Prometheus' flags do.
type days time.Duration

func (d *days) String() string { return duration.Format(time.Duration(*d)) }

// Type names the flag's kind in help.
func (d *days) Type() string { return "duration" }

// Set reads "15d", "2w" or what time.ParseDuration reads.
func (d *days) Set(s string) error {
	t, err := duration.Parse(s)
	if err == nil {
		*d = days(t)
	}
	return err
}

// quantity is a flag for bytes, as Kubernetes writes them: 512Mi, 1Gi, 2e9; 1GiB is understood too.
type quantity int64

func (q *quantity) String() string {
	return resource.NewQuantity(int64(*q), resource.BinarySI).String()
}

// Type names the flag's kind in help.
func (q *quantity) Type() string { return "bytes" }

// Set reads a quantity.
func (q *quantity) Set(s string) error {
	text := s
	if n := len(s); n > 1 && s[n-1] == 'B' {
		text = s[:n-1]
	}
	v, err := resource.ParseQuantity(text)
	if err != nil {
		return fmt.Errorf("%q is no number of bytes: want one such as 512Mi or 1Gi", s)
	}
	*q = quantity(v.Value())
	return nil
}
