package wiring

import (
	"time"

	"plimsoll.dev/plimsoll/aggregator/kubelet"
	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/kube"
)

// Kubelet says how the kubelets of nodes that have no collector are asked.
type Kubelet struct {
	TLS kube.Kubelets
	// Resolution is how often, Timeout how long one may take.
	Resolution, Timeout time.Duration
	// Addresses are the types of nodes' addresses, the one to try first first.
	Addresses []string
	// Port is theirs; 0: as their nodes say.
	Port int
	// NodeSelector chooses nodes by their labels; "": all.
	NodeSelector string
}

// newKubeletFallback asks the kubelets of the nodes of which no collector is heard, and puts what they say into the picture.
func newKubeletFallback(e *environment, picture *live.Picture, known *kube.Inventory, of *Kubernetes, o Kubelet) error {
	config, err := kube.Config(of.Kubeconfig, "plimsoll-kubelet/"+e.version)
	if err != nil {
		return &UsageError{err}
	}
	way, err := o.TLS.Transport(config)
	if err != nil {
		return &UsageError{err}
	}
	s, err := kubelet.New(kubelet.Options{Inventory: known, Picture: picture, Synced: known.NotYet, Transport: way, Resolution: o.Resolution, Timeout: o.Timeout,
		Addresses: o.Addresses, Port: o.Port, NodeSelector: o.NodeSelector, Logger: e.named("kubelet"), Registerer: e.registry})
	if err != nil {
		return &UsageError{err}
	}
	e.life.Runs("kubelets", s.Run)
	e.checks = append(e.checks, s.Check())
	e.conditions = append(e.conditions, s.Conditions)
	return nil
}
