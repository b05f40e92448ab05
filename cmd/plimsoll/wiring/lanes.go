package wiring

import (
	"context"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// toPicture is the live lane's end in this process.
type toPicture struct{ picture *live.Picture }

// Take applies the batch to the live picture.
func (s toPicture) Take(_ context.Context, b *metric.Batch) error { return s.picture.Apply(b) }

// toStore is the history lane's end.
type toStore struct{ store store.Appender }

// Take appends the batch to the history.
func (s toStore) Take(ctx context.Context, b *metric.Batch) error { return s.store.Append(ctx, b) }
