package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/internal/view"
)

func (a *app) pageCommand() *cobra.Command {
	var c client
	var quiet bool
	cmd := &cobra.Command{
		Use: "page", Short: "Open a cluster's page with your own rights",
		Long: `Serve the page of the Plimsoll that runs in a cluster on an address of this machine, until Ctrl-C, and open a browser there.

It is read through the cluster's API server, with the login that kubectl has: you see the namespaces in which you may list
pods.metrics.k8s.io, and the machines if you may list nodes.metrics.k8s.io. The login stays here; nobody else's browser gets in
without the address.`,
		Example: "  plimsoll page\n  kubectl plimsoll page --context prod --no-browser",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.cluster.on = true
			return a.showPage(cmd.Context(), &c, quiet)
		},
	}
	c.cluster.flags(cmd.Flags())
	durationVar(cmd.Flags(), &c.timeout, "timeout", 10*time.Second, "how long to wait for the cluster's first answer")
	cmd.Flags().BoolVar(&quiet, "no-browser", false, "only print the address")
	return cmd
}

// showPage serves the page until ctx ends. Whether it may be seen is tried before anything is opened.
func (a *app) showPage(ctx context.Context, c *client, quiet bool) error {
	var first api.Overview
	if err := c.Get(ctx, "/plimsoll/v1/overview?limit=1", &first); err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("cannot serve the page on this machine: %w", err)
	}
	p := view.NewProxy(l.Addr(), c.person.Server, c.person.Transport)
	s := &http.Server{Handler: p, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	fmt.Fprintf(a.out, "The page of %s: %s\nCtrl-C ends it.\n", c.name(), p.Address())
	if !quiet {
		openBrowser(ctx, p.Once())
	}
	select {
	case err = <-served:
	case <-ctx.Done():
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = s.Shutdown(last) // streams end with ctx
		_ = s.Close()
		err = <-served
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve the page on this machine: %w", err)
	}
	return nil
}

// openBrowser opens one where there is a screen; the address is printed in any case.
func openBrowser(ctx context.Context, address string) {
	open, err := exec.LookPath("xdg-open")
	if err != nil || os.Getenv("DISPLAY")+os.Getenv("WAYLAND_DISPLAY") == "" {
		return
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), open, address) // the browser lives on
	if cmd.Start() == nil {
		go func() { _ = cmd.Wait() }()
	}
}
