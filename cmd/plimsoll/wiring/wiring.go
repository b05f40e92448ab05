// Package wiring puts the rooms together. A process has a Role, which is made of parts: a history, what is served, an autoscaler, a
// node that is read. Each part is wired in one place, and adds its checks, conditions and routes to the process's environment, so that
// no part knows which others there are.
package wiring

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/serve"
)

// Options say what a process is and where it is found.
type Options struct {
	Role Role
	// Listen is the address of its door, WebConfig the file with its TLS and login; see serve.Options.
	Listen, WebConfig string
	// Senders is the rule by which logins speak for nodes; see serve.NewSenders.
	Senders string
	// Version is the program's.
	Version string
	Logger  *slog.Logger
	// HealthListen is the address of a door for probes, which serves health and nothing else; "": there is none.
	HealthListen string
	// Linger is how long it goes on, all of it, after it was told to end: /readyz fails at once, and whoever passes requests on needs a moment to notice.
	Linger time.Duration
	// Listening is told the door's address before anything runs.
	Listening func(net.Addr)
	// Reload asks, at each value, to read again what can be; nil: nobody asks.
	Reload <-chan os.Signal
}

// Role is what a process does: Machine, Server, Autoscaler or Collector.
type Role interface {
	// wire adds the role's parts to the environment.
	wire(ctx context.Context, e *environment) error
}

// guarded is a role whose callers somebody else knows than the web configuration.
type guarded interface {
	// guard sets who is asked in the environment.
	guard(e *environment) error
}

// UsageError is something in the options that cannot be, as whoever gave them can tell from the message.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// Run wires the role, opens its door, and runs it until ctx has ended and o.Linger is over, or a part fails.
func Run(ctx context.Context, o Options) (err error) {
	e := newEnvironment(o.Logger, o.Version)
	defer func() { err = errors.Join(err, e.life.Close()) }()
	senders, err := serve.NewSenders(o.Senders)
	if err != nil {
		return &UsageError{err}
	}
	e.reloads = append(e.reloads, func() {
		if err := senders.Read(); err != nil {
			e.log.Warn("kept the old senders", "err", err)
		}
	})
	if r, ok := o.Role.(guarded); ok {
		if err := r.guard(e); err != nil {
			return err
		}
	}
	// The port comes first: a start that is refused leaves no folder behind.
	port, err := serve.Take(ctx, serve.Options{Listen: o.Listen, WebConfig: o.WebConfig, Authenticator: e.who})
	if err != nil {
		return err
	}
	e.life.Opened("the port", func() error {
		if err := port.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	if err := o.Role.wire(ctx, e); err != nil {
		return err
	}
	var door *serve.Server
	e.checks = append(e.checks, ending(ctx), serve.Check{Name: "door", Test: func() error { return door.Health() }})
	if err := probes(ctx, e, o.HealthListen); err != nil {
		return err
	}
	routes := slices.Concat(e.routes, []serve.Route{e.metricsRoute()}, serve.Health(e.checks))
	if door, err = serve.New(serve.Options{Listen: o.Listen, WebConfig: o.WebConfig, Listener: port, Ending: ctx.Done(), Authenticator: e.who, Authorizer: e.may, Senders: senders, Routes: routes,
		Logger: e.named("http"), Registerer: e.registry}); err != nil {
		return err
	}
	e.conditions = append(e.conditions, func(time.Time) []condition.Condition {
		if since, err := door.Problem(); err != nil {
			return []condition.Condition{condition.Ill("DoorSound", "WebConfigNotInForce", err.Error(), since)}
		}
		return nil
	})
	e.life.Opened("the listener", door.Close)
	addr, err := door.Listen(ctx)
	if err != nil {
		return err
	}
	e.life.Runs("http", door.Run)
	e.life.Runs("memory", e.memory.Run)
	e.life.Runs("signals", func(ctx context.Context) error { return e.reloadAt(ctx, o.Reload) })
	e.life.Runs("shutdown", func(last context.Context) error { return linger(last, ctx, e.log, o.Linger) })
	o.Listening(addr)
	return e.life.Run(context.WithoutCancel(ctx))
}

// linger returns d after told has ended, which ends the other parts, or with last.
func linger(last, told context.Context, log *slog.Logger, d time.Duration) error {
	select {
	case <-last.Done():
		return nil
	case <-told.Done():
	}
	if d > 0 {
		log.Info("not ready any more; what is asked is still answered", "for", d)
	}
	select {
	case <-last.Done():
	case <-time.After(d):
	}
	return nil
}

// ending says that the process ends: it answers what it is being asked and is to be asked nothing more.
func ending(ctx context.Context) serve.Check {
	return serve.Check{Name: "shutdown", Test: func() error {
		if ctx.Err() != nil {
			return errors.New("the process is ending")
		}
		return nil
	}}
}

// probes opens the door for probes, if there is to be one.
func probes(ctx context.Context, e *environment, address string) error {
	if address == "" {
		return nil
	}
	p, err := serve.OpenProbes(ctx, address, "--health-listen", e.checks)
	if err != nil {
		return err
	}
	e.life.Opened("the port for probes", p.Close)
	e.life.Runs("probes", p.Run)
	return nil
}
