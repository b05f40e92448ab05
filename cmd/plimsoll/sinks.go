package main

import (
	"context"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// toPicture is the live lane's end.
type toPicture struct{ picture *live.Picture }

// Take applies the batch to the live picture.
func (s toPicture) Take(_ context.Context, b *metric.Batch) error { return s.picture.Apply(b) }

// toStore is the history lane's end.
type toStore struct{ store store.Appender }

// Take appends the batch to the history.
func (s toStore) Take(ctx context.Context, b *metric.Batch) error { return s.store.Append(ctx, b) }

// keepRollUps appends the live picture's sums to the history every interval, until ctx ends.
func keepRollUps(p *live.Picture, a store.Appender, every time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case now := <-t.C:
				// The store counts what it cannot take and shows it as a condition; there is nothing to add.
				_ = a.Append(ctx, p.RollUp(now))
			}
		}
	}
}
