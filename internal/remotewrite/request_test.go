package remotewrite_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/aggregator/ingest"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
)

func batch(now time.Time) *metric.Batch {
	e := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "größe", Pod: "p", Container: "c", ID: "/x"}
	return &metric.Batch{Node: "n1", Time: now, Groups: []metric.Group{{Entity: e, Start: now.Add(-time.Hour).Truncate(time.Millisecond), Points: []metric.Point{
		{ID: metric.CPUUsage, T: now.UnixMilli(), V: 1.5}, {ID: metric.NetworkReceive, Sub: "eth0", T: now.UnixMilli(), V: 7},
		{ID: metric.MemoryPageFaults, T: now.UnixMilli(), V: 3}, {ID: metric.MemoryWorkingSet, T: now.UnixMilli(), V: 1e9}}}}}
}

// sinkFunc is a sink that is a function.
type sinkFunc func(ctx context.Context, b *metric.Batch) error

func (f sinkFunc) Take(ctx context.Context, b *metric.Batch) error { return f(ctx, b) }

// received is what Plimsoll's receiver makes of a request.
func received(t *testing.T, body []byte, v remotewrite.Version) []metric.Group {
	t.Helper()
	var got []metric.Group
	r, err := ingest.New(ingest.Options{Live: sinkFunc(func(_ context.Context, b *metric.Batch) error { got = append(got, b.Groups...); return nil })})
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodPost, "/api/v1/write", bytes.NewReader(body))
	remotewrite.SetHeader(req.Header, v)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	if w.Code != http.StatusNoContent {
		t.Fatalf("%s: %d %s", v, w.Code, w.Body)
	}
	return got
}

// TestVersions: a batch arrives the same by both versions and in halves; 1.0 has no place for the start.
func TestVersions(t *testing.T) {
	b := batch(time.Now())
	record, err := remotewrite.Encode(b, identity.Wire)
	if err != nil {
		t.Fatal(err)
	}
	r, err := remotewrite.Decode(record)
	if err != nil || r.Series() != 4 || r.Samples() != 4 {
		t.Fatalf("got %+v, %v", r, err)
	}
	for _, v := range []remotewrite.Version{remotewrite.V2, remotewrite.V1} {
		body, err := r.Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		got := received(t, body, v)
		want := b.Groups
		if v == remotewrite.V1 {
			want = []metric.Group{want[0]}
			want[0].Start = time.Time{}
		}
		ignore := cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Entity.Runtime" }, cmp.Ignore())
		if d := cmp.Diff(want, got, ignore); d != "" {
			t.Errorf("%s: want -, got +:\n%s", v, d)
		}
	}
	x, y := r.Halves()
	n := 0
	for _, half := range []*remotewrite.Request{x, y} {
		body, err := half.Encode(remotewrite.V2)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range received(t, body, remotewrite.V2) {
			n += len(g.Points)
		}
	}
	if n != 4 {
		t.Errorf("%d points came in halves, want 4", n)
	}
}

// TestClean says what can never be stored.
func TestClean(t *testing.T) {
	now := time.Now()
	good := batch(now)
	if got, left := remotewrite.Clean(good, now); got != good || left != (remotewrite.Left{}) {
		t.Errorf("a good batch was changed: %+v", left)
	}
	e := good.Groups[0].Entity
	ms := now.UnixMilli()
	b := &metric.Batch{Groups: []metric.Group{{Points: []metric.Point{{V: 1, T: ms}}}, {Entity: e, Points: []metric.Point{
		{ID: metric.CPUUsage, T: ms, V: math.NaN()}, {ID: metric.CPUUsage, T: ms, V: math.Inf(-1)}, {ID: 60000, T: ms}, {ID: metric.Replicas, T: ms},
		{ID: metric.CPUUsage, T: 0}, {ID: metric.CPUUsage, T: math.MaxInt64}, {ID: metric.CPUUsage, T: ms, V: 2}}}}}
	got, left := remotewrite.Clean(b, now)
	if d := cmp.Diff(remotewrite.Left{NotFinite: 2, Time: 2, Unknown: 3}, left); d != "" || got.Samples() != 1 || len(b.Groups[1].Points) != 7 {
		t.Errorf("got %d samples, want 1; left out, want -, got +:\n%s", got.Samples(), d)
	}
}

// TestBadText: what is not UTF-8 is mended, since engines refuse a whole request for it; two cgroups that differ in nothing else stay two.
func TestBadText(t *testing.T) {
	seen := map[string]bool{}
	for _, bad := range []string{"/a\xff\xfeb", "/a\xfe\xffb", "/a\uFFFDb"} {
		b := batch(time.Now())
		b.Groups[0].Entity.ID, b.Groups[0].Entity.Pod = bad, "p"+bad
		record, err := remotewrite.Encode(b, identity.Wire)
		if err != nil {
			t.Fatal(err)
		}
		e := received(t, record, remotewrite.V2)[0].Entity
		if !strings.HasPrefix(e.ID, "/a\uFFFDb") || !strings.HasPrefix(e.Pod, "p/a\uFFFDb") {
			t.Errorf("got %q of %q", e.ID, e.Pod)
		}
		seen[e.ID], seen[e.Pod] = true, true
	}
	if len(seen) != 6 {
		t.Errorf("three of each became %v", seen)
	}
}

// FuzzDecode reads anything; what can be read can be written again in both versions.
func FuzzDecode(f *testing.F) {
	record, err := remotewrite.Encode(batch(time.Now()), identity.Wire)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(record)
	f.Add([]byte{})
	f.Add([]byte("text"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := remotewrite.Decode(b)
		if err != nil {
			if !errors.Is(err, remotewrite.ErrBroken) {
				t.Errorf("error %v", err)
			}
			return
		}
		for _, v := range []remotewrite.Version{remotewrite.V1, remotewrite.V2} {
			out, err := r.Encode(v)
			if err != nil {
				t.Errorf("%s: %v", v, err)
				continue
			}
			if again, err := remotewrite.Decode(out); v == remotewrite.V2 && (err != nil || again.Series() != r.Series() || again.Samples() != r.Samples()) {
				t.Errorf("%d series, %d samples became %+v, %v", r.Series(), r.Samples(), again, err)
			}
		}
	})
}
