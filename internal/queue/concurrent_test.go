package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// Four writers, two readers on each lane that refuse a third of what they get, Run at every millisecond, and somebody who looks: with
// the race detector. Every record is delivered, none twice.
func TestConcurrentUse(t *testing.T) {
	const writers, each = 4, 500
	q := mustOpen(t, Options{Dir: t.TempDir(), SegmentBytes: 4 << 10, SyncEvery: time.Millisecond, batchPoints: 7, inFlightBytes: 4 << 10, disk: lazyDisk{}})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { _ = q.Run(ctx) })
	all.Go(func() {
		for ctx.Err() == nil {
			_, _ = q.Stats(), q.Health()
			time.Sleep(time.Millisecond)
		}
	})
	var mu sync.Mutex
	got := map[string]int{}
	for _, next := range []func(context.Context) (*Batch, error){q.Fresh, q.Fresh, q.Backlog, q.Backlog} {
		all.Go(func() {
			for {
				b, err := next(ctx)
				if err != nil {
					return
				}
				if rand.IntN(3) == 0 {
					b.Nack()
					continue
				}
				mu.Lock()
				for _, r := range b.Records {
					got[string(r.Data)]++
				}
				mu.Unlock()
				b.Ack()
				mu.Lock()
				if len(got) == writers*each {
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	for w := range writers {
		all.Go(func() {
			for i := range each {
				if err := q.Append(context.Background(), fmt.Appendf(nil, "%d/%d", w, i), Meta{Points: 1}); err != nil {
					t.Errorf("Append: %v", err)
				}
				if i%50 == 0 {
					if err := q.Dead([]byte("x"), Meta{}, "m"); err != nil {
						t.Errorf("Dead: %v", err)
					}
				}
			}
		})
	}
	all.Wait()
	for r, n := range got {
		if n != 1 {
			t.Errorf("record %q was delivered %d times", r, n)
		}
	}
	if s := q.Stats(); len(got) != writers*each || s.Records != 0 || s.InFlight != 0 {
		t.Errorf("got %d records, want %d; %+v", len(got), writers*each, s)
	}
}

// A queue may be closed under its users.
func TestCloseUnderUse(t *testing.T) {
	q := mustOpen(t, Options{Dir: t.TempDir(), SegmentBytes: 4 << 10, SyncEvery: 0, disk: lazyDisk{}})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { _ = q.Run(ctx) })
	acked := 0
	all.Go(func() {
		for ; q.Append(ctx, []byte(rec(acked)), Meta{}) == nil; acked++ {
		}
	})
	seen := make(chan bool, 1)
	for _, next := range []func(context.Context) (*Batch, error){q.Fresh, q.Backlog} {
		all.Go(func() {
			for {
				b, err := next(ctx)
				if err != nil {
					return
				}
				select {
				case seen <- true:
				default:
				}
				b.Nack()
			}
		})
	}
	<-seen
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	cancel()
	all.Wait()
	wantRecords(t, drain(mustOpen(t, q.opts))[:acked], span(0, acked)...) // the last one may be there although Append failed
}
