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
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
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

// Of two collectors with one name the later has it; the other is refused on the live lane, and its full batches are kept but not shown.
// A collector that was started again is not refused.
func TestTwoCollectorsOfOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live, history := &keeper{}, &keeper{}
		r := receiver(t, Options{Live: live, History: history})
		for _, s := range []string{"a", "a", "b", "b"} { // b is a started again
			if code, text := send(t, r, s, remotewrite.LiveLane, 0); code != 204 {
				t.Fatal(s, code, text)
			}
		}
		wantTroubles(t, r, "")
		shown := len(live.batches)
		if code, text := send(t, r, "a", remotewrite.LiveLane, 0); code != 409 || !strings.Contains(text, "--node") || !strings.Contains(text, `"n1"`) {
			t.Errorf("got %d %q", code, text)
		}
		if code, _ := send(t, r, "a", "", 0); code != 204 || len(history.batches) != 1 {
			t.Errorf("history: got %d and %d batches kept", code, len(history.batches))
		}
		if len(live.batches) != shown {
			t.Errorf("%d batches of the one that is refused are shown", len(live.batches)-shown)
		}
		if code, _ := send(t, r, "b", remotewrite.LiveLane, 0); code != 204 {
			t.Errorf("the one that came last got %d", code)
		}
		wantTroubles(t, r, "--node", NameTaken)
		time.Sleep(silentAfter + time.Second)
		wantTroubles(t, r, "")
		if code, text := send(t, r, "a", remotewrite.LiveLane, 0); code != 204 { // b was silent
			t.Error(code, text)
		}
		wantTroubles(t, r, "")
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
	r := small(t, Options{Live: &keeper{}, History: history}, func(l *limits) { l.inFlight, l.live, l.liveBody = 2, 2, 50*time.Millisecond })
	server := httptest.NewServer(r)
	defer server.Close()
	done := make(chan struct{})
	for range 2 {
		go func() {
			send(t, r, "a", "", 0)
			done <- struct{}{}
		}()
	}
	for len(r.history) < 2 {
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
