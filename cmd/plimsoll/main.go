// Command plimsoll monitors containers and scales them: collector, store, aggregator, autoscaler and page in one
// binary, one file per subcommand. This package translates flags and wires the rooms; it decides nothing.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // schedules name time zones, and an empty image has none

	services "plimsoll.dev/plimsoll/autoscaler/process"
)

func main() {
	if services.GuardMain() { // this process watches over the replicas of another one
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := execute(ctx, streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}, os.LookupEnv, os.Args[1:])
	stop()
	os.Exit(code)
}
