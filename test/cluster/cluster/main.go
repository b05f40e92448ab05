// Command cluster brings up a real Kubernetes on this machine until it is interrupted, and cleans up after one.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) != 0 {
		return fmt.Errorf("%q: no arguments are known", args)
	}
	return up(ctx)
}

// reap waits until its standard input ends, which is when whoever started it has ended, and takes the cluster away.
func reap(name string) error {
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return rig.NewState(name).Clean()
}

// up brings a cluster up for a person.
func up(ctx context.Context) error {
	bin, err := rig.Build(ctx, os.Stderr)
	if err != nil {
		return err
	}
	c, err := rig.Start(ctx, rig.Options{Name: "up", Bin: bin, Logs: filepath.Join(filepath.Dir(bin), "logs-up"), Out: os.Stderr})
	if err != nil {
		return err
	}
	fmt.Println("enter with: nsenter --net=" + c.Namespace())
	<-ctx.Done()
	return c.Stop()
}
