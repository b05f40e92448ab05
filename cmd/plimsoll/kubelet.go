package main

import (
	"time"

	"github.com/spf13/pflag"

	"plimsoll.dev/plimsoll/cmd/plimsoll/wiring"
)

// kubeletOptions are the flags by which the kubelets of nodes without a collector are asked. They have metrics-server's names.
type kubeletOptions struct {
	fallback bool
	nodePort bool
	wiring.Kubelet
}

func (o *kubeletOptions) flags(f *pflag.FlagSet) {
	f.BoolVar(&o.fallback, "kubelet-fallback", true, "with --kubernetes: ask the kubelets of nodes that have no collector")
	durationVar(f, &o.Resolution, "metric-resolution", 15*time.Second, "how often these kubelets are asked, 10s to 1m")
	durationVar(f, &o.Timeout, "kubelet-request-timeout", 10*time.Second, "how long one may take to answer")
	f.StringSliceVar(&o.Addresses, "kubelet-preferred-address-types", nil, "which of a node's addresses its kubelet is asked at, the first it has; if empty InternalIP, ExternalIP, Hostname, InternalDNS, ExternalDNS")
	f.IntVar(&o.Port, "kubelet-port", 0, "the port of kubelets; the one that each node names if 0")
	f.BoolVar(&o.nodePort, "kubelet-use-node-status-port", false, "ask at the port that each node names, whatever --kubelet-port says")
	f.StringVar(&o.TLS.CertificateAuthority, "kubelet-certificate-authority", "", "file with the authorities of kubelets' certificates; the API server's if empty")
	f.BoolVar(&o.TLS.Insecure, "kubelet-insecure-tls", false, "take any certificate of a kubelet: whoever stands between gets the login, which is this server's")
	f.StringVar(&o.TLS.ClientCertificate, "kubelet-client-certificate", "", "file with a certificate to log in to kubelets with; the service account's token if empty")
	f.StringVar(&o.TLS.ClientKey, "kubelet-client-key", "", "file with its key")
	f.StringVarP(&o.NodeSelector, "node-selector", "l", "", "ask only the kubelets of nodes with these labels")
}

// settled is how kubelets are asked; nil: they are not.
func (o *kubeletOptions) settled() *wiring.Kubelet {
	if !o.fallback {
		return nil
	}
	out := o.Kubelet
	if len(out.Addresses) == 0 {
		out.Addresses = []string{"InternalIP", "ExternalIP", "Hostname", "InternalDNS", "ExternalDNS"}
	}
	if o.nodePort {
		out.Port = 0
	}
	return &out
}
