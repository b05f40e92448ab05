// Command plimsoll monitors containers and scales them: collector, store, aggregator, autoscaler and page in one
// binary, one file per subcommand. This package translates flags and wires the rooms; it decides nothing.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	_ "time/tzdata" // schedules name time zones, and an empty image has none

	services "plimsoll.dev/plimsoll/autoscaler/process"
	"plimsoll.dev/plimsoll/internal/quiet"
)

func main() {
	if services.GuardMain() { // this process watches over the replicas of another one
		return
	}
	quiet.Standard(slog.New(slog.DiscardHandler)) // a command without a log tells what it has to say itself
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	a := &app{streams: streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}, env: os.LookupEnv, plugin: strings.HasPrefix(filepath.Base(os.Args[0]), "kubectl-plimsoll")}
	code := a.execute(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
