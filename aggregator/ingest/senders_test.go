package ingest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
	"plimsoll.dev/plimsoll/internal/serve"
)

// send posts a batch of a second's readings as a process does, taken so far ahead of the present.
func send(t *testing.T, r *Receiver, source, lane string, ahead time.Duration) (code int, text string) {
	t.Helper()
	body, err := remotewrite.Encode(sampleBatch(time.Now().Add(ahead)), identity.Wire)
	if err != nil {
		t.Fatal(err)
	}
	w := post(r, body, map[string]string{remotewrite.SourceHeader: source, remotewrite.LaneHeader: lane})
	return w.Code, w.Body.String()
}

// wantTroubles compares reasons, and looks for a word in the first message.
func wantTroubles(t *testing.T, r *Receiver, word string, want ...string) {
	t.Helper()
	var got []string
	all := r.Conditions(time.Now())
	for _, x := range all {
		got = append(got, x.Reason)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") || len(all) > 0 && (!strings.Contains(all[0].Message, word) || all[0].Since.IsZero() || all[0].Type != "CollectorSound/n1") {
		t.Errorf("got %+v, want %q with %q", all, want, word)
	}
}

// Of two collectors with one name the first has it until it is silent; the other is refused, keeps its history, and cannot push the first out.
// A collector that was started again says that it is the same, and is not refused.
func TestTwoCollectorsOfOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live, history := &keeper{}, &keeper{}
		r := receiver(t, Options{Live: live, History: history})
		for range 20 {
			if code, text := send(t, r, "a", remotewrite.LiveLane, 0); code != 204 {
				t.Fatal(code, text)
			}
			wantTroubles(t, r, "two collectors send as node", reasons(len(live.batches) > 1)...)
			for _, ahead := range []time.Duration{0, 4 * time.Second} {
				if code, text := send(t, r, "b", remotewrite.LiveLane, ahead); code != 409 || !strings.Contains(text, "--node") || !strings.Contains(text, `"n1"`) {
					t.Errorf("got %d %q", code, text)
				}
			}
			if code, _ := send(t, r, "b", "", 0); code != 503 { // it keeps it
				t.Errorf("history: got %d", code)
			}
			if code, _ := send(t, r, "", "", 0); code != 409 { // who does not say which process it is, would send it for ever
				t.Errorf("history without a source: got %d", code)
			}
			time.Sleep(time.Second)
		}
		if len(live.batches) != 20 || len(history.batches) != 0 {
			t.Errorf("%d batches shown, %d kept, want 20 and none of the one that is refused", len(live.batches), len(history.batches))
		}
		time.Sleep(silentAfter + time.Second)
		wantTroubles(t, r, "")
		if code, text := send(t, r, "b", remotewrite.LiveLane, 0); code != 204 { // a was silent
			t.Error(code, text)
		}
		if code, _ := send(t, r, "a", remotewrite.LiveLane, 0); code != 409 {
			t.Errorf("the first, after its silence: got %d", code)
		}
	})
}

func reasons(taken bool) []string {
	if taken {
		return []string{NameTaken}
	}
	return nil
}

// postAs posts a batch of nodes as a caller.
func postAs(t *testing.T, r *Receiver, as serve.Caller, from string, nodes ...string) (code int, text string) {
	t.Helper()
	b := &metric.Batch{}
	for _, n := range nodes {
		one := sampleBatch(time.Now())
		for _, g := range one.Groups {
			e := *g.Entity
			e.Node = n
			g.Entity = &e
			b.Groups = append(b.Groups, g)
		}
	}
	body, err := remotewrite.Encode(b, identity.Wire)
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodPost, "/api/v1/write", bytes.NewReader(body))
	req.RemoteAddr = from + ":1234"
	remotewrite.SetLiveHeader(req.Header, true)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req.WithContext(serve.WithCaller(req.Context(), as)))
	return w.Code, w.Body.String()
}

// A sender speaks for what its login names, and nobody for the machine that this process reads itself.
func TestWhoMaySpeakForWhichNode(t *testing.T) {
	live := &keeper{}
	var logs bytes.Buffer
	r := receiver(t, Options{Live: live, Own: []string{"me"}, Logger: slog.New(slog.NewTextHandler(&logs, nil))})
	any := serve.Caller{Name: "ann", Proof: "password"}
	n1 := serve.Caller{Name: "n1", Proof: "certificate", Nodes: []string{"n1"}}
	none := serve.Caller{Name: "bob", Proof: "password", Nodes: []string{}}
	f := func(as serve.Caller, from string, code, shown int, text string, nodes ...string) {
		t.Helper()
		live.batches = nil
		got, body := postAs(t, r, as, from, nodes...)
		if got != code || len(live.batches) != shown || !strings.Contains(body, text) {
			t.Errorf("%v of %v: got %d, %d batches, %q; want %d, %d, %q", as, nodes, got, len(live.batches), body, code, shown, text)
		}
	}
	f(any, "10.0.0.1", 403, 0, `node "me" is read by this process itself`, "me")
	f(any, "10.0.0.1", 400, 1, "rejected 12 (node)", "me", "n7")
	f(none, "10.0.0.1", 403, 0, `the login does not speak for node "n2"`, "n2")
	f(n1, "10.0.0.1", 204, 1, "", "n1")
	f(n1, "10.0.0.1", 403, 0, `does not speak for node "n2"`, "n2")
	f(n1, "10.0.0.1", 403, 0, `node "me" is read by this process itself`, "me")
	f(n1, "10.0.0.1", 400, 1, "rejected 12 (node)", "n1", "n2")
	f(any, "10.0.0.1", 409, 0, "another collector", "n1") // another login, from the same address
	f(any, "10.0.0.2", 204, 1, "", "n2")                  // nobody's
	f(any, "10.0.0.3", 409, 0, "another collector", "n2") // the same login from elsewhere
	f(any, "10.0.0.2", 400, 0, "longer than 253 bytes", strings.Repeat("n", 300))
	if got := strings.Count(logs.String(), "may not speak for a node"); got != 1 {
		t.Errorf("%d lines in the log, want one for all strangers: %s", got, &logs)
	}
	strangers := 0
	for _, c := range r.Conditions(time.Now()) {
		if c.Reason == NotItsNode && strings.Contains(c.Message, `"n1", at 10.0.0.1`) { // the newest stands for all
			strangers++
		} else if c.Reason != NameTaken {
			t.Errorf("got %v, want only that names are taken", c)
		}
	}
	if strangers != 1 {
		t.Errorf("%d conditions tell of who may not speak for a node, want one for all: %v", strangers, r.Conditions(time.Now()))
	}
	f(none, "10.0.0.9", 403, 0, "", "n2")
	if c := r.Conditions(time.Now()); !slices.ContainsFunc(c, func(c condition.Condition) bool {
		return c.Type == "CollectorSound/n2" && c.Reason == NotItsNode && strings.Contains(c.Message, `"bob", at 10.0.0.9`)
	}) {
		t.Errorf("got %v, want that bob is named", c)
	}
}

// Who makes nodes up fills its share of the table, and keeps nobody from coming in; names that are forgotten make room.
func TestNodesThatAreMadeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := receiver(t, Options{Live: &keeper{}})
		s := &r.senders
		mallory, ann := &speaker{from: "10.0.0.66"}, &speaker{from: "10.0.0.1"}
		for i := range 2 * maxSenders {
			_ = s.admit(fmt.Sprint("made-up-", i), mallory, time.Now())
		}
		if len(s.by) != maxShare || s.share[mallory.id()] != maxShare {
			t.Errorf("%d nodes, want the share of one: %d", len(s.by), maxShare)
		}
		if err := s.admit("n1", ann, time.Now()); err != nil {
			t.Error(err)
		}
		time.Sleep(silentAfter + time.Second)
		if err := s.admit("n2", mallory, time.Now()); err != nil || len(s.by) != 1 || len(s.share) != 1 {
			t.Errorf("%v, %d nodes, %v", err, len(s.by), s.share)
		}
	})
}

// A clock that is off is told, by how much and which way, and no longer when it was set. Nothing of the history is refused for minutes.
func TestClockOff(t *testing.T) {
	for _, c := range []struct {
		off          time.Duration
		reason, word string
	}{{3 * time.Minute, ClockAhead, "3m0s ahead"}, {-5 * time.Minute, ClockBehind, "5m0s behind"}, {time.Hour, ClockAhead, "1h0m0s ahead"}} {
		synctest.Test(t, func(t *testing.T) {
			r := receiver(t, Options{Live: &keeper{}, History: &keeper{}})
			for range clockTimes {
				wantTroubles(t, r, "")
				send(t, r, "a", remotewrite.LiveLane, c.off)
				time.Sleep(time.Second)
			}
			wantTroubles(t, r, c.word, c.reason)
			if code, text := send(t, r, "a", "", c.off); c.off < 10*time.Minute && code != 204 {
				t.Errorf("history with a clock off by %s: got %d %q", c.off, code, text)
			}
			send(t, r, "a", remotewrite.LiveLane, 0)
			wantTroubles(t, r, "")
		})
	}
}

// What waited in the socket while this process was held up comes late and all at once: that is no clock that is off.
func TestHeldUpIsNoClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := receiver(t, Options{Live: &keeper{}})
		send(t, r, "a", remotewrite.LiveLane, 0)
		for i := range 10 {
			send(t, r, "a", remotewrite.LiveLane, time.Duration(i-14)*time.Second)
			time.Sleep(10 * time.Millisecond)
		}
		wantTroubles(t, r, "")
		time.Sleep(time.Second)
		send(t, r, "a", remotewrite.LiveLane, 0)
		wantTroubles(t, r, "")
	})
}

// Two collectors at one address are not told as if they were at two.
func TestNameTakenAtOneAddress(t *testing.T) {
	r := receiver(t, Options{Live: &keeper{}})
	for _, source := range []string{"x", "y"} {
		_ = r.senders.admit("n1", &speaker{source: source, from: "127.0.0.1"}, time.Now())
	}
	wantTroubles(t, r, `two collectors send as node "n1", both from 127.0.0.1, and one is refused`, NameTaken)
}

// The labels of known series are bounded in bytes, and the node that sends more is named.
func TestLabelsAreBounded(t *testing.T) {
	r := small(t, Options{Live: &keeper{}}, func(l *limits) { l.labels = 10_000 })
	for i := range 100 {
		b := sampleBatch(time.Now())
		e := *b.Groups[0].Entity
		e.Image = fmt.Sprint(i, strings.Repeat("x", 1000))
		b.Groups[0].Entity = &e
		body, err := remotewrite.Encode(b, identity.Wire)
		if err != nil {
			t.Fatal(err)
		}
		post(r, body, nil)
	}
	if r.table.labels > 12_000 {
		t.Errorf("labels have %d bytes", r.table.labels)
	}
	wantTroubles(t, r, "too many series", TooManySeries)
}

// stuck is a history that takes nothing until it is let go.
type stuck struct{ wait chan struct{} }

func (s stuck) Take(ctx context.Context, _ *metric.Batch) error {
	<-s.wait
	return nil
}

// A history lane that is full, and peers that send a byte now and then, leave the live lane its places.
func TestLanesDoNotTakeEachOthersPlaces(t *testing.T) {
	history := stuck{make(chan struct{})}
	r := small(t, Options{Live: &keeper{}, History: history}, func(l *limits) { l.inFlight, l.live, l.bodyTime = 2, 2, 50*time.Millisecond })
	server := httptest.NewServer(r)
	defer server.Close()
	done := make(chan struct{})
	for range 2 {
		go func() {
			send(t, r, "a", "", 0)
			done <- struct{}{}
		}()
	}
	for r.history.Used() < 2 {
		time.Sleep(time.Millisecond)
	}
	if code, _ := send(t, r, "a", "", 0); code != http.StatusTooManyRequests {
		t.Errorf("a third of the history lane: got %d", code)
	}
	if code, text := send(t, r, "a", remotewrite.LiveLane, 0); code != 204 {
		t.Errorf("live lane: got %d %s", code, text)
	}
	close(history.wait)
	<-done
	<-done

	// A slow peer gives its place up.
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	req := httptest.NewRequest(http.MethodPost, "/", nil)
	remotewrite.SetLiveHeader(req.Header, true)
	var head bytes.Buffer
	fmt.Fprint(&head, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n")
	_ = req.Header.Write(&head)
	fmt.Fprint(&head, "\r\n12")
	if _, err := conn.Write(head.Bytes()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("a body that does not come: got %s", resp.Status)
	}
}

// That nothing can be taken is told once, and once that it can be again, however many ask; a client that went away is not told of.
func TestNotTakenIsToldOnce(t *testing.T) {
	var logs bytes.Buffer
	history := &keeper{err: errors.New("no room")}
	r := receiver(t, Options{Live: &keeper{}, History: history, Logger: slog.New(slog.NewTextHandler(&logs, nil))})
	for range 10 {
		if code, _ := send(t, r, "a", "", 0); code != 503 {
			t.Fatalf("got %d", code)
		}
		send(t, r, "a", remotewrite.LiveLane, 0) // which the live picture takes all the same
	}
	history.err = nil
	for range 3 {
		send(t, r, "a", "", 0)
	}
	if got := strings.Count(logs.String(), "\n"); got != 2 || !strings.Contains(logs.String(), "no room") || !strings.Contains(logs.String(), "again") {
		t.Errorf("got %d lines: %s", got, logs.String())
	}
	logs.Reset()
	body, err := remotewrite.Encode(sampleBatch(time.Now()), identity.Wire)
	if err != nil {
		t.Fatal(err)
	}
	for range cap(r.work) {
		r.work <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body)).WithContext(ctx)
	remotewrite.SetLiveHeader(req.Header, true)
	w := httptest.NewRecorder()
	if r.ServeHTTP(w, req); w.Code != gone || logs.Len() != 0 {
		t.Errorf("a client that went away: got %d and %s", w.Code, logs.String())
	}
}
