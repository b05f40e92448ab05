package live

import (
	"cmp"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// skew is how far a sample's time may lie after its batch's.
	skew = 5 * time.Second
	// rememberNodes is how long a node without samples is shown: people look for a machine that died.
	rememberNodes = time.Hour
	// maxEntities is the most entities with samples of their own; groups of further ones are rejected and counted.
	maxEntities = 200_000
	// maxSeries is the most rows, counted with their interfaces and devices, of one entity.
	maxSeries = 512
)

// Options says for how long the picture keeps what. A field left at zero takes its default.
type Options struct {
	// Keep is how long the samples of a series are kept, and so the longest window there is. Default 75 s.
	Keep time.Duration
	// Stale is the shortest time without a sample after which a row of the fast lane has no current value;
	// three sampling intervals if that is longer. Default 5 s.
	Stale time.Duration
	// StaleFull is the same for rows that only full batches carry. Default 35 s.
	StaleFull time.Duration
	// Forget is how long an entity without samples is shown with its gap before it is dropped; a node an hour at least. Default 2 min.
	Forget time.Duration

	Registerer prometheus.Registerer // nil: the own metrics are not registered
}

// Validate says which field cannot be used.
func (o Options) Validate() error {
	for name, d := range map[string]time.Duration{"Keep": o.Keep, "Stale": o.Stale, "StaleFull": o.StaleFull, "Forget": o.Forget} {
		if d < 0 || d > time.Hour {
			return fmt.Errorf("live: %s is %q, it must be between 0 and %v", name, d, time.Hour)
		}
	}
	return nil
}

// limitsOf returns the options, with the defaults in place, as the samples need them.
func limitsOf(o Options) limits {
	keep, forget := cmp.Or(o.Keep, 75*time.Second), cmp.Or(o.Forget, 2*time.Minute)
	return limits{
		stale: [...]int64{full: cmp.Or(o.StaleFull, 35*time.Second).Milliseconds(), fast: cmp.Or(o.Stale, 5*time.Second).Milliseconds()},
		keep:  uint32(keep.Milliseconds()), ring: min(max(int(keep/(500*time.Millisecond)), 16), 1024),
		forget: forget.Milliseconds(), forgetNodes: max(forget, rememberNodes).Milliseconds(), series: maxSeries, entities: maxEntities,
	}
}
