// Command cluster brings up a real Kubernetes on this machine, with Plimsoll and a workload on it, until it is interrupted; and cleans up after one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"plimsoll.dev/plimsoll/test/cluster/rig"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == "reap" {
		return reap(args[1])
	}
	if len(args) > 1 || len(args) == 1 && args[0] != "up" {
		return fmt.Errorf("%q: the one command is up", args)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := up(ctx); !errors.Is(err, context.Canceled) || ctx.Err() == nil {
		return err
	}
	return nil // whoever interrupts it has what they wanted
}

// reap waits until its standard input ends, which is when whoever started it has ended, and takes the cluster away.
func reap(name string) error {
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return rig.NewState(name).Clean()
}
