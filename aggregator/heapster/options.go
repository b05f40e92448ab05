package heapster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"plimsoll.dev/plimsoll/internal/model"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/store"
)

// Pictures gives the live picture of a moment; nil means that there is none yet.
type Pictures interface {
	Snapshot(now time.Time) *live.Snapshot
}

// History answers structured queries about the past.
type History interface {
	Query(ctx context.Context, q store.Query) ([]store.Series, error)
}

// Options says what the model API reads from.
type Options struct {
	Pictures Pictures // required
	// History is where older points come from. nil: the model has the newest values only, and the historical
	// routes are not found.
	History History
	// Resolution is the step between samples in the history; zero means 10 s.
	Resolution time.Duration

	Logger     *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: own metrics are not registered
}

// Validate says what is wrong with the options.
func (o Options) Validate() error {
	switch {
	case o.Pictures == nil:
		return errors.New("cannot serve Heapster's API without a live picture (Options.Pictures is nil)")
	case o.Resolution < 0 || o.Resolution > 0 && o.Resolution < time.Second:
		return fmt.Errorf("cannot serve Heapster's API with a resolution of %q: it must be at least 1s", o.Resolution)
	}
	return nil
}

// API answers requests under /api/v1/model, /api/v1/historical and /api/v1/metric-export. It starts nothing.
type API struct {
	opts   Options
	log    *slog.Logger
	specs  model.Metrics
	failed prometheus.Counter
	size   atomic.Int64 // containers of the last picture
}

// New makes an API.
func New(o Options) (*API, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Resolution == 0 {
		o.Resolution = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &API{opts: o, log: o.Logger.With("component", "heapster"), specs: model.New(),
		failed: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_aggregator_heapster_history_errors_total",
			Help: "Queries of the history that failed; the model answered with its newest values alone."})}
	if o.Registerer != nil {
		if err := o.Registerer.Register(a.failed); err != nil {
			return nil, fmt.Errorf("cannot register the metrics of Heapster's API: %w", err)
		}
	}
	return a, nil
}
