package main

import (
	"context"
	"net"

	"github.com/spf13/cobra"

	"plimsoll.dev/plimsoll/cmd/plimsoll/wiring"
)

func (a *app) autoscalerCommand() *cobra.Command {
	var of kubernetesOptions
	var certificates wiring.Certificates
	var lease, listen, webConfig string
	mode := "dry-run"
	cmd := &cobra.Command{
		Use: "autoscaler", Short: "Scale a cluster on metrics that others serve",
		Long: `Carry out a cluster's ScalePolicies on what metrics.k8s.io tells of CPU and memory, whoever serves it, and on
custom.metrics.k8s.io and external.metrics.k8s.io; without a collector, a server or a history. What was decided is told by the policies'
status and by Events, the process's own metrics and health are at --listen.

It reacts as fast as those metrics come, with metrics-server in half a minute or so; 'plimsoll server' with collectors reacts in seconds.
Of several the one that holds --lease decides.`,
		Example: "  plimsoll autoscaler --autoscaler on\n  plimsoll autoscaler --kubeconfig ~/.kube/config --lease kube-system/plimsoll",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := validAutoscaler(mode); err != nil {
				return err
			}
			if mode == "off" {
				return usagef("--autoscaler off: there would be nothing to do; give on or dry-run")
			}
			role := wiring.Autoscaler{Kubernetes: wiring.Kubernetes{Kubeconfig: of.kubeconfig}, Lease: lease, Certificates: certificates, Mode: mode}
			return a.scale(cmd.Context(), role, listen, webConfig)
		},
	}
	f := cmd.Flags()
	f.StringVar(&of.kubeconfig, "kubeconfig", "", "how to reach the cluster's API server; the pod's service account if empty")
	f.StringVar(&lease, "lease", "plimsoll", "NAMESPACE/NAME of the autoscalers' lease, or NAME in this pod's namespace")
	certificateFlags(f, &certificates)
	f.StringVar(&mode, "autoscaler", mode, "what becomes of ScalePolicies: on (they are carried out) or dry-run (what they would do is told)")
	f.StringVar(&listen, "listen", "127.0.0.1:8084", "address of its own metrics and health; others than loopback need --web.config.file")
	f.StringVar(&webConfig, "web.config.file", "", "TLS for --listen, in exporter-toolkit's format")
	return cmd
}

// scale runs the autoscaler alone until ctx ends.
func (a *app) scale(ctx context.Context, role wiring.Autoscaler, listen, webConfig string) error {
	log, err := a.logger()
	if err != nil {
		return err
	}
	ran := false // a start that is refused has nothing to end
	err = wiring.Run(ctx, wiring.Options{Role: role, Listen: listen, WebConfig: webConfig, Version: thisBuild().Version, Logger: log, Listening: func(at net.Addr) {
		ran = true
		log.Info("scaling", "version", thisBuild().Version, "mode", role.Mode, "listen", at.String())
	}})
	if ran {
		log.Info("the autoscaler has ended")
	}
	return err
}
