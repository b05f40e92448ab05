package ingest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/encoding/protowire"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
)

// keeper is a sink that keeps what it is given.
type keeper struct {
	mu      sync.Mutex
	batches []*metric.Batch
	err     error
}

func (k *keeper) Take(_ context.Context, b *metric.Batch) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.batches = append(k.batches, b)
	return k.err
}

func (k *keeper) one(t *testing.T) *metric.Batch {
	t.Helper()
	if len(k.batches) != 1 {
		t.Fatalf("got %d batches, want 1", len(k.batches))
	}
	return k.batches[0]
}

// sinkFunc is a Sink that is a function.
type sinkFunc func(ctx context.Context, b *metric.Batch) error

func (f sinkFunc) Take(ctx context.Context, b *metric.Batch) error { return f(ctx, b) }

func receiver(t testing.TB, o Options) *Receiver {
	t.Helper()
	return small(t, o, func(*limits) {})
}

// small is a receiver that takes less.
func small(t testing.TB, o Options, shrink func(*limits)) *Receiver {
	t.Helper()
	most := usual
	shrink(&most)
	if o.Registerer == nil {
		o.Registerer = prometheus.NewPedanticRegistry()
	}
	r, err := newReceiver(o, most)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sampleBatch(now time.Time) *metric.Batch {
	web := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "demo", WorkloadKind: "ProcessService", Workload: "web",
		Pod: "web-1", Container: "web", ID: "/plimsoll/web-1", Runtime: "process", Image: "web:1"}
	node := &metric.Entity{Level: metric.Node, Node: "n1", ID: "/"}
	pod := &metric.Entity{Level: metric.Pod, Node: "n1", Namespace: "demo", Pod: "web-1"}
	ms := now.UnixMilli()
	return &metric.Batch{Node: "n1", Groups: []metric.Group{
		{Entity: web, Start: now.Add(-time.Hour).UTC().Truncate(time.Millisecond), Points: []metric.Point{
			{ID: metric.CPUUsage, T: ms, V: 12.5}, {ID: metric.MemoryWorkingSet, T: ms - 3, V: 1 << 20},
			{ID: metric.MemoryMajorPageFaults, T: ms, V: 3}, {ID: metric.MemoryPageFaults, T: ms, V: 4},
			{ID: metric.DiskRead, Sub: "/dev/sda", T: ms, V: 5}, {ID: metric.DiskRead, Sub: "/dev/sdb", T: ms, V: 6},
			{ID: metric.CPULimit, T: ms, V: 0.5}, {ID: metric.MemoryLimit, T: ms, V: 7}}},
		{Entity: node, Points: []metric.Point{{ID: metric.CPUUsage, T: ms, V: 99}, {ID: metric.LoadAverage1m, T: ms, V: 0.3}, {ID: metric.MemoryPageFaults, T: ms, V: 8}}},
		{Entity: pod, Points: []metric.Point{{ID: metric.NetworkReceive, Sub: "eth0", T: ms, V: 77}}},
	}}
}

func post(r http.Handler, body []byte, header map[string]string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "/api/v1/write", bytes.NewReader(body))
	remotewrite.SetHeader(req.Header, remotewrite.V2)
	for k, v := range header {
		req.Header.Set(k, v)
		if v == "" {
			req.Header.Del(k)
		}
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

func TestRoundTrip(t *testing.T) {
	live, history := &keeper{}, &keeper{}
	r := receiver(t, Options{Live: live, History: history})
	want := sampleBatch(time.Now())
	body, err := remotewrite.Encode(want, identity.Wire)
	if err != nil {
		t.Fatal(err)
	}
	w := post(r, body, nil)
	if w.Code != http.StatusNoContent || w.Header().Get("X-Prometheus-Remote-Write-Samples-Written") != "12" {
		t.Fatalf("code %d, headers %v, body %s", w.Code, w.Header(), w.Body)
	}
	got := live.one(t)
	if history.one(t) != got {
		t.Error("the history got another batch than the live picture")
	}
	if d := cmp.Diff(want.Groups, got.Groups); d != "" || got.Node != "n1" || got.Fast {
		t.Errorf("node %q, fast %v, difference:\n%s", got.Node, got.Fast, d)
	}
	post(r, body, map[string]string{remotewrite.LaneHeader: remotewrite.LiveLane})
	if len(history.batches) != 1 || len(live.batches) != 2 || !live.batches[1].Fast {
		t.Errorf("live lane: %d to the history, %d live", len(history.batches), len(live.batches))
	}
	if a, b := live.batches[0].Groups[0].Entity, live.batches[1].Groups[0].Entity; a != b {
		t.Error("the entity's pointer changed between requests")
	}
}

// v1 makes a prometheus.WriteRequest with one series.
func v1(value float64, ms int64, labels ...string) []byte {
	var ts []byte
	for i := 0; i < len(labels); i += 2 {
		var l []byte
		l = protowire.AppendTag(l, 1, protowire.BytesType)
		l = protowire.AppendString(l, labels[i])
		l = protowire.AppendTag(l, 2, protowire.BytesType)
		l = protowire.AppendString(l, labels[i+1])
		ts = protowire.AppendTag(ts, 1, protowire.BytesType)
		ts = protowire.AppendBytes(ts, l)
	}
	var s []byte
	s = protowire.AppendTag(s, 1, protowire.Fixed64Type)
	s = protowire.AppendFixed64(s, math.Float64bits(value))
	s = protowire.AppendTag(s, 2, protowire.VarintType)
	s = protowire.AppendVarint(s, uint64(ms))
	ts = protowire.AppendTag(ts, 2, protowire.BytesType)
	ts = protowire.AppendBytes(ts, s)
	req := protowire.AppendTag(nil, 1, protowire.BytesType)
	return protowire.AppendBytes(req, ts)
}

const v1Type = "application/x-protobuf"

func TestVersion1(t *testing.T) {
	live := &keeper{}
	r := receiver(t, Options{Live: live})
	now := time.Now().UnixMilli()
	body := v1(5, now, "__name__", "container_memory_rss", "container", "db", "id", "/kubepods/x", "instance", "n3:10250", "namespace", "prod", "node", "n3", "pod", "db-0")
	for _, ct := range []string{v1Type, v1Type + ";proto=prometheus.WriteRequest", ""} {
		w := post(r, snappy.Encode(nil, body), map[string]string{"Content-Type": ct})
		if w.Code != http.StatusNoContent || w.Header().Get("X-Prometheus-Remote-Write-Samples-Written") != "" {
			t.Fatalf("%q: code %d, headers %v, body %s", ct, w.Code, w.Header(), w.Body)
		}
	}
	g := live.batches[0].Groups[0]
	if g.Entity.Pod != "db-0" || g.Entity.Level != metric.Container || g.Points[0].V != 5 || g.Points[0].ID != metric.MemoryRSS {
		t.Errorf("got %+v of %+v", g, g.Entity)
	}
}

// TestCadvisorNames receives what Prometheus scrapes from cAdvisor, where pods and the machine have the containers' metric names.
func TestCadvisorNames(t *testing.T) {
	now := time.Now().UnixMilli()
	f := func(want string, labels ...string) {
		t.Helper()
		live := &keeper{}
		r := receiver(t, Options{Live: live})
		w := post(r, snappy.Encode(nil, v1(5, now, append([]string{"__name__", "container_cpu_usage_seconds_total"}, labels...)...)), map[string]string{"Content-Type": v1Type})
		got := ""
		if len(live.batches) > 0 {
			got = live.batches[0].Groups[0].Entity.String()
		}
		if got != want || w.Code/100 != 2 {
			t.Errorf("%v: got %q (%d), want %q", labels, got, w.Code, want)
		}
	}
	f("container a/p/c", "container", "c", "id", "/kubepods/1", "namespace", "a", "pod", "p")
	f("pod a/p", "id", "/kubepods/1", "namespace", "a", "pod", "p")
	f("", "container", "POD", "id", "/kubepods/1", "namespace", "a", "pod", "p")
	f("node n1", "id", "/", "instance", "n1:10250")
	f("", "id", "/system.slice", "instance", "n1:10250")
}

func TestRefused(t *testing.T) {
	now := time.Now()
	good, err := remotewrite.Encode(sampleBatch(now), identity.Wire)
	if err != nil {
		t.Fatal(err)
	}
	future := sampleBatch(now.Add(time.Hour))
	futureBody, _ := remotewrite.Encode(future, identity.Wire)
	noLabels := snappy.Encode(nil, v1(1, now.UnixMilli(), "__name__", "pod_cpu_usage_seconds_total"))
	badRef := v2([]string{"", "a"}, []uint32{1, 9})
	odd := v2([]string{"", "a"}, []uint32{1})
	first := v2([]string{"a"})
	for _, c := range []struct {
		name, header, value string
		body                []byte
		code                int
		text                string
	}{
		{"media type", "Content-Type", "application/json", good, 415, "application/json"},
		{"no media type", "Content-Type", "/;;", good, 415, "content type"},
		{"other message", "Content-Type", "application/x-protobuf;proto=other.Request", good, 415, "other.Request"},
		{"space before the parameter", "Content-Type", "application/x-protobuf; proto=io.prometheus.write.v2.Request", good, 204, ""},
		{"no encoding", "Content-Encoding", "", good, 415, "snappy"},
		{"gzip", "Content-Encoding", "gzip", good, 415, `"gzip"`},
		{"not snappy", "", "", []byte("hello, this is text"), 400, "not snappy"},
		{"empty", "", "", nil, 400, "not snappy"},
		{"empty message", "", "", snappy.Encode(nil, nil), 204, ""},
		{"not a message", "", "", snappy.Encode(nil, []byte("hello, this is text")), 400, "cannot read the request"},
		{"cut message", "", "", snappy.Encode(nil, mustDecode(t, good)[:200]), 400, "cannot read the request"},
		{"bad reference", "", "", badRef, 400, "symbol 9 of 2"},
		{"odd references", "", "", odd, 400, "odd number"},
		{"first symbol", "", "", first, 400, "first symbol"},
		{"too long", "", "", bytes.Repeat([]byte{0}, 5000), 413, "4096"},
		{"too long decompressed", "", "", snappy.Encode(nil, make([]byte, 20000)), 413, "20000"},
		{"a bomb", "", "", []byte{0x80, 0x40, 0, 0}, 400, "cannot hold 8192"},
		{"future", "", "", futureBody, 400, "rejected 12 (future)"},
		{"long labels", "Content-Type", v1Type, snappy.Encode(nil, v1(1, now.UnixMilli(), "__name__", "node_load1", "node", strings.Repeat("x", 17000))), 400, "rejected 1 (labels)"},
		{"names that the live picture does not take", "Content-Type", v1Type, snappy.Encode(nil, v1(1, now.UnixMilli(), "__name__", "container_memory_working_set_bytes", "node", "n", "namespace", "d",
			"pod", strings.Repeat("x", 1900), "container", strings.Repeat("x", 1900), "id", "/"+strings.Repeat("x", 1900))), 400, "rejected 1 (labels)"},
		{"no entity", "Content-Type", v1Type, noLabels, 400, "rejected 1 (labels)"},
	} {
		live := &keeper{}
		r := small(t, Options{Live: live}, func(l *limits) { l.body, l.decoded = 4096, 18000 })
		header := map[string]string{}
		if c.header != "" {
			header[c.header] = c.value
		}
		w := post(r, c.body, header)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.text) {
			t.Errorf("%s: code %d, text %q, want %d with %q", c.name, w.Code, w.Body, c.code, c.text)
		}
		if c.code != 204 && len(live.batches) != 0 {
			t.Errorf("%s: something was written", c.name)
		}
	}
	req := httptest.NewRequest(http.MethodGet, "/api/v1/write", nil)
	w := httptest.NewRecorder()
	receiver(t, Options{Live: &keeper{}}).ServeHTTP(w, req)
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d, %v", w.Code, w.Header())
	}
}

func TestPartial(t *testing.T) {
	live := &keeper{}
	r := receiver(t, Options{Live: live})
	now := time.Now()
	b := sampleBatch(now)
	b.Groups[0].Points[0].T += 3600_000
	b.Groups[0].Points[1].V = math.NaN()
	body, _ := remotewrite.Encode(b, identity.Wire)
	w := post(r, body, nil)
	if w.Code != 400 || w.Header().Get("X-Prometheus-Remote-Write-Samples-Written") != "10" || live.one(t).Samples() != 10 {
		t.Errorf("code %d, headers %v, body %q, %d samples", w.Code, w.Header(), w.Body, live.one(t).Samples())
	}
}

func TestStaleMarkers(t *testing.T) {
	live := &keeper{}
	r := receiver(t, Options{Live: live})
	now := time.Now()
	b := sampleBatch(now)
	gone := b.Groups[0].Entity
	b.Groups, b.Time = b.Groups[1:], now
	b.Gaps = []metric.Gap{{Entity: gone, Reason: "gone"}, {Entity: b.Groups[0].Entity, Reason: "gone"}}
	body, err := remotewrite.Encode(b, identity.Wire)
	if err != nil {
		t.Fatal(err)
	}
	if w := post(r, body, nil); w.Code != 204 {
		t.Fatal(w.Code, w.Body)
	}
	got := live.one(t)
	if len(got.Gaps) != 1 || got.Gaps[0].Entity.Pod != "web-1" || got.Gaps[0].Reason != "gone" {
		t.Errorf("gaps %+v", got.Gaps)
	}
	// One that has ended, and of which whoever runs it tells how often it has started it again, has ended all the same.
	live.batches = nil
	b.Groups = append(b.Groups, metric.Group{Entity: gone, Points: []metric.Point{{ID: metric.Restarts, T: now.UnixMilli() + 1000, V: 3}, {ID: metric.MemoryRequest, T: now.UnixMilli() + 1000, V: 3}}})
	b.Time = now.Add(time.Second)
	if body, err = remotewrite.Encode(b, identity.Wire); err != nil {
		t.Fatal(err)
	}
	if w := post(r, body, nil); w.Code != 204 {
		t.Fatal(w.Code, w.Body)
	}
	if got := live.one(t); len(got.Gaps) != 1 || got.Gaps[0].Entity.Pod != "web-1" || len(got.Groups) != len(b.Groups) {
		t.Errorf("gaps %+v of %d groups", got.Gaps, len(got.Groups))
	}
}

func TestSinkErrors(t *testing.T) {
	live, history := &keeper{}, &keeper{err: errors.New("the disk is full")}
	r := receiver(t, Options{Live: live, History: history})
	body, _ := remotewrite.Encode(sampleBatch(time.Now()), identity.Wire)
	w := post(r, body, nil)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "the disk is full") || w.Header().Get("X-Prometheus-Remote-Write-Samples-Written") != "0" {
		t.Errorf("code %d, headers %v, body %q", w.Code, w.Header(), w.Body)
	}
	if len(live.batches) != 1 {
		t.Error("the live picture was not shown the batch")
	}
}

func TestInFlight(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	r := small(t, Options{Live: sinkFunc(func(context.Context, *metric.Batch) error {
		close(entered)
		<-leave
		return nil
	})}, func(l *limits) { l.inFlight = 1 })
	body, _ := remotewrite.Encode(sampleBatch(time.Now()), identity.Wire)
	done := make(chan int)
	go func() { done <- post(r, body, nil).Code }()
	<-entered
	if w := post(r, body, nil); w.Code != 429 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("code %d, headers %v", w.Code, w.Header())
	}
	close(leave)
	if code := <-done; code != 204 {
		t.Errorf("the first request got %d", code)
	}
}

func TestTablesAreBounded(t *testing.T) {
	live := &keeper{}
	r := small(t, Options{Live: live}, func(l *limits) { l.series, l.entities = 5, 4 })
	now := time.Now().UnixMilli()
	codes := map[int]int{}
	for i := range 20 {
		body := v1(1, now, "__name__", "node_cpu_usage_seconds_total", "node", "n"+string(rune('a'+i)))
		codes[post(r, snappy.Encode(nil, body), map[string]string{"Content-Type": v1Type}).Code]++
	}
	if codes[204] != 2 || codes[400] != 18 || len(r.table.series) > 5 || len(r.table.entities) != 2 {
		t.Errorf("codes %v, %d series, %d entities", codes, len(r.table.series), len(r.table.entities))
	}
	r.table.mu.Lock()
	r.table.swept = 0
	r.table.sweep(time.Now().Add(time.Hour).UnixMilli(), forget.Milliseconds())
	r.table.mu.Unlock()
	if len(r.table.series)+len(r.table.entities) != 0 {
		t.Errorf("%d series, %d entities are left", len(r.table.series), len(r.table.entities))
	}
}

func TestOptions(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("a receiver without a sink was made")
	}
}

// v2 makes an io.prometheus.write.v2.Request of symbols and series, which are references to them.
func v2(symbols []string, series ...[]uint32) []byte {
	var out []byte
	for _, s := range symbols {
		out = protowire.AppendTag(out, 4, protowire.BytesType)
		out = protowire.AppendString(out, s)
	}
	for _, refs := range series {
		var packed, ts []byte
		for _, r := range refs {
			packed = protowire.AppendVarint(packed, uint64(r))
		}
		ts = protowire.AppendTag(ts, 1, protowire.BytesType)
		ts = protowire.AppendBytes(ts, packed)
		out = protowire.AppendTag(out, 5, protowire.BytesType)
		out = protowire.AppendBytes(out, ts)
	}
	return snappy.Encode(nil, out)
}

func mustDecode(t testing.TB, b []byte) []byte {
	t.Helper()
	out, err := snappy.Decode(nil, b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// FuzzReceiver feeds both versions with anything, raw and well compressed.
func FuzzReceiver(f *testing.F) {
	now := time.Now()
	good, err := remotewrite.Encode(sampleBatch(now), identity.Wire)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, true)
	f.Add(mustDecode(f, good), false)
	f.Add(v1(1, now.UnixMilli(), "__name__", "container_memory_rss", "pod", "p", "container", "c"), false)
	f.Add([]byte{0x80, 0x40, 0, 0}, true)
	live := sinkFunc(func(_ context.Context, b *metric.Batch) error {
		for i := range b.Groups {
			for _, p := range b.Groups[i].Points {
				if math.IsNaN(p.V) || math.IsInf(p.V, 0) || p.T <= 0 || int(p.ID) >= len(metric.Rows()) {
					panic("a point that must not come through")
				}
			}
		}
		return nil
	})
	r := small(f, Options{Live: live, History: live}, func(l *limits) { l.series, l.entities = 1000, 100 })
	f.Fuzz(func(t *testing.T, body []byte, raw bool) {
		if !raw {
			body = snappy.Encode(nil, body)
		}
		for _, ct := range []string{v1Type, v1Type + ";proto=io.prometheus.write.v2.Request"} {
			if w := post(r, body, map[string]string{"Content-Type": ct}); w.Code/100 == 5 {
				t.Errorf("code %d: %s", w.Code, w.Body)
			}
		}
	})
}

// FuzzHeaders: whatever the headers say, a good request is taken or refused as the client's fault.
func FuzzHeaders(f *testing.F) {
	now := time.Now()
	good, err := remotewrite.Encode(sampleBatch(now), identity.Wire)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("POST", v1Type, remotewrite.Encoding, "", "", "1")
	f.Add("POST", v1Type+"; proto=io.prometheus.write.v2.Request", remotewrite.Encoding, remotewrite.LiveLane, "0123", "-1")
	f.Add("GET", "application/x-protobuf;proto=\"", "gzip", remotewrite.LiveFullLane, "\x00", "x")
	f.Add("POST", ";;=", "", "live,", strings.Repeat("a", 100), "")
	live := sinkFunc(func(context.Context, *metric.Batch) error { return nil })
	r := small(f, Options{Live: live, History: live}, func(*limits) {})
	f.Fuzz(func(t *testing.T, method, kind, encoding, lane, source, length string) {
		req := httptest.NewRequest(http.MethodPost, "/api/v1/write", bytes.NewReader(good))
		req.Method = method
		req.Header = http.Header{"Content-Type": {kind}, "Content-Encoding": {encoding}, remotewrite.LaneHeader: {lane}, remotewrite.SourceHeader: {source}, "Content-Length": {length}}
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		if w.Code/100 == 5 && w.Code != http.StatusServiceUnavailable {
			t.Errorf("%q %q %q %q %q: code %d: %s", method, kind, encoding, lane, source, w.Code, w.Body)
		}
	})
}

// A body that is longer than the route reads is too large, as one that says so before.
func TestBodyBeyondTheRoutes(t *testing.T) {
	r := small(t, Options{Live: &keeper{}}, func(l *limits) { l.body = 4096 })
	w := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodPost, "/api/v1/write", nil)
	req.Header.Set("Content-Encoding", "snappy")
	req.Body, req.ContentLength = http.MaxBytesReader(w, io.NopCloser(bytes.NewReader(make([]byte, 5000))), 4096), -1
	r.ServeHTTP(w, req)
	if w.Code != http.StatusRequestEntityTooLarge || !strings.Contains(w.Body.String(), "4096") {
		t.Errorf("got %d, %q, want 413 with the limit", w.Code, w.Body)
	}
}
