package api

import (
	"fmt"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/condition"
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
			s, err := a.hub.add(view{sees: scope.Whole(), sel: selection{sort: "score", limit: maxLimit - i}}, fmt.Sprint("mallory", i%2), func() {
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
		honest, err := a.hub.add(view{sees: scope.Whole(), sel: selection{sort: "score", limit: 500}}, "ann", func() { t.Error("the honest one is cut off") })
		if err != nil {
			t.Fatal(err)
		}
		p := newPublisher(a)
		got, gap, worst := 0, 0, 0
		for range 8 {
			p.publish(t.Context(), time.Now())
			if small, large := a.hub.small.Load(), a.hub.large.Load(); small < 0 || large < 0 {
				t.Errorf("frames have %d and %d bytes more than there are", -small, -large)
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
		if got != 8 {
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
		if n, _ := a.hub.of("mallory", time.Now()); n != 3 {
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
		if n, _ := a.hub.of("mallory", time.Now()); n != 3 || len(a.hub.subs) != 6 {
			t.Errorf("%d streams of the client, %d of all", n, len(a.hub.subs))
		}
		if left := a.hub.small.Load() + a.hub.large.Load(); left != frameBytes {
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

// Streams of one view that nobody reads share the frame that they begin with.
func TestFirstFramesAreShared(t *testing.T) {
	snap := forged(2_000)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) {
			o.MaxStreams = 100
			o.Pictures = pictures(func(now time.Time) *live.Snapshot { s := *snap; s.Time = now; return &s })
		})
		time.Sleep(100 * time.Millisecond) // between two ticks
		var clients []net.Conn
		for range 30 {
			client, server := net.Pipe()
			clients = append(clients, client)
			r.net.conns <- server
			fmt.Fprintf(client, "GET /plimsoll/v1/stream HTTP/1.1\r\nHost: plimsoll\r\n\r\n")
			synctest.Wait()
		}
		if n := len(r.api.hub.subs); n != 30 {
			t.Errorf("%d streams are open, want 30", n)
		}
		one := r.api.hub.last[view{sees: scope.Whole(), sel: selection{sort: "score", limit: maxLimit}}].size
		if held := frameBytes - int(r.api.hub.small.Load()+r.api.hub.large.Load()); one == 0 || held != one {
			t.Errorf("%d bytes are held, want one frame of %d", held, one)
		}
		for _, c := range clients {
			c.Close()
		}
		r.stop()
		if left := r.api.hub.small.Load() + r.api.hub.large.Load(); left != frameBytes {
			t.Errorf("%d bytes of %d came back", left, frameBytes)
		}
	})
}

// Where there is more to do than a second has time for, small views have a frame every second, although ever new large ones are opened, and large ones
// wait for the same time.
func TestManyViewsOnASlowMachine(t *testing.T) {
	snap := forged(10_000)
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, func(o *Options) {
			o.MaxStreams = 200
			o.Pictures = pictures(func(now time.Time) *live.Snapshot { s := *snap; s.Time = now; return &s })
			o.Conditions = func(time.Time) []condition.Condition { time.Sleep(120 * time.Millisecond); return nil } // a frame takes so long
		})
		open := func(limit int, client string) *subscriber {
			v := view{sees: scope.Whole(), sel: selection{sort: "score", limit: limit}}
			s, err := a.hub.add(v, client, func() {})
			if err != nil {
				t.Fatal(err)
			}
			first, err := a.firstFrame(t.Context(), time.Now(), v)
			if err != nil {
				t.Fatal(err)
			}
			first.letGo()
			return s
		}
		honest, whole := open(20, "ann"), open(maxLimit, "bob")
		var mallory []*subscriber
		for i := range 6 {
			mallory = append(mallory, open(maxLimit-1-i, "mallory"))
		}
		p := newPublisher(a)
		gap, worst := 0, 0
		for i := range 20 {
			began := time.Now()
			s := open(maxLimit-100-i, "mallory") // a new one every second, which takes the place of another
			a.hub.remove(mallory[i%len(mallory)])
			mallory[i%len(mallory)] = s
			p.publish(t.Context(), began)
			taken := func(s *subscriber) int {
				fs := s.drain()
				for _, f := range fs {
					f.letGo()
				}
				return len(fs)
			}
			if n := taken(honest); n != 1 {
				t.Errorf("second %d: the small view got %d frames", i, n)
			}
			if gap++; taken(whole) > 0 {
				gap = 0
			}
			worst = max(worst, gap)
			for _, s := range mallory {
				taken(s)
			}
			time.Sleep(time.Second - time.Since(began))
		}
		if n := a.hub.last[whole.view].size; n <= smallFrame {
			t.Errorf("the view of everything has %d bytes", n)
		}
		if worst > 4 {
			t.Errorf("the view of everything had no frame for %d s", worst)
		}
	})
}

// Of a client with all its streams the one that is read too slowly gives way, not one that is read.
func TestSlowStreamGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, func(o *Options) { o.MaxStreams = 6 })
		cut := 0
		var subs []*subscriber
		for range 3 {
			s, err := a.hub.add(view{}, "one", func() { cut++ })
			if err != nil {
				t.Fatal(err)
			}
			subs = append(subs, s)
		}
		subs[1].writing.Store(time.Now().UnixMilli())
		time.Sleep(writeTime + time.Second) // too soon for one that is read
		if _, err := a.hub.add(view{}, "one", func() {}); err != nil || cut != 1 {
			t.Errorf("%v, %d were cut", err, cut)
		}
		select {
		case <-subs[1].end:
		default:
			t.Error("the slow stream goes on")
		}
		time.Sleep(time.Second)
		if _, err := a.hub.add(view{}, "one", func() {}); err == nil {
			t.Error("a settled stream was ended")
		}
	})
}

// Streams that nobody reads do not delay the end.
func TestUnreadStreamsDoNotDelayTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, func(*Options) {})
		var cut []string
		for _, name := range []string{"read", "unread"} {
			s, err := a.hub.add(view{}, name, func() { cut = append(cut, name) })
			if err != nil {
				t.Fatal(err)
			}
			if name == "unread" {
				s.writing.Store(time.Now().UnixMilli())
			}
		}
		a.hub.stop()
		a.hub.stop()
		time.Sleep(partTime)
		synctest.Wait()
		if len(cut) != 1 || cut[0] != "unread" {
			t.Errorf("cut %q", cut)
		}
	})
}
