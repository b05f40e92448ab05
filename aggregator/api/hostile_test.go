package api

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/scope"
)

// forged is a fleet that somebody made up.
func forged(nodes int) *live.Snapshot {
	list := make([]*live.Item, 0, nodes)
	for i := range nodes {
		list = append(list, &live.Item{Entity: &metric.Entity{Level: metric.Node, Node: fmt.Sprintf("made-up-%06d", i), ID: "/"}, First: noon})
	}
	return snapshotOf(list, nil)
}

// Streams of many different views over a fleet that is made up, none of which is read, have a bounded part of the memory; one that is read
// goes on beside them, and gets the rows that it asks for.
func TestStreamsThatMultiply(t *testing.T) {
	snap := forged(20_000)
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, func(o *Options) {
			o.Pictures = pictures(func(now time.Time) *live.Snapshot { s := *snap; s.Time = now; return &s })
		})
		var stuck []*subscriber
		held := map[*subscriber][]frame{}
		for i := range 30 {
			var s *subscriber
			s, err := a.hub.add(view{sel: selection{sort: "score", limit: maxLimit - i}}, fmt.Sprint("mallory", i%2), func() {
				for _, f := range held[s] { // as a write ends whose deadline is over
					f.letGo()
				}
				s.writing.Store(0)
				delete(held, s)
			})
			if err != nil {
				t.Fatal(err)
			}
			stuck = append(stuck, s)
		}
		honest, err := a.hub.add(view{sel: selection{sort: "score", limit: 500}}, "ann", func() { t.Error("the honest one is cut off") })
		if err != nil {
			t.Fatal(err)
		}
		p := newPublisher(a)
		got, gap, worst := 0, 0, 0
		for range 8 {
			p.publish(t.Context(), time.Now())
			if left := a.hub.room.Load(); left < 0 {
				t.Errorf("frames have %d bytes more than there are", -left)
			}
			for _, s := range stuck {
				if s.writing.Load() == 0 {
					if f := s.drain(); len(f) > 0 {
						held[s] = f
						s.writing.Store(time.Now().UnixMilli())
					}
				}
			}
			fs := honest.drain()
			for _, f := range fs {
				if len(f.bytes) > 1<<20 {
					t.Errorf("a frame of %d bytes for 500 rows", len(f.bytes))
				}
				f.letGo()
			}
			if got += len(fs); len(fs) == 0 {
				gap++
			} else {
				gap = 0
			}
			worst = max(worst, gap)
			time.Sleep(time.Second)
		}
		if got < 4 || worst > 3 {
			t.Errorf("the honest stream got %d of 8 frames, missing %d in a row", got, worst)
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		if mb := m.HeapAlloc >> 20; mb > 300 {
			t.Errorf("%d MiB in use", mb)
		}
	})
}

// One client has half of the streams; a further one takes the place of its oldest, and leaves others theirs.
func TestOneClientHasHalfOfTheStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, func(o *Options) { o.MaxStreams = 6 })
		open := func(client string) (*subscriber, error) { return a.hub.add(view{}, client, func() {}) }
		first, err := open("mallory")
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			time.Sleep(time.Second)
			_, _ = open("mallory")
		}
		if n, _ := a.hub.of("mallory"); n != 3 {
			t.Errorf("one client has %d of 6 streams", n)
		}
		for range 3 {
			if _, err := open("ann"); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(settledAfter)
		if _, err := open("mallory"); err != nil {
			t.Error(err)
		}
		select {
		case <-first.end:
		default:
			t.Error("the oldest stream goes on")
		}
		a.hub.remove(first)
		if n, _ := a.hub.of("mallory"); n != 3 || len(a.hub.subs) != 6 {
			t.Errorf("%d streams of the client, %d of all", n, len(a.hub.subs))
		}
		if left := a.hub.room.Load(); left != frameBytes {
			t.Errorf("%d bytes of %d came back", left, frameBytes)
		}
	})
}

// Whoever waits for the rows waits without a snapshot: of many that wait each would keep an older one, and have its rows made anew.
func TestWaitingKeepsNoSnapshot(t *testing.T) {
	snap := forged(10)
	var a *API
	asked := 0
	a = newAPI(t, func(o *Options) {
		o.Pictures = pictures(func(time.Time) *live.Snapshot {
			if asked++; a != nil && a.mu.TryLock() {
				a.mu.Unlock()
				t.Error("a snapshot is taken before it is one's turn to make its rows")
			}
			return snap
		})
	})
	first := a.picture(noon, scope.Whole())
	a.watch(noon)
	if again := a.picture(noon, scope.Whole()); again != first || a.likely(scope.Whole()) != first || asked != 3 {
		t.Errorf("the rows were made again, or %d snapshots taken", asked)
	}
}
