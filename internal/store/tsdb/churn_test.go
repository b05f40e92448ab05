package tsdb

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// Things that are made and let go all the time leave the head minutes after they have ended, not hours, and everything that was measured of them is
// there all the same: at once, after a kill, and after another one.
func TestWhatHasEndedLeavesTheHead(t *testing.T) {
	dir := t.TempDir()
	db := mustOpen(t, Options{Dir: dir, maxEnded: 100, OutOfOrder: time.Hour})
	base := time.Now().Add(-20 * time.Minute).Truncate(time.Second)
	stays := pod("stays")
	const rounds, each = 10, 100
	for r := range rounds {
		var made []*metric.Entity
		for i := range each {
			made = append(made, pod(fmt.Sprintf("made-%d-%d", r, i)))
		}
		at := base.Add(time.Duration(r) * time.Minute)
		for s := range 3 {
			must(t, db.Append(t.Context(), batchOf(at.Add(time.Duration(s)*10*time.Second), float64(s+1), append(made, stays)...)))
		}
		gone := &metric.Batch{Node: "n1", Time: at.Add(30 * time.Second)}
		for _, e := range made {
			gone.Gaps = append(gone.Gaps, metric.Gap{Entity: e, Reason: metric.GapGone})
		}
		must(t, db.Append(t.Context(), gone))
		db.compact(t.Context())
	}
	if n := db.Stats().Series; n > each+1 {
		t.Errorf("%d series in the head, want what is there and at most one round more", n)
	}
	check := func(db *DB) {
		t.Helper()
		got, err := db.Query(t.Context(), store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: base.Add(-time.Minute), End: base.Add(rounds * time.Minute),
			Func: store.Count, By: []string{"pod"}, Join: store.Sum})
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != rounds*each+1 {
			t.Errorf("%d pods, want %d", len(got), rounds*each+1)
		}
		for _, s := range got {
			want := 3.0
			if s.Label("pod") == "stays" {
				want = 3 * rounds
			}
			if v := s.Samples[0].V; v != want {
				t.Errorf("%s: %v samples, want %v", s.Label("pod"), v, want)
			}
		}
	}
	check(db)
	killed := mustOpen(t, Options{Dir: copyDir(t, dir), maxEnded: 100, OutOfOrder: time.Hour})
	check(killed)
	must(t, killed.Append(t.Context(), batchOf(base.Add(rounds*time.Minute+time.Second), 1, pod("new"))))
	killed.compact(t.Context())
	again := mustOpen(t, Options{Dir: copyDir(t, killed.opts.Dir), maxEnded: 100, OutOfOrder: time.Hour})
	check(again)
}

// One node has its share of the series; others have theirs, and it gets its own back when what it had has ended.
func TestSeriesOfOneNode(t *testing.T) {
	db := mustOpen(t, Options{maxSeries: 100, maxOfNode: 30})
	at := time.Now().Add(-10 * time.Minute)
	send := func(node string, from, n int) {
		b := &metric.Batch{Node: node, Time: at}
		for i := range n {
			e := pod(fmt.Sprint("p", from+i))
			e.Node = node
			b.Groups = append(b.Groups, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 1}}})
		}
		must(t, db.Append(t.Context(), b))
	}
	send("mallory", 0, 200)
	if n := db.Stats().Series; n != 30 {
		t.Errorf("one node has %d series, want its share of 30", n)
	}
	send("n1", 0, 20)
	if n := db.Stats().Series; n != 50 {
		t.Errorf("%d series with another node's 20", n)
	}
	if h := db.Health(); h.Reason != ReasonSeriesLimit {
		t.Errorf("got %+v", h)
	}
	for _, e := range db.cache.byLine {
		if e.entity.Node == "mallory" {
			db.cache.drop(e)
		}
	}
	at = at.Add(time.Second)
	send("mallory", 1000, 10)
	if n := db.Stats().Series; n != 60 || db.cache.of["mallory"] != 10 {
		t.Errorf("%d series, %v", n, db.cache.of)
	}
}

// What others send takes no place of this process's own series, and no more than is there for it.
func TestSeriesOfOthers(t *testing.T) {
	db := mustOpen(t, Options{MaxForeign: 40, maxSeries: 1000})
	at := time.Now().Add(-10 * time.Minute)
	send := func(sender, node string, n int) {
		b := &metric.Batch{Node: node, Sender: sender, Time: at}
		for i := range n {
			e := pod(fmt.Sprint("p", i))
			e.Node = node
			b.Groups = append(b.Groups, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 1}}})
		}
		must(t, db.Append(t.Context(), b))
	}
	for _, x := range []struct {
		sender, node string
		n, want      int
		said         string
	}{
		{"", "own", 300, 300, ""},
		{"mallory", "m1", 100, 320, "of one"}, // half of what there is
		{"mallory", "m2", 100, 340, "others have sent"},
		{"honest", "n1", 10, 340, "others have sent"},
		{"", "own", 500, 540, ""},
	} {
		send(x.sender, x.node, x.n)
		if n := db.Stats().Series; n != x.want {
			t.Errorf("%d series after %d of %q by %q, want %d", n, x.n, x.node, x.sender, x.want)
		}
		if h := db.Health(); !strings.Contains(h.Message, x.said) {
			t.Errorf("%q: got %+v", x.node, h)
		}
	}
}

// A store that is full, of all series or of others', takes the series that it has also when it is opened again, or has forgotten who sends them: what was
// acknowledged before goes on. New ones are left out as before.
func TestFullStoreKeepsWhatItHas(t *testing.T) {
	for name, o := range map[string]Options{
		"all":       {maxSeries: 40},
		"others":    {MaxForeign: 40},
		"one node":  {maxOfNode: 40},
		"forgotten": {MaxForeign: 40, maxEntities: 8},
	} {
		t.Run(name, func(t *testing.T) {
			o.Dir = t.TempDir()
			at := time.Now().Add(-10 * time.Minute).Truncate(time.Second)
			send := func(db *DB, from, n int) {
				at = at.Add(10 * time.Second)
				for _, node := range []string{"m1", "m2"} {
					b := &metric.Batch{Node: node, Sender: "collector", Time: at}
					for i := from; i < from+n; i++ {
						e := pod(fmt.Sprint("p", i))
						if e.Node = node; name == "one node" {
							e.Node, e.Pod = "m1", node+e.Pod
						}
						b.Groups = append(b.Groups, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 1}}})
					}
					must(t, db.Append(t.Context(), b))
				}
			}
			db, err := Open(o)
			must(t, err)
			send(db, 0, 20)
			must(t, db.Close())
			db = mustOpen(t, o)
			send(db, 100, 20)
			send(db, 0, 20)
			send(db, 0, 20)
			if n := db.Stats().Series; n != 40 && name != "one node" {
				t.Errorf("%d series, want 40", n)
			}
			got, err := db.Query(t.Context(), store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Start: at.Add(-time.Minute), End: at.Add(time.Second),
				Func: store.Count, By: []string{"node", "pod"}, Join: store.Sum})
			must(t, err)
			whole := 0
			for _, s := range got {
				if len(s.Samples) > 0 && s.Samples[0].V == 3 {
					whole++
				}
			}
			if whole != 40 {
				t.Errorf("%d of 40 series have all three of their samples", whole)
			}
		})
	}
}
