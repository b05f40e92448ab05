package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/store"
)

// Pictures gives the live picture of a moment. A snapshot is immutable; nil means that there is none yet.
type Pictures interface {
	Snapshot(now time.Time) *live.Snapshot
}

// Decisions reads the decision log, newest first.
type Decisions interface {
	Decisions(ctx context.Context, q store.DecisionQuery) ([]cluster.Decision, error)
}

// Options says what the API reads from and how it presents itself.
type Options struct {
	Pictures  Pictures  // required
	Decisions Decisions // nil: there is no decision log, all its answers are empty
	// Decides is whether decisions are made here, where each server keeps its own alone: else another one has them. nil: the log has those of all.
	Decides cluster.Gate
	// Scaled tells what the autoscaler looks after at a moment; the list belongs to the caller. nil: nothing is scaled.
	Scaled func(now time.Time) []cluster.Scaled
	// PodsOf returns the pods of a target, be it above or below what people call them by. nil: nobody tells such from their workloads.
	PodsOf func(cluster.Target) ([]*cluster.Pod, error)
	// Autoscaler is what becomes of a cluster's ScalePolicies: "on", "dry-run" or "off". "": no cluster is served.
	Autoscaler string
	// Nodes tells which machines the cluster has, in order of name, and how it says that they are. nil: nobody knows.
	Nodes      func() []*cluster.Node
	History    History                                   // nil: there is no past to ask for
	Conditions func(now time.Time) []condition.Condition // what is wrong with Plimsoll itself; nil: nothing ever is

	Version  string
	Since    time.Time     // when this process began to collect
	Interval time.Duration // between fast samples; zero means 1 s

	// MaxStreams is how many streams may be open at once; zero means 64.
	MaxStreams int

	Logger     *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: own metrics are not registered
}

// Validate says what is wrong with the options.
func (o Options) Validate() error {
	switch {
	case o.Pictures == nil:
		return errors.New("cannot serve the API without a live picture (Options.Pictures is nil)")
	case o.Interval < 0:
		return fmt.Errorf("cannot serve the API with an interval of %q: it must not be negative", o.Interval)
	case o.MaxStreams < 0:
		return fmt.Errorf("cannot serve the API with \"%d\" streams at most: it must not be negative", o.MaxStreams)
	}
	return nil
}

// API answers the requests under /plimsoll/v1. Its handlers work at once; streams move while Run runs.
type API struct {
	opts    Options
	log     *slog.Logger
	metrics *metrics
	hub     *hub

	mu   sync.Mutex // guards what follows
	ooms *kills
	of   *live.Snapshot           // the newest that was asked for
	last map[scope.Scope]*picture // of it; built once for all readers who see the same

	shown atomic.Pointer[picture] // the newest of which everything is seen, for those who need not have the newest
}

// New makes an API. It starts nothing.
func New(o Options) (*API, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.Interval = cmp.Or(o.Interval, time.Second)
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, err
	}
	return &API{
		opts:    o,
		log:     o.Logger.With("component", "api"),
		metrics: m,
		hub:     newHub(cmp.Or(o.MaxStreams, 64), m),
		ooms:    newKills(),
	}, nil
}
