package ingest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/memory"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
	"plimsoll.dev/plimsoll/internal/serve"
)

// sendFrom posts a batch by a lane from an address.
func sendFrom(t testing.TB, r *Receiver, from, lane string, b *metric.Batch) (code int, text string) {
	t.Helper()
	body, err := remotewrite.Encode(b, identity.Wire)
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodPost, "/api/v1/write", bytes.NewReader(body))
	req.RemoteAddr = from + ":1234"
	remotewrite.SetHeader(req.Header, remotewrite.V2)
	if lane != "" {
		req.Header.Set(remotewrite.LaneHeader, lane)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w.Code, w.Body.String()
}

// crowd is a machine's fast batch of n containers.
func crowd(node string, from, n int, at time.Time) *metric.Batch {
	b := &metric.Batch{Node: node, Time: at, Fast: true}
	for i := from; i < from+n; i++ {
		e := &metric.Entity{Level: metric.Container, Node: node, Namespace: "x", WorkloadKind: "Docker", Workload: "x", Pod: fmt.Sprint("p", i), Container: "c", ID: fmt.Sprint("/docker/", node, i), Runtime: "docker"}
		b.Groups = append(b.Groups, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: 100}}})
	}
	return b
}

// TestNoRoomIsTold lets the live picture have no room for a machine: its sender is refused by the live lane, with a condition; by the
// history lane, which keeps all of it, there is the condition alone. Others' samples are none of that.
func TestNoRoomIsTold(t *testing.T) {
	history := &keeper{}
	full := sinkFunc(func(_ context.Context, b *metric.Batch) error {
		if b.Sender != "10.0.0.66" {
			return nil
		}
		return &metric.TooMany{Samples: 3}
	})
	for lane, want := range map[string]int{remotewrite.LiveLane: 400, remotewrite.LiveFullLane: 400, "": 204} {
		r := receiver(t, Options{Live: full, History: history})
		history.batches = nil
		for from, code := range map[string]int{"10.0.0.66": want, "10.0.0.1": 204} {
			got, text := sendFrom(t, r, from, lane, crowd("n"+from, 0, 5, time.Now()))
			if got != code || code == 400 && !strings.Contains(text, "wrote 2 samples and rejected 3 (limit)") {
				t.Errorf("lane %q from %s: got %d %s, want %d", lane, from, got, text, code)
			}
		}
		all := r.Conditions(time.Now())
		if len(all) != 1 || all[0].Type != "CollectorSound/n10.0.0.66" || all[0].Reason != TooManySeries || lane == "" && len(history.batches) != 2 {
			t.Errorf("lane %q: %d batches kept, conditions %+v", lane, len(history.batches), all)
		}
	}
}

// TestOneSenderLeavesRoom fills the receiver's own table from one address: it takes half, and others still come in.
func TestOneSenderLeavesRoom(t *testing.T) {
	live := &keeper{}
	r := small(t, Options{Live: live}, func(l *limits) { l.entities = 900 })
	code, _ := sendFrom(t, r, "10.0.0.66", remotewrite.LiveLane, crowd("forged", 0, 2000, time.Now()))
	if n := len(r.table.entities); code != 400 || n != 450 {
		t.Errorf("got %d and %d of 900 entities, want 400 and 450", code, n)
	}
	for i := range 20 { // smaller and smaller shares, and never nothing
		if code, text := sendFrom(t, r, fmt.Sprint("10.0.1.", i), remotewrite.LiveLane, crowd(fmt.Sprint("n", i), 0, 10, time.Now())); code != 204 {
			t.Errorf("another: %d %s", code, text)
		}
	}
}

// TestChurnLeavesRoom has somebody make up ever new labels, from one address and, with one login, from many, until there is no more room for them, of series or of
// entities: all of another's 2,000 containers, of ten series each, have their places.
func TestChurnLeavesRoom(t *testing.T) {
	const gib = memory.Budget(1 << 30)
	var rows []metric.ID
	for id, row := range metric.Rows() {
		if row.Has(metric.Container) && row.Sub == "" {
			rows = append(rows, metric.ID(id))
		}
	}
	wide := func(b *metric.Batch, each int) *metric.Batch {
		for i := range b.Groups {
			b.Groups[i].Points = b.Groups[i].Points[:0]
			for _, id := range rows[:each] {
				b.Groups[i].Points = append(b.Groups[i].Points, metric.Point{ID: id, T: b.Time.UnixMilli(), V: 1})
			}
		}
		return b
	}
	for what, x := range map[string]struct {
		as        serve.Caller
		addresses int
		each      int // series of a container
	}{
		"one address, entities": {serve.Caller{}, 1, 1}, "one address, series": {serve.Caller{}, 1, 20},
		"one login, entities": {serve.Caller{Name: "evil", Proof: "password"}, 8, 1}, "one login, series": {serve.Caller{Name: "evil", Proof: "password"}, 8, 20},
	} {
		r := small(t, Options{Live: &keeper{}}, func(l *limits) { *l = l.within(gib.Series(), gib.Entities()) })
		send := func(as serve.Caller, from string, b *metric.Batch) (rejected int) {
			c, err := r.table.convert(func(each func(*series) error) error {
				body, err := remotewrite.Encode(b, identity.Wire)
				if err != nil {
					return err
				}
				raw, err := snappy.Decode(nil, body)
				if err != nil {
					return err
				}
				return decodeV2(raw, r.most.samples, each)
			}, senderOf(requestOf(as, from)), time.Now(), true)
			if err != nil {
				t.Fatal(err)
			}
			return c.tally[rejectLimit]
		}
		for address := range x.addresses {
			for k := 0; send(x.as, fmt.Sprint("10.0.0.", address), wide(crowd(fmt.Sprint("made-up-", address), 500*k, 500, time.Now()), x.each)) == 0; k++ {
			}
		}
		all, most := max(float64(len(r.table.series))/float64(gib.Series()), float64(len(r.table.entities))/float64(gib.Entities())), 0.5
		if x.addresses > 1 {
			most = 0.75
		}
		if all > most+.001 || all < most-.01 {
			t.Errorf("%s: who makes names up has %.3f of the places, want %.3f", what, all, most)
		}
		for k := range 10 {
			if n := send(serve.Caller{Name: "ann", Proof: "password"}, "10.0.1.1", wide(crowd("n1", 200*k, 200, time.Now()), 10)); n != 0 {
				t.Fatalf("%s: %d samples of another's containers %d to %d have no place", what, n, 200*k, 200*k+200)
			}
		}
	}
}

// TestMostIsOfALogin has one login fill the table from 32 addresses, of which none has as much as another login at its one: who is named is the first, with what it has in all.
func TestMostIsOfALogin(t *testing.T) {
	most := usual
	most.series, most.entities = 4000, 400
	table, batches := newTable(most), []*metric.Batch{}
	send := func(login, address string, n int) {
		t.Helper()
		c, err := table.convert(func(each func(*series) error) error {
			for i := range n {
				if err := each(rss("of-"+address, fmt.Sprint("p", i), time.Now())); err != nil {
					return err
				}
			}
			return nil
		}, senderOf(requestOf(serve.Caller{Name: login}, address)), time.Now(), true)
		if err != nil || c.written != n {
			t.Fatalf("%s at %s: %d of %d, %v", login, address, c.written, n, err)
		}
		batches = append(batches, c.batches...)
	}
	send("bob", "10.0.0.1", 12)
	send("", "10.0.0.2", 11)
	for i := range 32 {
		send("evil", fmt.Sprint("127.0.0.", i), 8)
	}
	want := `too many series are being sent; "evil", from 32 addresses, has the most places, 256 of 4000 for series and 256 of 400 for containers, pods and machines: ` +
		"look for labels that change all the time there, or give more with --memory"
	if got := table.full(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for i, want := range []string{"bob", "10.0.0.2", "evil", "evil"} {
		if got := batches[i].Login; got != want {
			t.Errorf("batch %d is of login %q, want %q", i, got, want)
		}
	}
}

// TestEachNodeHasItsCount sends samples of several nodes in one request: what is told of each is its own number, whoever has no room for it, with who has the most
// places and what to do.
func TestEachNodeHasItsCount(t *testing.T) {
	three := func(counts ...int) *metric.Batch {
		b := &metric.Batch{Time: time.Now(), Fast: true}
		for i, n := range counts {
			b.Groups = append(b.Groups, crowd(fmt.Sprint("n", i+1), 0, n, b.Time).Groups...)
		}
		return b
	}
	told := func(r *Receiver, node string) string {
		for _, c := range r.Conditions(time.Now()) {
			if c.Type == "CollectorSound/"+node && c.Reason == TooManySeries {
				return c.Message
			}
		}
		return ""
	}
	r := small(t, Options{Live: &keeper{}}, func(l *limits) { l.series, l.entities = 24, 24 })
	if code, _ := sendFrom(t, r, "10.0.0.1", remotewrite.LiveLane, three(5, 4, 1)); code != 204 {
		t.Fatal(code)
	}
	if code, text := sendFrom(t, r, "10.0.0.1", remotewrite.LiveLane, three(7, 9, 1)); code != 400 || !strings.Contains(text, "rejected 5 (limit)") {
		t.Error(code, text)
	}
	const most = `"10.0.0.1" has the most places, 12 of 24 for series and 12 of 24 for containers, pods and machines: look for labels that change all the time there, or give more with --memory`
	for node, want := range map[string]string{"n1": "", "n2": "5 samples of node \"n2\" were left out: too many series are being sent; " + most, "n3": ""} {
		if got := told(r, node); got != want {
			t.Errorf("%s: got %q, want %q", node, got, want)
		}
	}
	full := sinkFunc(func(_ context.Context, b *metric.Batch) error {
		if b.Node == "n3" {
			return nil
		}
		return &metric.TooMany{Samples: len(b.Groups), Why: "the picture is full"}
	})
	r = small(t, Options{Live: full}, func(*limits) {})
	sendFrom(t, r, "10.0.0.1", remotewrite.LiveLane, three(5, 4, 1))
	for node, want := range map[string]string{"n1": `5 samples of node "n1" were left out: the picture is full`, "n2": `4 samples of node "n2" were left out: the picture is full`, "n3": ""} {
		if got := told(r, node); got != want {
			t.Errorf("%s: got %q, want %q", node, got, want)
		}
	}
}

// requestOf is a request of a caller from an address.
func requestOf(as serve.Caller, from string) *http.Request {
	req := httptest.NewRequest(http.MethodPost, "/api/v1/write", nil)
	req.RemoteAddr = from + ":1234"
	return req.WithContext(serve.WithCaller(req.Context(), as))
}

// A login that is bound to nodes is counted by address, as a cluster's collectors share one, and so is who has none; one that is not, together.
func TestSenderOf(t *testing.T) {
	for _, x := range []struct {
		as   serve.Caller
		want from
	}{
		{serve.Caller{}, from{"10.0.0.1", "at 10.0.0.1"}},
		{serve.Caller{Name: "ann"}, from{"ann at 10.0.0.1", "ann"}},
		{serve.Caller{Name: "sa", Nodes: []string{"n1"}}, from{"sa at 10.0.0.1", "sa at 10.0.0.1"}},
	} {
		if got := senderOf(requestOf(x.as, "10.0.0.1")); got != x.want {
			t.Errorf("%v: got %+v, want %+v", x.as, got, x.want)
		}
	}
}

// rss is a decoded series with one sample, of a pod's one container.
func rss(node, pod string, at time.Time) *series {
	s := &series{samples: []sample{{t: at.UnixMilli(), v: 1}}}
	for _, text := range []string{"__name__", "container_memory_rss", "node", node, "pod", pod, "container", "c", "id", "/x"} {
		s.labels = append(s.labels, span{uint32(len(s.message)), uint32(len(text))})
		s.message = append(s.message, text...)
	}
	return s
}

// TestOneSeriesANode converts a request with one series of each of 140,000 nodes, after one with many groups: the time that it takes under
// the lock, and its memory, grow with the series alone.
func TestOneSeriesANode(t *testing.T) {
	most := usual
	most.entities = 300_000 // one sender has half
	table := newTable(most)
	convert := func(n, groups int) (converted, time.Duration) {
		began, used := time.Now(), cpuTime()
		c, err := table.convert(func(each func(*series) error) error {
			for i := range n {
				for k := range groups {
					if err := each(rss(fmt.Sprintf("node-%06d", i), fmt.Sprintf("p%04d", k), began)); err != nil {
						return err
					}
				}
			}
			return nil
		}, from{name: "10.0.0.66"}, began, true)
		if err != nil {
			t.Fatal(err)
		}
		return c, cpuTime() - used
	}
	convert(1, 1000)
	var c converted
	var took time.Duration
	c, took = convert(140_000, 1)
	if len(c.batches) != 140_000 || took > 10*time.Second {
		t.Errorf("%d batches in %s", len(c.batches), took)
	}
	for _, b := range c.batches[1:] {
		if cap(b.Groups) > 1 {
			t.Fatalf("a batch of one group has room for %d", cap(b.Groups))
		}
	}
	t.Logf("%d nodes in %s", len(c.batches), took)
}

// What a process with little memory takes follows from how many series it may know; without a bound all is as before.
func TestLimitsWithin(t *testing.T) {
	if got := usual.within(0, 0); got != usual {
		t.Errorf("without a bound: %+v", got)
	}
	if got := usual.within(10_000_000, 1_000_000); got != usual {
		t.Errorf("with much: %+v", got)
	}
	want := usual
	want.series, want.entities, want.labels, want.waiting, want.samples, want.decoded, want.bodies = 98_304, 12_288, 24<<20, 393_216, 196_608, 12<<20, 24<<20
	if got := usual.within(98_304, 12_288); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A container, a machine, and a pod of which samples of its own are sent take a place each; the pods of containers take none.
func TestWhatTakesAPlace(t *testing.T) {
	r := receiver(t, Options{Live: &keeper{}})
	for i, x := range []struct {
		b    *metric.Batch
		want int
	}{{crowd("n2", 0, 7, time.Now()), 7}, {sampleBatch(time.Now()), 10}} {
		if code, text := sendFrom(t, r, fmt.Sprint("10.0.0.", i), remotewrite.LiveLane, x.b); code != 204 || len(r.table.entities) != x.want {
			t.Errorf("%d %s: %d places are taken, want %d", code, text, len(r.table.entities), x.want)
		}
	}
	for memory, want := range map[int]int{0: 500_000, 98_304: 196_608, 1_000: 50_000, 4_000_000: 500_000, 245_000: 490_000} {
		if got := usual.within(memory, 0).samples; got != want {
			t.Errorf("%d series: a request may have %d samples, want %d", memory, got, want)
		}
	}
}

// TestPlacesComeFree fills the table from one address, which then is silent: who comes later has its places after two minutes, not after ten.
func TestPlacesComeFree(t *testing.T) {
	most := usual
	most.entities = 90
	table, began := newTable(most), time.Now()
	taken := func(sender string, n int, after time.Duration) int {
		c, err := table.convert(func(each func(*series) error) error {
			for i := range n {
				if err := each(rss(fmt.Sprintf("%s-%03d", sender, i), fmt.Sprintf("p%04d", i), began.Add(after))); err != nil {
					return err
				}
			}
			return nil
		}, from{name: sender, login: sender}, began.Add(after), true)
		if err != nil {
			t.Fatal(err)
		}
		return c.written
	}
	for _, x := range []struct {
		sender string
		after  time.Duration
		n      int
	}{{"evil", 0, 45}, {"good", 30 * time.Second, 23}, {"good", 100 * time.Second, 23}, {"good", 150 * time.Second, 45}} {
		if got := taken(x.sender, 80, x.after); got != x.n {
			t.Errorf("%s after %s: %d places, want %d", x.sender, x.after, got, x.n)
		}
	}
}
