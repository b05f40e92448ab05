package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/metric"
)

// Reader reads the node and its containers.
type Reader interface {
	Read(now time.Time) *metric.Batch
}

// Extra measures what no cgroup tells: processes of a service that have no cgroup of their own. It is asked
// in every tick of both lanes, by both at once if they coincide.
type Extra interface {
	Read(now time.Time) ([]metric.Group, []metric.Gap)
}

// Sink takes batches. Take may keep the batch but not change it, since another sink has it too; it must return
// when ctx ends, and may be called by both lanes at once.
type Sink interface {
	Take(ctx context.Context, b *metric.Batch) error
}

// SinkFunc is a Sink that is a function.
type SinkFunc func(ctx context.Context, b *metric.Batch) error

// Take implements Sink.
func (f SinkFunc) Take(ctx context.Context, b *metric.Batch) error { return f(ctx, b) }

// Options says what is read, how often, and where it goes.
type Options struct {
	// Interval is the full lane's, FastInterval the fast lane's. Zero means 10 s and 1 s.
	Interval, FastInterval time.Duration
	// Full reads everything and is required. Fast reads CPU and memory; it may be nil: then there is no fast lane.
	Full, Fast Reader
	// Extra adds to what each reader found.
	Extra []Extra
	// Slow adds to what the full reader found, and is asked in the full lane only.
	Slow []Extra
	// Live gets every batch, History every full one. One of them may be nil.
	Live, History Sink
	// Logger gets what a person may have to act on; nil discards.
	Logger *slog.Logger
	// Registerer gets the room's own metrics; nil registers none.
	Registerer prometheus.Registerer
}

// Validate says what is wrong with the options, or nil.
func (o *Options) Validate() error {
	switch {
	case o.Full == nil:
		return errors.New("cannot collect without a full reader")
	case o.Live == nil && o.History == nil:
		return errors.New("cannot collect without a sink to send to")
	case o.Interval < 0 || o.FastInterval < 0:
		return fmt.Errorf("cannot collect every %q and %q: an interval is negative", o.Interval, o.FastInterval)
	}
	return nil
}

func (o *Options) setDefaults() {
	if o.Interval == 0 {
		o.Interval = 10 * time.Second
	}
	if o.FastInterval == 0 {
		o.FastInterval = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}
