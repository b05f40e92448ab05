package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/aggregator/heapster"
	"plimsoll.dev/plimsoll/aggregator/ingest"
	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/autoscaler"
	services "plimsoll.dev/plimsoll/autoscaler/process"
	"plimsoll.dev/plimsoll/collector"
	"plimsoll.dev/plimsoll/collector/cadvisor"
	"plimsoll.dev/plimsoll/collector/cgroup"
	"plimsoll.dev/plimsoll/collector/names"
	processes "plimsoll.dev/plimsoll/collector/process"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/lifecycle"
	"plimsoll.dev/plimsoll/internal/serve"
)

// machine is everything in one process: the whole flow of one machine.
type machine struct {
	opts     runOptions
	log      *slog.Logger
	life     *lifecycle.Life
	registry *prometheus.Registry

	names     *names.Names
	fast      *cgroup.Reader
	collector *collector.Collector
	store     *history
	picture   *live.Picture
	services  *services.Supervisor
	loop      *autoscaler.Loop
	api       *api.API
	heapster  *heapster.API
	ingest    *ingest.Receiver
	server    *serve.Server
	policies  *policies
	began     time.Time
}

// newMachine wires the flow, in its order: store, picture, names, services, readers, autoscaler, what is served.
func newMachine(ctx context.Context, o runOptions, log *slog.Logger, now time.Time) (m *machine, err error) {
	life := lifecycle.New(log)
	m = &machine{opts: o, log: log, life: life, registry: prometheus.NewRegistry(), began: now}
	defer func() {
		if err != nil {
			err = errors.Join(err, life.Close())
		}
	}()
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if m.store, err = openHistory(o.historyOptions, log, m.registry, life); err != nil {
		return nil, err
	}
	m.policies, err = loadPolicies(o, log)
	if err != nil {
		return nil, err
	}
	life.Opened("the demo's folder", m.policies.close)
	if m.picture, err = live.New(live.Options{Logger: logOf(log, "live"), Registerer: m.registry}); err != nil {
		return nil, err
	}

	if !o.serveOnly {
		if err := m.newNode(ctx); err != nil {
			return nil, err
		}
	}
	m.life.Runs("roll-ups", keepRollUps(m.picture, m.store, o.interval))

	if m.api, err = api.New(api.Options{Pictures: m.picture, Decisions: m.store, History: m.store, Scaled: m.scaled, Conditions: m.conditions,
		Version: thisBuild().Version, Since: now, Interval: o.fast, Logger: log, Registerer: m.registry}); err != nil {
		return nil, err
	}
	m.life.Runs("api", m.api.Run)
	if m.heapster, err = heapster.New(heapster.Options{Pictures: m.picture, History: m.store, Resolution: o.interval, Logger: log, Registerer: m.registry}); err != nil {
		return nil, err
	}
	if m.ingest, err = ingest.New(ingest.Options{Live: toPicture{m.picture}, History: toStore{m.store}, Logger: logOf(log, "ingest"), Registerer: m.registry}); err != nil {
		return nil, err
	}
	if m.server, err = serve.New(serve.Options{Listen: o.listen, WebConfig: o.webConfig, Routes: m.routes(), Logger: logOf(log, "http"), Registerer: m.registry}); err != nil {
		return nil, err
	}
	m.life.Opened("the listener", m.server.Close)
	m.life.Runs("http", m.server.Run)
	return m, nil
}

// logOf names the part that logs, for rooms that do not name themselves.
func logOf(log *slog.Logger, name string) *slog.Logger { return log.With("component", name) }

// newNode makes what a machine that is itself collected has: names, services, collector, autoscaler.
func (m *machine) newNode(ctx context.Context) (err error) {
	if m.names, err = names.New(names.Options{Node: m.opts.node, Own: os.Getpid(), Sockets: names.DefaultSockets(), Logger: logOf(m.log, "names")}); err != nil {
		return err
	}
	m.life.Runs("names", m.names.Run)
	if err := m.newServices(ctx); err != nil {
		return err
	}
	if err := m.newCollector(); err != nil {
		return err
	}
	return m.newAutoscaler()
}

// newCollector makes the readers and the two lanes: fast to the picture, full to the picture and the store.
func (m *machine) newCollector() (err error) {
	log := logOf(m.log, "collector")
	if m.fast, err = cgroup.New(cgroup.Options{Root: m.opts.cgroupRoot, Node: m.opts.node, Namer: m.names, Logger: log, Registerer: m.registry}); err != nil {
		return err
	}
	m.life.Opened("the fast reader", m.fast.Close)
	full, err := cadvisor.New(cadvisor.Options{Interval: m.opts.interval, Node: m.opts.node, Namer: m.names, Starts: m.fast, Logger: log, Registerer: m.registry})
	if err != nil {
		return err
	}
	m.life.Runs("cadvisor", full.Run)
	pods := collector.NewPods(m.opts.node, os.Getpid(), m.names, m.services)
	byProcess, err := processes.New(processes.Options{List: pods.Processes, Logger: log, Registerer: m.registry})
	if err != nil {
		return err
	}
	m.collector, err = collector.New(collector.Options{Node: m.opts.node, Interval: m.opts.interval, FastInterval: m.opts.fast, Full: full, Fast: m.fast,
		Extra: []collector.Extra{byProcess, pods}, Live: toPicture{m.picture}, History: toStore{m.store}, Logger: log, Registerer: m.registry})
	if err != nil {
		return err
	}
	m.life.Runs("collector", m.collector.Run)
	return nil
}

func (m *machine) storeHealth() error {
	return healthError(m.store.health())
}

// healthError is a store's state as a check wants it.
func healthError(h condition.Condition) error {
	if !h.OK() {
		return fmt.Errorf("%s: %s", h.Reason, h.Message)
	}
	return nil
}

// conditions say what is wrong with Plimsoll itself; nothing when all is well.
func (m *machine) conditions(now time.Time) []condition.Condition {
	var out []condition.Condition
	if h := m.store.health(); !h.OK() {
		out = append(out, h)
	}
	if m.store.conditions != nil {
		out = append(out, m.store.conditions()...)
	}
	out = append(out, m.ingest.Conditions(now)...)
	if m.collector == nil {
		return out
	}
	if err := m.collector.Health(); err != nil && time.Since(m.began) > 3*m.opts.interval {
		out = append(out, condition.Ill("Collecting", "TickLate", err.Error(), m.began))
	}
	if c, bad := m.policies.condition(); bad {
		out = append(out, c)
	}
	return out
}

// reload reads the policies again; SIGHUP asks for it.
func (m *machine) reload(context.Context) error {
	if m.loop == nil {
		return nil
	}
	return m.policies.reload(m.services, m.loop)
}

// scaled is what the autoscaler looks after; nothing where there is none.
func (m *machine) scaled(now time.Time) []cluster.Scaled {
	if m.loop == nil {
		return nil
	}
	return m.loop.Scaled(now)
}
