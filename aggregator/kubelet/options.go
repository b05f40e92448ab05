package kubelet

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/labels"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Inventory knows which pods and nodes there are.
type Inventory interface {
	All() []*cluster.Pod
	Nodes() []*cluster.Node
}

// Picture takes what was read.
type Picture interface {
	Apply(b *metric.Batch) error
	// Collected is when a collector was last heard of on a node.
	Collected(node string) time.Time
}

// Options are what a Source needs.
type Options struct {
	Inventory Inventory
	Picture   Picture
	// Synced says why the inventory is not whole yet; nil once it is.
	Synced func() error
	// Transport reaches kubelets, with TLS and a login.
	Transport http.RoundTripper
	// Resolution is how often a node is asked, Timeout how long it may take to answer.
	Resolution, Timeout time.Duration
	// Addresses are the types of a node's addresses, the one to try first first.
	Addresses []string
	// Port is every kubelet's; 0: what its node says.
	Port int
	// NodeSelector chooses nodes by their labels; "": all.
	NodeSelector string
	Logger       *slog.Logger
	Registerer   prometheus.Registerer

	nodes labels.Selector
}

// addressTypes are those that Kubernetes has.
var addressTypes = []string{"Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"}

// Validate reports what cannot be used.
func (o *Options) Validate() error {
	if o.Inventory == nil || o.Picture == nil || o.Synced == nil || o.Transport == nil || o.Registerer == nil {
		return errors.New("to ask kubelets takes an inventory, a picture, a way to them and where its own metrics go")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.Resolution < 10*time.Second || o.Resolution > time.Minute:
		return fmt.Errorf("cannot ask kubelets every %v: they take new values every 10 s, and the live picture keeps a minute; want 10s to 1m", o.Resolution)
	case o.Timeout <= 0 || o.Timeout > o.Resolution*9/10:
		return fmt.Errorf("cannot wait %v for kubelets that are asked every %v: want at most nine tenths of it", o.Timeout, o.Resolution)
	case o.Port < 0 || o.Port > 65535:
		return fmt.Errorf("cannot ask kubelets on port %d", o.Port)
	case len(o.Addresses) == 0:
		return errors.New("cannot ask kubelets without a type of address: give InternalIP, Hostname, ...")
	}
	for _, a := range o.Addresses {
		if !slices.Contains(addressTypes, a) {
			return fmt.Errorf("%q is no type of address of a node: want %s", a, strings.Join(addressTypes, ", "))
		}
	}
	var err error
	if o.nodes, err = labels.Parse(o.NodeSelector); err != nil {
		return fmt.Errorf("cannot choose nodes by %q: %w", o.NodeSelector, err)
	}
	return nil
}
