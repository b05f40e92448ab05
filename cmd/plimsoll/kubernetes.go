package main

import (
	"github.com/spf13/pflag"

	"plimsoll.dev/plimsoll/cmd/plimsoll/wiring"
)

// kubernetesOptions say which cluster this is part of.
type kubernetesOptions struct {
	on         bool
	kubeconfig string
}

func (o *kubernetesOptions) flags(f *pflag.FlagSet) {
	f.BoolVar(&o.on, "kubernetes", false, "this runs in a cluster, or looks at one; see --kubeconfig")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "how to reach the cluster's API server, implies --kubernetes; the pod's service account if empty")
}

// cluster is the cluster that this is part of; nil: none.
func (o *kubernetesOptions) cluster() *wiring.Kubernetes {
	if !o.on && o.kubeconfig == "" {
		return nil
	}
	return &wiring.Kubernetes{Kubeconfig: o.kubeconfig}
}
