package live

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options says how much the picture keeps and for how long. A field left at zero takes its default.
type Options struct {
	// Keep is how long the samples of a series are kept, and so the longest look there is. Default 75 s.
	Keep time.Duration
	// Stale is the shortest time without a sample after which a row of the fast lane has no current value;
	// three sampling intervals if that is longer. Default 5 s.
	Stale time.Duration
	// StaleFull is the same for rows that only full batches carry. Default 35 s.
	StaleFull time.Duration
	// Forget is how long an entity without samples is shown with its gap before it is dropped. Default 2 min.
	Forget time.Duration
	// ForgetNodes is the same for a node: people look for a machine that died. Default 1 h.
	ForgetNodes time.Duration
	// Skew is how far a sample's time may lie after its batch's. Default 5 s.
	Skew time.Duration
	// MaxEntities is the most entities with samples of their own; groups of further ones are rejected and
	// counted. Default 200,000.
	MaxEntities int
	// MaxSeries is the most rows, counted with their interfaces and devices, of one entity. Default 512.
	MaxSeries int

	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: the own metrics are not registered
}

// Validate says which field cannot be used.
func (o Options) Validate() error {
	for _, f := range []struct {
		name string
		d    time.Duration
		max  time.Duration
	}{
		{"Keep", o.Keep, time.Hour}, {"Stale", o.Stale, time.Hour}, {"StaleFull", o.StaleFull, time.Hour},
		{"Forget", o.Forget, 24 * time.Hour}, {"ForgetNodes", o.ForgetNodes, 24 * time.Hour}, {"Skew", o.Skew, time.Hour},
	} {
		if f.d < 0 || f.d > f.max {
			return fmt.Errorf("live: %s is %q, it must be between 0 and %v", f.name, f.d, f.max)
		}
	}
	if o.MaxEntities < 0 {
		return fmt.Errorf("live: MaxEntities is \"%d\", it must not be negative", o.MaxEntities)
	}
	if o.MaxSeries < 0 || o.MaxSeries > 1<<15 {
		return fmt.Errorf("live: MaxSeries is \"%d\", it must be between 0 and %d", o.MaxSeries, 1<<15)
	}
	return nil
}

// filled returns the options with the defaults in place.
func (o Options) filled() Options {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&o.Keep, 75*time.Second)
	set(&o.Stale, 5*time.Second)
	set(&o.StaleFull, 35*time.Second)
	set(&o.Forget, 2*time.Minute)
	set(&o.ForgetNodes, max(time.Hour, o.Forget))
	set(&o.Skew, 5*time.Second)
	if o.MaxEntities == 0 {
		o.MaxEntities = 200_000
	}
	if o.MaxSeries == 0 {
		o.MaxSeries = 512
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
