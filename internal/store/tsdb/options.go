package tsdb

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// blockRange is the length of the newest blocks, Prometheus' default. The head keeps one and a half times as much.
const (
	blockRange       = 2 * time.Hour
	defaultRetention = 15 * 24 * time.Hour
	// lookback is how far back a PromQL selector finds a series' newest sample: two missed ticks are bridged, more is a gap.
	lookback = 30 * time.Second
	// maxQueries is how many queries run at once; others wait. Those of the API have half of the places at most, so that whoever asks
	// expensive things there keeps neither the page nor the reports waiting.
	maxQueries = 8
	// subqueryStep is the step of a subquery that gives none.
	subqueryStep = 10 * time.Second
)

// maxAsked is how many of them are the API's: no more than cores, but two. More at a time end no sooner, and each may hold 80 MB.
func maxAsked() int { return min(maxQueries/2, max(2, runtime.GOMAXPROCS(0))) }

// Options say where the store is and how much it keeps. The zero value of every field but Dir means its default.
type Options struct {
	// Dir is the data folder, made if it does not exist.
	Dir string
	// Retention is how long data is kept, at least two hours; 15 days by default. Data goes by whole blocks, so a
	// little more may be kept.
	Retention time.Duration
	// MaxBytes is the most the folder may hold, the write-ahead log and the decisions included; 1 GiB by default.
	// The oldest blocks go first. The newest three hours (the head) are kept in any case.
	MaxBytes int64
	// OutOfOrder is how much older than the newest sample a late sample may be; one hour by default, Retention at most.
	OutOfOrder time.Duration
	// ExternalLabels are put on every series that does not have a label of the name itself.
	ExternalLabels []metric.Label
	// MaxForeign is how many series of batches that others have sent are kept in memory, beside this process's own; 0: as many as of all.
	MaxForeign int
	// Client names whom a request of the API is counted to, so that one client does not keep the others waiting; nil: the address that it came from.
	Client func(*http.Request) string

	// Logger is for changes of state; nil discards.
	Logger *slog.Logger
	// Registerer gets the store's metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
	// Now is the clock, time.Now by default.
	Now func() time.Time

	// Tests alone set what follows.

	// minFree is how many bytes of the disk are left alone: with less free, no samples are accepted. 32 MiB; negative means none.
	minFree      int64
	queryTimeout time.Duration // ends a query that takes longer: 30 s
	maxSamples   int           // how many a query may hold in memory at once: 5,000,000 (80 MB)
	maxWork      float64       // what the ranges of a query may cost
	maxSeries    int           // in the head; samples of further ones are left out and counted: 1,000,000
	maxOfNode    int           // of them, those of one node: 500,000
	maxEnded     int           // series in the head that have ended, before they are written out early: 10,000
	// maxEntities is how many entities' series are remembered between batches: 65,536. Past that the ones not seen for longest are
	// forgotten, which costs a search when they come again.
	maxEntities int
}

// Validate says what in the options cannot be.
func (o *Options) Validate() error {
	switch {
	case o.Dir == "":
		return fmt.Errorf("no data folder")
	case o.Retention != 0 && o.Retention < blockRange:
		return fmt.Errorf("retention %q is under two hours, the least that can be kept", o.Retention)
	case o.MaxBytes < 0:
		return fmt.Errorf("size limit \"%d\" is negative", o.MaxBytes)
	case o.MaxBytes != 0 && o.MaxBytes < 1<<20:
		return fmt.Errorf("size limit \"%d\" is under 1 MiB", o.MaxBytes)
	case o.MaxForeign < 0:
		return fmt.Errorf("%d series of others: must not be negative", o.MaxForeign)
	case o.OutOfOrder < 0 || o.OutOfOrder > or(o.Retention, defaultRetention):
		return fmt.Errorf("late samples of %q: must be between 0 and the retention", o.OutOfOrder)
	}
	for _, l := range o.ExternalLabels {
		if !store.IsLabelName(l.Name) {
			return fmt.Errorf("external label %q is not a label name", l.Name)
		}
	}
	return nil
}

// withDefaults returns the options with every default filled in.
func (o Options) withDefaults() Options {
	o.Retention = or(o.Retention, defaultRetention)
	o.MaxBytes = or(o.MaxBytes, 1<<30)
	o.OutOfOrder = or(o.OutOfOrder, time.Hour)
	o.queryTimeout = or(o.queryTimeout, 30*time.Second)
	o.maxSamples = or(o.maxSamples, 5_000_000)
	if o.maxWork == 0 {
		o.maxWork = maxWork
	}
	o.maxSeries = or(o.maxSeries, 1_000_000)
	o.MaxForeign = or(o.MaxForeign, o.maxSeries)
	o.maxOfNode = or(o.maxOfNode, min(o.maxSeries, 500_000))
	o.maxEnded = or(o.maxEnded, 10_000)
	o.maxEntities = or(o.maxEntities, 65_536)
	o.minFree = or(o.minFree, 32<<20)
	if o.Client == nil {
		o.Client = func(r *http.Request) string { return r.RemoteAddr[:max(strings.LastIndexByte(r.RemoteAddr, ':'), 0)] }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func or[T int | int64 | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}
