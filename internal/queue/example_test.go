package queue_test

import (
	"context"
	"fmt"
	"os"

	"plimsoll.dev/plimsoll/internal/queue"
)

func Example() {
	dir, err := os.MkdirTemp("", "queue")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	q, err := queue.Open(queue.Options{Dir: dir, SyncEvery: queue.DefaultSyncEvery})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- q.Run(ctx) }()

	if err := q.Append(ctx, []byte("container,pod=p cpu=1 1780000000000\n"), queue.Meta{Points: 1}); err != nil {
		panic(err)
	}
	b, err := q.Fresh(ctx) // and q.Backlog in another goroutine
	if err != nil {
		panic(err)
	}
	for _, r := range b.Records {
		fmt.Printf("%d point: %s", r.Points, r.Data) // send it; what is refused for ever goes to q.Dead
	}
	b.Ack() // or b.Nack() when the store is away, and a pause before the next batch

	cancel()
	<-ended
	if err := q.Close(); err != nil {
		panic(err)
	}
	// Output: 1 point: container,pod=p cpu=1 1780000000000
}
