package wiring

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"plimsoll.dev/plimsoll/aggregator/heapster"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/lifecycle"
	"plimsoll.dev/plimsoll/internal/memory"
	"plimsoll.dev/plimsoll/internal/serve"
)

// environment is what the parts of a process share, and add to. It is complete before anything runs.
type environment struct {
	log      *slog.Logger
	registry *prometheus.Registry
	life     *lifecycle.Life
	began    time.Time
	version  string
	gate     cluster.Gate
	source   string // names this process to the servers that it sends to
	// who says who comes in, may what they may do; nil: the web configuration, and everything.
	who serve.Authenticator
	may serve.Authorizer

	checks     []serve.Check
	routes     []serve.Route
	conditions []func(now time.Time) []condition.Condition
	scaled     []func(now time.Time) []cluster.Scaled
	reloads    []func()
	heapster   heapster.Sink // the history, where it has Heapster's names; else nil
	memory     memory.Budget // how much the process is to stay within
	autoscaler string        // what becomes of the ScalePolicies of the cluster that is served; "": none is
}

func newEnvironment(log *slog.Logger, version string) *environment {
	e := &environment{log: log, registry: prometheus.NewRegistry(), life: lifecycle.New(log), began: time.Now(), version: version, gate: cluster.Open{}, source: rand.Text()}
	e.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return e
}

// named is the log of a part, for rooms that do not name themselves.
func (e *environment) named(component string) *slog.Logger { return e.log.With("component", component) }

// every joins what each of the functions gives for a moment.
func every[T any](fs []func(time.Time) []T, now time.Time) []T {
	var out []T
	for _, f := range fs {
		out = append(out, f(now)...)
	}
	return out
}

// login reads the files of a login to another server.
func (e *environment) login(o dial.Options) (*dial.Transport, error) {
	o.Logger = e.named("login")
	t, err := dial.New(o)
	if err != nil {
		return nil, &UsageError{err}
	}
	return t, nil
}

// metricsRoute serves the process's own metrics.
func (e *environment) metricsRoute() serve.Route {
	return serve.Route{Method: "GET", Pattern: "/metrics", InFlight: 8,
		Handler: promhttp.HandlerFor(e.registry, promhttp.HandlerOpts{Registry: e.registry, Timeout: 10 * time.Second, ErrorHandling: promhttp.ContinueOnError, ErrorLog: slog.NewLogLogger(e.named("metrics").Handler(), slog.LevelError)})}
}

// reloadAt reads again at each signal what can be, until ctx ends.
func (e *environment) reloadAt(ctx context.Context, signals <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-signals:
			for _, reload := range e.reloads {
				reload()
			}
		}
	}
}
