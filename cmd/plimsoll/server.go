package main

import (
	"cmp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plimsoll.dev/plimsoll/cmd/plimsoll/wiring"
)

func (a *app) serverCommand() *cobra.Command {
	var o historyOptions
	var door doorOptions
	var of kubernetesOptions
	var kubelets kubeletOptions
	var custom wiring.CustomMetrics
	var certificates wiring.Certificates
	var interval time.Duration
	var lease, service string
	autoscaler := "dry-run"
	var most int64
	cmd := &cobra.Command{
		Use: "server", Short: "Serve the page and the APIs over what collectors send",
		Long: `Take what collectors send by remote write, keep the live picture and the history, serve the page and the APIs. Collectors
that keep their history in InfluxDB send only the live lane here; give the same --influx-url so that the past is read from there.

On any address but loopback --web.config.file must give TLS and a login or client certificates; collectors present theirs with
--server-token-file. With --kubernetes the cluster's API server says who comes in and what they may do (TokenReview, SubjectAccessReview),
and --web.config.file has the TLS alone; of several servers the one that holds --lease writes sums to the history, and renews --certificates.`,
		Example: "  plimsoll server --listen 0.0.0.0:8082 --web.config.file web.yaml --data /var/lib/plimsoll",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmp.Or(validInterval(interval), o.validate(), validAutoscaler(autoscaler), validMemory(most), validLinger(door.linger), validService(service)); err != nil {
				return err
			}
			role := wiring.Server{History: o.store(interval), Interval: interval, Fast: time.Second, Kubernetes: of.cluster(), CustomMetrics: custom, Kubelet: kubelets.settled(), Lease: lease, Service: service, Certificates: certificates, Autoscaler: autoscaler, Memory: most}
			return a.serve(cmd.Context(), role, door, "server", o.data)
		},
	}
	f := cmd.Flags()
	o.flags(f)
	door.flags(f)
	of.flags(f)
	kubelets.flags(f)
	f.BoolVar(&custom.Custom, "custom-metrics", true, "with --kubernetes: serve custom.metrics.k8s.io")
	f.BoolVar(&custom.External, "external-metrics", true, "with --kubernetes: serve external.metrics.k8s.io")
	f.StringVar(&lease, "lease", "plimsoll", "with --kubernetes: NAMESPACE/NAME of the servers' lease, or NAME in this pod's namespace")
	f.StringVar(&service, "service", "", "with --kubernetes: NAMESPACE/NAME of the Service of the servers; an API that was given to it and is another's is told")
	certificateFlags(f, &certificates)
	f.StringVar(&autoscaler, "autoscaler", autoscaler, "with --kubernetes, what becomes of ScalePolicies: on (they are carried out), dry-run (what they would do is told) or off")
	memoryFlag(f, &most, "four fifths of the machine's, or of the cgroup's limit; with --kubernetes, where pods are known, no bound")
	durationVar(f, &door.linger, "shutdown-delay-duration", 0, "after SIGTERM: how long everything goes on while /readyz fails, so that whoever passes requests on asks another server")
	durationVar(f, &interval, "interval", 10*time.Second, "time between sums that go to the history; that of the collectors")
	return cmd
}

// validLinger refuses a time after which nobody would still wait for the end.
func validLinger(d time.Duration) error {
	if d < 0 || d > 10*time.Minute {
		return usagef("--shutdown-delay-duration %v: give 0 to 10m", d)
	}
	return nil
}

// validService refuses what is no Service's name in a namespace.
func validService(s string) error {
	if ns, name, ok := strings.Cut(s, "/"); s != "" && (!ok || ns == "" || name == "" || strings.Contains(name, "/")) {
		return usagef("--service %q: want NAMESPACE/NAME", s)
	}
	return nil
}

func validAutoscaler(s string) error {
	switch s {
	case "on", "dry-run", "off":
		return nil
	}
	return usagef("--autoscaler %q is not known: give on, dry-run or off", s)
}
