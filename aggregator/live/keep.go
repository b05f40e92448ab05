package live

import (
	"context"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// History keeps batches.
type History interface {
	Append(ctx context.Context, b *metric.Batch) error
}

// RollUps keeps a picture's sums at the pace of the history.
type RollUps struct {
	Picture *Picture
	History History
	Gate    cluster.Gate // sums of the whole cluster are for one to write
	Every   time.Duration
}

// Run appends the sums until ctx ends. They are counted without a break, and kept while the gate is open. When it opens, counters begin at the
// pass before: what another process has counted is in its own, and from there to here would be a leap.
func (r RollUps) Run(ctx context.Context) error {
	t := time.NewTicker(r.Every)
	defer t.Stop()
	closed := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-t.C:
			open := r.Gate.MayWrite() == nil
			if open && closed {
				r.Picture.beginSums()
			}
			closed = !open
			if b := r.Picture.RollUp(now); open && r.Gate.MayWrite() == nil {
				// The store counts what it cannot take and shows it as a condition; there is nothing to add.
				_ = r.History.Append(ctx, b)
			}
		}
	}
}
