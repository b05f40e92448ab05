package main

import (
	"time"

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

// certificateFlags say which certificates are renewed.
func certificateFlags(f *pflag.FlagSet, o *wiring.Certificates) {
	f.StringVar(&o.Of, "certificates", "", "renew what the Service NAMESPACE/NAME (or NAME in this pod's namespace) is known by, as the chart makes it: the Secrets NAME-tls and NAME-ca, the ConfigMap NAME-ca; if empty nothing is renewed")
	f.StringSliceVar(&o.APIServices, "certificate-apis", nil, "the APIServices that lead to that Service, whose caBundle is kept")
	durationVar(f, &o.Lifetime, "certificate-lifetime", 730*24*time.Hour, "how long a certificate lasts; it is renewed when half of that is over")
	durationVar(f, &o.Authority, "authority-lifetime", 3650*24*time.Hour, "the same of the authority that signs it")
}
