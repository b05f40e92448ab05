// Package ingest receives remote write, 2.0 and 1.0, from collectors and from anything else that speaks it, turns
// the series that the catalogue knows into batches, one for each node, and hands them to the live picture and
// to the history. It is the only importer of client_golang's remote write library.
//
// Series are told apart by the labels of internal/metric; other labels are not looked at. What the catalogue does
// not have (other metrics, histograms, exemplars) is left out and counted, as a sender's relabelling would: that is no
// error. Samples that are wrong (from the future, without the labels that name their entity, over the
// limits) are rejected: the others are written, and the answer is 400 with the numbers, as remote write 2.0 asks.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/metric"
)

// LaneHeader names the lane that a request belongs to. Collectors send "live" on the live lane; everything
// else is history.
const LaneHeader = "Plimsoll-Lane"

// LiveLane is the value of LaneHeader for batches that are for the live picture only.
const LiveLane = "live"

// LiveFullLane is the same for a batch of everything: the history has it from elsewhere, and its pace is the slow one's.
const LiveFullLane = "live-full"

// Sink takes what was received. It may keep the batch.
type Sink interface {
	Take(ctx context.Context, b *metric.Batch) error
}

// SinkFunc is a Sink that is a function.
type SinkFunc func(ctx context.Context, b *metric.Batch) error

// Take calls the function.
func (f SinkFunc) Take(ctx context.Context, b *metric.Batch) error { return f(ctx, b) }

// Options says where received batches go and how much is taken. A field left at zero takes its default.
type Options struct {
	Live    Sink // takes every batch
	History Sink // takes the batches that did not come by the live lane; nil: there is no history

	// MaxBody is the most bytes of a request as sent, MaxDecoded of one decompressed. Defaults 4 MiB and 32 MiB.
	MaxBody, MaxDecoded int64
	// MaxSeries is the most series, and MaxEntities the most entities, that are known at one time. Defaults 4,000,000 and 250,000.
	MaxSeries, MaxEntities int
	// MaxLabels is the most bytes that the labels of all known series may have together. Default 512 MiB.
	MaxLabels int64
	// MaxInFlight is the most requests of the history lane that are worked on at once, MaxLive of the live lane; further ones get
	// 429. Defaults 16 and 64.
	MaxInFlight, MaxLive int
	// LiveBody is how long the body of a request of the live lane may take to arrive. Default 5 s.
	LiveBody time.Duration
	// Timeout is how long the sinks may take for one request. Default 10 s.
	Timeout time.Duration
	// Skew is how far ahead of this machine's clock a sample may be. Default 10 min, as far as the stores take them.
	Skew time.Duration
	// Forget is how long a series that is not sent stays known. Default 10 min.
	Forget time.Duration

	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: the own metrics are not registered
}

// Validate says which field cannot be used.
func (o Options) Validate() error {
	if o.Live == nil && o.History == nil {
		return errors.New("ingest: neither Live nor History is given, there is nowhere to write")
	}
	for _, f := range []struct {
		name string
		v    int64
	}{
		{"MaxBody", o.MaxBody}, {"MaxDecoded", o.MaxDecoded}, {"MaxSeries", int64(o.MaxSeries)}, {"MaxEntities", int64(o.MaxEntities)},
		{"MaxInFlight", int64(o.MaxInFlight)}, {"MaxLive", int64(o.MaxLive)}, {"MaxLabels", o.MaxLabels}, {"LiveBody", int64(o.LiveBody)},
		{"Timeout", int64(o.Timeout)}, {"Skew", int64(o.Skew)}, {"Forget", int64(o.Forget)},
	} {
		if f.v < 0 {
			return fmt.Errorf("ingest: %s is \"%d\", it must not be negative", f.name, f.v)
		}
	}
	return nil
}

func (o Options) filled() Options {
	def(&o.MaxBody, 4<<20)
	def(&o.MaxDecoded, 32<<20)
	def(&o.MaxSeries, 4_000_000)
	def(&o.MaxEntities, 250_000)
	def(&o.MaxInFlight, 16)
	def(&o.MaxLive, 64)
	def(&o.MaxLabels, 512<<20)
	def(&o.LiveBody, 5*time.Second)
	def(&o.Timeout, 10*time.Second)
	def(&o.Skew, 10*time.Minute)
	def(&o.Forget, 10*time.Minute)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
