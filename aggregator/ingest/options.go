// Package ingest receives remote write, 2.0 and 1.0, from collectors and from anything else that speaks it, turns
// the series that the catalogue knows into batches, one for each node, and hands them to the live picture and
// to the history.
//
// Series are told apart by the labels of internal/metric; other labels are not looked at. What the catalogue does
// not have (other metrics, histograms, exemplars) is left out and counted, as a sender's relabelling would: that is no
// error. Samples that are wrong (no number, or one that their row cannot have, from the future, without the labels that name
// their entity or with one twice, over the limits) are rejected: the others are written, and the answer is 400 with the numbers, as remote write 2.0 asks.
package ingest

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/metric"
)

// Sink takes what was received. It may keep the batch.
type Sink interface {
	Take(ctx context.Context, b *metric.Batch) error
}

// Pods knows where the pods of a cluster are. It is asked once for each container and request.
type Pods interface {
	// Place says on which node a pod is at present, "" before it is scheduled, and since when there is this pod of the name. known is false where
	// there is no such pod; inside says that one of that namespace would be known.
	Place(namespace, pod string) (node string, since time.Time, known, inside bool)
	// Left says whether a pod of the name was on a node until lately. It is asked of what a node says of a pod that is on another one.
	Left(namespace, pod, node string) bool
}

// Options says where received batches go.
type Options struct {
	Live    Sink // takes every batch
	History Sink // takes the batches that did not come by the live lane; nil: there is no history

	// Own are the nodes that this process reads itself: what others say of them is refused.
	Own []string
	// Pods says where pods are: what a node's collector says of another node's is refused. nil: nobody knows.
	Pods Pods

	// MaxSeries and MaxEntities are how many are known at one time, 0 for as many as the largest fleet has. What of one request and of all may wait
	// follows from them.
	MaxSeries, MaxEntities int

	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: the own metrics are not registered
}

// Validate says which field cannot be used.
func (o Options) Validate() error {
	if o.Live == nil && o.History == nil {
		return errors.New("ingest: neither Live nor History is given, there is nowhere to write")
	}
	if o.MaxSeries < 0 || o.MaxEntities < 0 {
		return errors.New("ingest: MaxSeries or MaxEntities is negative")
	}
	return nil
}

// limits are how much is taken; tests make them small.
type limits struct {
	body, decoded    int64         // bytes of a request as sent, and of one decompressed
	series, entities int           // known at one time
	labels           int64         // bytes that the labels of all known series have together
	inFlight, live   int           // requests that are worked on at once, of the history lane and of the live lane; further ones wait, or get 429
	samples, nodes   int           // of one request
	waiting          int64         // samples of each lane that wait for the sinks
	bodies           int64         // bytes of all bodies that are being read, beyond the first of each
	bodyTime         time.Duration // for a body to arrive, and a second more for each bodyPace bytes
}

// MaxBody is how many bytes of a request are read, as it is sent.
const MaxBody = 4 << 20

// usual are the limits of the product.
var usual = limits{body: MaxBody, decoded: 32 << 20, series: 4_000_000, entities: 250_000, labels: 512 << 20,
	inFlight: 16, live: 64, samples: 500_000, nodes: 2_000, waiting: 2_000_000, bodies: 64 << 20, bodyTime: 5 * time.Second}

// within returns the limits of a process that has room for so many series and entities, 0 for those of l.
func (l limits) within(series, entities int) limits {
	if entities > 0 {
		l.entities = min(l.entities, entities)
	}
	if series == 0 || series >= l.series {
		return l
	}
	l.series = series
	l.labels = min(l.labels, int64(series)*256)
	l.waiting = min(l.waiting, max(100_000, int64(series)*4))
	l.samples = min(l.samples, int(l.waiting)/2)
	l.decoded = min(l.decoded, max(8<<20, int64(series)*128))
	l.bodies = min(l.bodies, max(16<<20, int64(series)*256))
	return l
}

const (
	// bodyPace is how many bytes of a body must come in a second.
	bodyPace = 256 << 10
	// firstBytes are what each request may read of its body whatever others do.
	firstBytes = 64 << 10
	// patience and livePatience are how long a request waits for those of its lane that are in flight.
	patience, livePatience = 5 * time.Second, time.Second
	// timeout is how long the sinks may take for one request.
	timeout = 10 * time.Second
	// skew is how far ahead of this machine's clock a sample may be: as far as the stores take them.
	skew = 10 * time.Minute
	// forget is how long a series that is not sent stays known.
	forget = 10 * time.Minute
	// crowded is the same where there is no room for others: as long as the live picture keeps what has ended.
	crowded = 2 * time.Minute
)
