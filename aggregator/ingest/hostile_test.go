package ingest

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/encoding/protowire"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
)

// tiny is a request of version 1 with one series of n samples of two bytes each, which compress to next to nothing.
func tiny(n int) []byte {
	one := v1(1, 1, "__name__", "node_cpu_usage_seconds_total", "node", "n1")
	_, typ, size := protowire.ConsumeTag(one)
	if typ != protowire.BytesType {
		panic("not a series")
	}
	series, _ := protowire.ConsumeBytes(one[size:])
	series = append(bytes.Clone(series), bytes.Repeat([]byte{0x12, 0x00}, n)...)
	return snappy.Encode(nil, protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), series))
}

// Requests that are small on the wire and large in memory are refused before they are, and delay others little.
func TestRequestsThatMultiply(t *testing.T) {
	r := receiver(t, Options{Live: &keeper{}, History: &keeper{}})
	body := tiny(8_300_000)
	if len(body) > 2<<20 {
		t.Fatalf("the request has %d bytes", len(body))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	done := make(chan int, 12)
	for range 12 {
		go func() { done <- post(r, body, map[string]string{"Content-Type": v1Type}).Code }()
	}
	worst := time.Duration(0)
	for range 20 {
		began := time.Now()
		if code, text := send(t, r, "a", remotewrite.LiveLane, 0); code != 204 {
			t.Errorf("beside them: got %d %s", code, text)
		}
		worst = max(worst, time.Since(began))
	}
	for range 12 {
		if code := <-done; code != http.StatusRequestEntityTooLarge {
			t.Errorf("got %d, want 413", code)
		}
	}
	runtime.ReadMemStats(&after)
	// Each is decompressed to 17 MB, four at a time, and its samples have 24 bytes each up to the limit, with what a slice grows by.
	if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 12*(17+60) {
		t.Errorf("allocated %d MiB", mb)
	}
	if worst > 2*time.Second {
		t.Errorf("a live request took %v beside them", worst)
	}
}

// Bodies that come slowly hold no lane: sixteen of them do not keep the history from being written, nor do many that stop in the middle.
func TestSlowBodiesHoldNoLane(t *testing.T) {
	r := receiver(t, Options{Live: &keeper{}, History: &keeper{}})
	server := httptest.NewServer(r)
	defer server.Close()
	for i := range 3 * usual.inFlight {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		h := http.Header{}
		remotewrite.SetHeader(h, remotewrite.V2)
		var head bytes.Buffer
		fmt.Fprint(&head, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n")
		_ = h.Write(&head)
		fmt.Fprint(&head, "\r\n", strings.Repeat("x", i*1000))
		if _, err := conn.Write(head.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	body, err := remotewrite.Encode(sampleBatch(time.Now()), identity.Wire)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		began := time.Now()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, bytes.NewReader(body))
		remotewrite.SetHeader(req.Header, remotewrite.V2)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if took := time.Since(began); resp.StatusCode != 204 || took > time.Second {
			t.Errorf("got %s after %v", resp.Status, took)
		}
	}
}

// What waits for a history that is slow is bounded in samples, and the live lane's share of that is its own.
func TestSamplesThatWait(t *testing.T) {
	history := stuck{make(chan struct{})}
	r := small(t, Options{Live: &keeper{}, History: history}, func(l *limits) { l.waiting = 30 })
	done := make(chan int)
	for range 2 {
		go func() {
			code, _ := send(t, r, "a", "", 0)
			done <- code
		}()
	}
	for r.waiting[0].left.Load() > 10 {
		time.Sleep(time.Millisecond)
	}
	if code, _ := send(t, r, "a", "", 0); code != http.StatusTooManyRequests {
		t.Errorf("a third: got %d", code)
	}
	if code, _ := send(t, r, "a", remotewrite.LiveLane, 0); code != 204 {
		t.Errorf("the live lane: got %d", code)
	}
	close(history.wait)
	if a, b := <-done, <-done; a != 204 || b != 204 {
		t.Errorf("got %d and %d", a, b)
	}
	if got := r.waiting[0].left.Load(); got != 30 {
		t.Errorf("%d of 30 places came back", got)
	}
}

// Bytes of bodies are bounded beyond the first of each, and come back.
func TestBytesOfBodies(t *testing.T) {
	r := small(t, Options{Live: sinkFunc(func(context.Context, *metric.Batch) error { return nil })}, func(l *limits) { l.bodies = 3 * firstBytes })
	large := bytes.Repeat([]byte("x"), 5*firstBytes)
	if w := post(r, large, nil); w.Code != http.StatusTooManyRequests {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := post(r, large[:3*firstBytes], nil); w.Code != http.StatusBadRequest {
		t.Errorf("one that fits: got %d %s", w.Code, w.Body)
	}
	if got := r.bodies.left.Load(); got != 3*firstBytes {
		t.Errorf("%d bytes came back of %d", got, 3*firstBytes)
	}
}

// One series with too many labels is left out; the others of its request are not.
func TestOneSeriesWithTooManyLabels(t *testing.T) {
	live := &keeper{}
	r := receiver(t, Options{Live: live})
	now := time.Now().UnixMilli()
	many := []string{"__name__", "node_cpu_usage_seconds_total", "node", "n2"}
	for i := range maxLabels - 1 {
		many = append(many, fmt.Sprint("l", i), "x")
	}
	body := append(v1(1, now, many...), v1(2, now, "__name__", "node_cpu_usage_seconds_total", "node", "n1")...)
	w := post(r, snappy.Encode(nil, body), map[string]string{"Content-Type": v1Type})
	if w.Code != 400 || !strings.Contains(w.Body.String(), "wrote 1 samples and rejected 1 (labels)") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if b := live.one(t); b.Node != "n1" {
		t.Errorf("got node %q", b.Node)
	}
}

// Samples of more nodes than a request may have are left out.
func TestNodesOfOneRequest(t *testing.T) {
	live := &keeper{}
	r := small(t, Options{Live: live}, func(l *limits) { l.nodes = 3 })
	now := time.Now().UnixMilli()
	var body []byte
	for i := range 5 {
		body = append(body, v1(1, now, "__name__", "node_cpu_usage_seconds_total", "node", fmt.Sprint("n", i))...)
	}
	w := post(r, snappy.Encode(nil, body), map[string]string{"Content-Type": v1Type})
	if w.Code != 400 || !strings.Contains(w.Body.String(), "wrote 3 samples and rejected 2 (node)") || len(live.batches) != 3 {
		t.Errorf("got %d %s and %d batches", w.Code, w.Body, len(live.batches))
	}
}

// Names are cleaned as those that are read on a machine are: none steers a terminal, breaks a line, or looks like another's.
func TestNamesAreCleaned(t *testing.T) {
	live := &keeper{}
	r := receiver(t, Options{Live: live, Own: []string{"me"}})
	now := time.Now().UnixMilli()
	const evil = "\x1b[2J\n\u202e"
	body := v1(1, now, "__name__", "container_cpu_usage_seconds_total", "node", "me"+evil, "namespace", "a"+evil, "pod", "b"+evil, "container", "c"+evil, "id", "/d"+evil, "image", "e"+evil,
		"workload", "f"+evil, "workload_kind", "g"+evil, "runtime", "h"+evil)
	if w := post(r, snappy.Encode(nil, body), map[string]string{"Content-Type": v1Type}); w.Code != 204 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	e := live.one(t).Groups[0].Entity
	for i, got := range []string{e.Node, e.Namespace, e.Pod, e.Container, e.ID, e.Image, e.Workload, e.WorkloadKind, e.Runtime} {
		if strings.ContainsAny(got, evil) && strings.ContainsAny(got, "\x1b\n\u202e") || got == "me" || got == "" {
			t.Errorf("name %d: got %q", i, got)
		}
	}
}

// What is wrong in itself is refused, and counted by its reason, whatever else its request holds; what is only of no use here is not refused.
func TestWrongValuesAndLabels(t *testing.T) {
	now := time.Now()
	memory := []string{"__name__", "container_memory_working_set_bytes", "container", "c", "id", "/x", "namespace", "a", "node", "n1", "pod", "p"}
	f := func(why string, code int, v float64, at time.Time, labels ...string) {
		t.Helper()
		reg, live := prometheus.NewPedanticRegistry(), &keeper{}
		r := receiver(t, Options{Live: live, Registerer: reg})
		good := v1(7, now.UnixMilli(), memory...)
		w := post(r, snappy.Encode(nil, append(v1(v, at.UnixMilli(), labels...), good...)), map[string]string{"Content-Type": v1Type})
		if w.Code != code || code == 400 && !strings.Contains(w.Body.String(), "wrote 1 samples and rejected 1 ("+why+")") {
			t.Errorf("%s: got %d %s, want %d", why, w.Code, w.Body, code)
		}
		if got := live.one(t); got.Samples() != 1 || got.Groups[0].Points[0].V != 7 {
			t.Errorf("%s: got %+v", why, got.Groups)
		}
		for i, c := range r.metrics.dropped {
			if n := testutil.ToFloat64(c); n != 0 && reasonNames[i] != why || n != 1 && reasonNames[i] == why {
				t.Errorf("%s: got %v for %s", why, n, reasonNames[i])
			}
		}
	}
	f("value", 400, -5e8, now, memory...)
	f("value", 400, 1e300, now, memory...)
	f("value", 400, -1, now, "__name__", "node_cpu_usage_seconds_total", "node", "n1")
	f("not_finite", 400, math.NaN(), now, memory...)
	f("not_finite", 400, math.Inf(1), now, memory...)
	f("future", 400, 1, now.Add(time.Hour), memory...)
	f("duplicate_label", 400, 1, now, append(slices.Clone(memory), "node", "n2")...)
	f("duplicate_label", 400, 1, now, append([]string{"node", "n1"}, memory...)...)
	f("duplicate_label", 400, 1, now, append([]string{"__name__", "x"}, memory...)...)
	f("unknown_metric", 204, 1, now, "__name__", "go_goroutines", "job", "x")
}

// Who sends without end takes all places of a lane only while nobody else wants one: another waits for one request of theirs, and is not sent away.
func TestPlacesOfALaneAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		history := sinkFunc(func(context.Context, *metric.Batch) error { time.Sleep(time.Second); return nil })
		r := receiver(t, Options{Live: &keeper{}, History: history})
		body, _ := remotewrite.Encode(sampleBatch(time.Now()), identity.Wire)
		ask := func(from string) int {
			req := httptest.NewRequest(http.MethodPost, "/api/v1/write", bytes.NewReader(body))
			remotewrite.SetHeader(req.Header, remotewrite.V2)
			req.RemoteAddr = from
			w := httptest.NewRecorder()
			r.ServeHTTP(w, req)
			return w.Code
		}
		var churn sync.WaitGroup
		codes := make([]map[int]int, 3*usual.inFlight)
		for i := range codes {
			codes[i] = map[int]int{}
			churn.Go(func() {
				for range 20 {
					codes[i][ask(fmt.Sprintf("192.0.2.1:%d", 1000+i))]++
					time.Sleep(time.Second / 10)
				}
			})
		}
		time.Sleep(time.Second / 2)
		for range 5 {
			began := time.Now()
			if code := ask("192.0.2.2:1"); code == http.StatusTooManyRequests || time.Since(began) > 2*time.Second {
				t.Errorf("an honest sender got %d after %v", code, time.Since(began))
			}
		}
		churn.Wait()
		refused := 0
		for _, c := range codes {
			refused += c[http.StatusTooManyRequests]
		}
		if refused == 0 {
			t.Error("nobody was refused: the test sends too little")
		}
	})
}
