package rig

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// Attach is a cluster that somebody else runs, as a kubeconfig leads to it. Its API and its kubectl are all there is of it: no part of it is started or ended, and no
// process is in its network.
func Attach(kubeconfig string) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	api, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("cannot reach the cluster of %q: %w", kubeconfig, err)
	}
	api.QPS, api.Burst = 50, 100
	return &Cluster{Options: Options{Name: "attached"}, theirs: kubeconfig, began: time.Now(), api: api, state: NewState("attached")}, nil
}

// Theirs says whether the cluster is somebody else's.
func (c *Cluster) Theirs() bool { return c.theirs != "" }

// dialTheirs dials from the network of this process.
func dialTheirs(ctx context.Context, network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, address)
}

// commandTheirs runs a command here, with the cluster's kubeconfig.
func (c *Cluster) commandTheirs(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.theirs)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}
