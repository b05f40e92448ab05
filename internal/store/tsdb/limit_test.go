package tsdb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/storetest"
)

// TestFileTooBig takes a file that may not grow for a full disk: no data is accepted, and it is counted and said as one.
func TestFileTooBig(t *testing.T) {
	limit := storetest.SmallFiles(t, 100)
	if limit == nil {
		return
	}
	reg := prometheus.NewRegistry()
	db := mustOpen(t, Options{minFree: -1, Registerer: reg})
	k := newTicker(t, 20)
	must(t, k.tick(db))
	limit()
	err := db.AppendDecision(context.Background(), cluster.Decision{Time: time.Unix(1, 0), Message: strings.Repeat("x", 1000)})
	if !errors.Is(err, unix.EFBIG) || !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("AppendDecision: got error %v, want EFBIG and ErrReadOnly", err)
	}
	if err := k.tick(db); !errors.Is(err, unix.EFBIG) || !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("Append: got error %v, want EFBIG and ErrReadOnly", err)
	}
	if h := db.Health(); h.OK() || h.Reason != ReasonWriteFailed || !strings.Contains(h.Message, "make room") {
		t.Errorf("Health: got %+v, want WriteFailed and what to do", h)
	}
	if n := db.met.errors.WithLabelValues(classFull); testutil.ToFloat64(n) != 2 {
		t.Errorf("got %g errors of a full disk, want 2", testutil.ToFloat64(n))
	}
}

// What the store drops because it has too many series is told as long as it happens and for a minute after: since when, how much, whose, and what to do. The samples
// of series that it has are none of that.
func TestSeriesWithoutRoomAreTold(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	began := now
	db := mustOpen(t, Options{MaxForeign: 10, Now: func() time.Time { return now }})
	send := func(sender string, n int) {
		t.Helper()
		b := batchOf(now, 1)
		b.Node, b.Sender = "n1", sender
		for i := range n {
			e := pod("p")
			e.Node = fmt.Sprint("n", i) // of one there are half at most
			b.Groups = append(b.Groups, batchOf(now, 1, e).Groups...)
		}
		must(t, db.Append(t.Context(), b))
	}
	told := func(want string) {
		t.Helper()
		got := ""
		for _, c := range db.Conditions() {
			if got += c.Message; c.Type != "HistoryWhole" || c.Reason != ReasonSeriesLimit || c.OK() || !c.Since.Equal(began) {
				t.Errorf("got %+v", c)
			}
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	sentence := func(all, last int) string {
		return fmt.Sprintf("since %s, %d samples were not kept, the last %d of machine \"n1\", sent by \"mallory at 10.0.0.66\": the store is full, there are 10 series that others have sent or that have ended lately, and no new one of others is kept from 10 on; machine \"n0\" has the most, 1; "+
			"look for labels that change all the time, or give more with --memory", began.UTC().Format(time.RFC3339), all, last)
	}
	send("ann at 10.0.0.1", 10)
	told("")
	send("mallory at 10.0.0.66", 15)
	told(sentence(5, 5))
	now = now.Add(10 * time.Second)
	send("mallory at 10.0.0.66", 20)
	told(sentence(15, 10))
	now = now.Add(59 * time.Second)
	send("ann at 10.0.0.1", 10)
	told(sentence(15, 10))
	now = now.Add(time.Second)
	told("")
	if h := db.Health(); h.Reason != "" {
		t.Errorf("got %+v", h)
	}
	began = now
	send("mallory at 10.0.0.66", 11)
	told(sentence(1, 1))
}

// Sums of what others have sent first are left out where there is no room for others: it is told that they are sums, and that --memory helps; a machine without a name is none.
func TestSumsWithoutRoomAreTold(t *testing.T) {
	db := mustOpen(t, Options{MaxForeign: 4})
	now := time.Now().Truncate(time.Second)
	sent := &metric.Batch{Node: "n1", Sender: "ann at 10.0.0.1", Time: now}
	sums := &metric.Batch{Time: now}
	for i := range 4 {
		e := pod(fmt.Sprint("p", i))
		e.Node = fmt.Sprint("n", i%2)
		sent.Groups = append(sent.Groups, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: now.UnixMilli(), V: 1}}})
		sums.Groups = append(sums.Groups, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.Processes, T: now.UnixMilli(), V: 1}}})
	}
	must(t, db.Append(t.Context(), sent))
	must(t, db.Append(t.Context(), sums))
	all := db.Conditions()
	if want := `4 samples were not kept, the last 4 of sums of what is on several machines: the store is full, there are 4 series that others have sent or that have ended lately, ` +
		`and no new one of others is kept from 4 on; machine "n0" has the most, 2; look for labels that change all the time, or give more with --memory`; len(all) != 1 || !strings.HasSuffix(all[0].Message, want) {
		t.Errorf("got  %+v\nwant %s", all, want)
	}
}
