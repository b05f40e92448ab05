package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// netns is the path of a network namespace that ip(8) made.
func netns(name string) string { return "/run/netns/" + name }

// makeNetwork makes one namespace for each node. The others are linked to the first, which routes between their pods.
func (c *Cluster) makeNetwork(ctx context.Context) error {
	first := c.state.node(0)
	for i, n := range c.nodes {
		ns := c.state.node(i)
		script := [][]string{{"netns", "add", ns}, {"-n", ns, "link", "set", "lo", "up"}}
		if i == 0 { // a kubelet wants an address and a default route, and there is no dummy link everywhere
			script = append(script, [][]string{
				{"-n", ns, "link", "add", "up0", "type", "veth", "peer", "name", "up1"}, {"-n", ns, "link", "set", "up1", "up"},
				{"-n", ns, "addr", "add", n.ip() + "/24", "dev", "up0"}, {"-n", ns, "link", "set", "up0", "up"}, {"-n", ns, "route", "add", "default", "dev", "up0"}}...)
		} else {
			there := fmt.Sprint("node", i+1)
			script = append(script, [][]string{
				{"-n", first, "link", "add", there, "type", "veth", "peer", "name", "up0", "netns", ns}, {"-n", first, "link", "set", there, "up"}, {"-n", ns, "link", "set", "up0", "up"},
				{"-n", first, "addr", "add", n.gateway() + "/24", "dev", there}, {"-n", ns, "addr", "add", n.ip() + "/24", "dev", "up0"},
				{"-n", ns, "route", "add", "default", "via", n.gateway()}, {"-n", first, "route", "add", n.podNet(), "via", n.ip()}}...)
		}
		for _, args := range script {
			if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
				return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
			}
		}
		if err := inside(netns(ns), func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644) }); err != nil {
			return err
		}
	}
	return nil
}

// inside runs f on a thread that is in a network namespace for as long.
func inside(ns string, f func() error) error {
	done := make(chan error)
	go func() { done <- enter(ns, f) }()
	return <-done
}

// enter is inside, on the goroutine's own thread. A thread that cannot go back ends with its goroutine; the process's first one, by which others see
// where the process is, never stays.
func enter(ns string, f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	there, err := os.Open(ns)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("cannot enter %s: %w", ns, err)
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, back)
	}
	runtime.UnlockOSThread()
	return err
}

func dialIn(ctx context.Context, ns, network, address string) (conn net.Conn, err error) {
	if _, _, e := net.SplitHostPort(address); e != nil {
		return nil, e
	}
	err = inside(ns, func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Listen listens in a network namespace of the cluster; "" is that of the first node.
func (c *Cluster) Listen(ctx context.Context, ns, address string) (l net.Listener, err error) {
	if ns == "" {
		ns = c.Namespace()
	}
	err = inside(ns, func() (err error) {
		l, err = new(net.ListenConfig).Listen(ctx, "tcp", address)
		return err
	})
	return l, err
}

// Aside makes a network namespace that reaches nothing but itself, for a program that wants ports of loopback which the nodes have taken. It goes with the
// cluster.
func (c *Cluster) Aside(ctx context.Context, name string) (ns string, err error) {
	name = "plimsoll-" + c.Name + "-" + name
	for _, args := range [][]string{{"netns", "add", name}, {"-n", name, "link", "set", "lo", "up"}} {
		if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return netns(name), nil
}
