package main

import (
	"time"

	"github.com/spf13/cobra"
)

func (a *app) serverCommand() *cobra.Command {
	o := runOptions{serveOnly: true, readingOptions: readingOptions{node: "server", fast: time.Second}}
	cmd := &cobra.Command{
		Use: "server", Short: "Serve the page and the APIs over what collectors send",
		Long: `Take what collectors send by remote write, keep the live picture and the history, serve the page and the APIs. Collectors
that keep their history in InfluxDB send only the live lane here; give the same --influx-url so that the past is read from there.

On any address but loopback --web.config.file must give TLS and a login or client certificates; collectors present theirs with
--server-token-file.`,
		Example: "  plimsoll server --listen 0.0.0.0:8082 --web.config.file web.yaml --data /var/lib/plimsoll",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.run(cmd.Context(), o) },
	}
	f := cmd.Flags()
	o.historyOptions.flags(f)
	f.StringVar(&o.listen, "listen", "127.0.0.1:8082", "address of the page and the APIs; others than loopback need --web.config.file")
	f.StringVar(&o.webConfig, "web.config.file", "", "TLS and login, in exporter-toolkit's format")
	f.DurationVar(&o.interval, "interval", 10*time.Second, "time between sums that go to the history")
	return cmd
}
