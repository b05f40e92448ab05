// Package rig starts and stops a real Kubernetes for the tests: etcd, API server, controller manager, scheduler, cluster DNS, and nodes of kubelet,
// containerd and kube-proxy, in network namespaces and cgroups of their own. Nothing of it is reached from outside the machine, and all of it ends
// with the process that started it, however that ends.
package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// The cluster's addresses. They are seen in its own network namespaces only.
const (
	controlIP  = "10.99.0.1" // the first node, which has the control plane and the DNS
	serviceNet = "10.96.0.0/16"
	firstIP    = "10.96.0.1" // the Service "kubernetes"
	podNet     = "10.244.0.0/16"
)

// Options of a cluster.
type Options struct {
	Name  string    // tells clusters on one machine apart; at most 8 letters
	Nodes int       // real nodes; 0 means 2
	Bin   string    // folder with the binaries that Build made
	Logs  string    // folder that is made anew for the logs of every part, and kept
	Out   io.Writer // progress, one line a step; nil means none
}

// Cluster is a running cluster. Its creator must Stop it.
type Cluster struct {
	Options
	state  *State
	ca     *authority
	reaper *exec.Cmd
	hold   io.Closer // the reaper cleans when this is closed
	nodes  []*Node
	began  time.Time
	api    *rest.Config // as administrator
	theirs string       // the kubeconfig of a cluster that somebody else runs
}

// Start starts a cluster and returns once every node is Ready. What an earlier one of the name left is cleaned first.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("a real cluster needs root, for namespaces, cgroups and mounts")
	}
	if o.Nodes == 0 {
		o.Nodes = 2
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	c := &Cluster{Options: o, state: NewState(o.Name), began: time.Now()}
	if err := c.state.lock(); err != nil {
		return nil, err
	}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	if err := c.state.Clean(); err != nil {
		return fmt.Errorf("cannot clean up after an earlier cluster: %w", err)
	}
	if err := errors.Join(os.MkdirAll(c.state.Dir, 0o700), os.RemoveAll(c.Logs), os.MkdirAll(c.Logs, 0o755)); err != nil {
		return err
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"watch over what is started", c.startReaper},
		{"make certificates", c.makeCertificates},
		{"make network namespaces", c.makeNetwork},
		{"start etcd and the API server", c.startAPI},
		{"start the controllers, the scheduler and the DNS", c.startControl},
		{"start the nodes", c.startNodes},
		{"wait until they are ready", c.waitReady},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("cannot %s: %w", step.what, err)
		}
		_, _ = fmt.Fprintf(c.Out, "%6.1fs  %s\n", time.Since(c.began).Seconds(), step.what)
	}
	return nil
}

// startReaper starts the process that cleans up when this one has ended, in whichever way.
func (c *Cluster) startReaper(context.Context) error {
	c.reaper = exec.CommandContext(context.Background(), filepath.Join(c.Bin, "cluster"), "reap", c.Name)
	in, err := c.reaper.StdinPipe()
	if err != nil {
		return err
	}
	c.hold = in
	log, err := os.Create(filepath.Join(c.Logs, "reaper.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	c.reaper.Stdout, c.reaper.Stderr = log, log
	c.reaper.ExtraFiles = []*os.File{c.state.held}            // the lock lasts until it has cleaned
	c.reaper.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // what is typed at a terminal ends the tests, not this
	return c.reaper.Start()
}

// Stop ends all processes of the cluster and takes away its mounts, cgroups, namespaces and files.
func (c *Cluster) Stop() error {
	if c.Theirs() {
		return nil
	}
	defer c.state.unlock()
	if c.reaper == nil || c.reaper.Process == nil {
		return c.state.Clean()
	}
	if err := errors.Join(c.hold.Close(), c.reaper.Wait()); err != nil {
		return fmt.Errorf("cannot clean up, see %s: %w", filepath.Join(c.Logs, "reaper.log"), err)
	}
	return nil
}

// Config reaches the API server as administrator, from this process and no other.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.api) }

// Client is a client with Config.
func (c *Cluster) Client() *kubernetes.Clientset { return kubernetes.NewForConfigOrDie(c.Config()) }

// Kubeconfig is the path of the administrator's file, for commands that run in the cluster's network (Command).
func (c *Cluster) Kubeconfig() string {
	if c.Theirs() {
		return c.theirs
	}
	return filepath.Join(c.state.Dir, "admin.kubeconfig")
}

// Namespace is the path of the first node's network namespace.
func (c *Cluster) Namespace() string { return netns(c.state.node(0)) }

// Dial dials from the network of the first node.
func (c *Cluster) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if c.Theirs() {
		return dialTheirs(ctx, network, address)
	}
	return dialIn(ctx, c.Namespace(), network, address)
}

// Command runs a command in the network of the first node, with KUBECONFIG and the cluster's binaries in its path.
func (c *Cluster) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	if c.Theirs() {
		return c.commandTheirs(ctx, name, args...)
	}
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--net=" + c.Namespace(), "--", name}, args...)...)
	cmd.Env = append(environment(c.Bin), "KUBECONFIG="+c.Kubeconfig())
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Kubectl runs kubectl and returns what it printed; the error has what it complained of.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) (string, error) {
	var complaint strings.Builder
	cmd := c.Command(ctx, "kubectl", args...)
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return string(out), err
}

// environment is that of every part: of the caller's only what does not point elsewhere.
func environment(bin string) []string {
	return []string{"PATH=" + bin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TZ=UTC"}
}
