package influx

import (
	"context"
	"errors"
	"fmt"

	"plimsoll.dev/plimsoll/internal/queue"
	"plimsoll.dev/plimsoll/internal/store"
)

// Durable is a durable queue as the sink and the writer want it: a Queue, a DeadLetters and two lanes.
type Durable struct{ q *queue.Queue }

// OnQueue returns the queue as the sink and the writer want it. The caller runs and closes it.
func OnQueue(q *queue.Queue) Durable { return Durable{q} }

// Append queues lines.
func (d Durable) Append(ctx context.Context, lines []byte, n int) error {
	err := d.q.Append(ctx, lines, queue.Meta{Points: n})
	switch {
	case errors.Is(err, queue.ErrFull):
		return fmt.Errorf("%w: %w", store.ErrReadOnly, err)
	case errors.Is(err, queue.ErrClosed):
		return fmt.Errorf("%w: %w", store.ErrClosed, err)
	}
	return err
}

// SetAside puts lines among the queue's dead letters.
func (d Durable) SetAside(lines []byte, reason string) error {
	return d.q.Dead(lines, queue.Meta{Points: count(lines)}, reason)
}

// Lanes are the queue's two ways out: what is fresh, newest first, and the backlog.
func (d Durable) Lanes() []Lane {
	return []Lane{{Name: "fresh", Source: lane(d.q.Fresh)}, {Name: "backlog", Source: lane(d.q.Backlog)}}
}

// lane is one of the queue's ways out.
type lane func(ctx context.Context) (*queue.Batch, error)

// Next returns the lines of the lane's next batch, whose size the queue's options bound.
func (l lane) Next(ctx context.Context, _ int) (Batch, error) {
	b, err := l(ctx)
	if err != nil {
		return Batch{}, err
	}
	out := Batch{Done: func() error { b.Ack(); return nil }, Back: b.Nack}
	if len(b.Records) == 1 {
		out.Lines = b.Records[0].Data
		return out, nil
	}
	n := 0
	for i := range b.Records {
		n += len(b.Records[i].Data)
	}
	out.Lines = make([]byte, 0, n)
	for i := range b.Records {
		out.Lines = append(out.Lines, b.Records[i].Data...)
	}
	return out, nil
}
