package remote

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/snappy"

	"plimsoll.dev/plimsoll/aggregator/ingest"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/queue"
	"plimsoll.dev/plimsoll/internal/remotewrite"
)

// batch has a point for each of n containers.
func batch(now time.Time, n int) *metric.Batch {
	b := &metric.Batch{Node: "n1", Time: now}
	for i := range n {
		e := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "d", Pod: fmt.Sprint("p", i), Container: "c", ID: fmt.Sprint("/", i)}
		b.Groups = append(b.Groups, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: now.UnixMilli(), V: float64(i)}}})
	}
	return b
}

func record(t testing.TB, n int) []byte {
	t.Helper()
	r, points, left, err := Encode(batch(time.Now(), n), identity.Labels, time.Now())
	if err != nil || points != n || left != (remotewrite.Left{}) {
		t.Fatalf("got %d points, %+v, %v", points, left, err)
	}
	return r
}

func sender(t testing.TB, f http.HandlerFunc) *Sender {
	t.Helper()
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	s, err := NewSender(SenderOptions{Endpoint: EndpointOptions{WriteURL: srv.URL + "/api/v1/write", Headers: http.Header{"Authorization": {"Bearer x"}, "x-scope-orgid": {"me"}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// sinkFunc is a sink that is a function.
type sinkFunc func(ctx context.Context, b *metric.Batch) error

func (f sinkFunc) Take(ctx context.Context, b *metric.Batch) error { return f(ctx, b) }

// TestSendToOurselves sends to Plimsoll's own receiver, which takes 2.0.
func TestSendToOurselves(t *testing.T) {
	var got []*metric.Batch
	r, err := ingest.New(ingest.Options{Live: sinkFunc(func(_ context.Context, b *metric.Batch) error { got = append(got, b); return nil })})
	if err != nil {
		t.Fatal(err)
	}
	s := sender(t, r.ServeHTTP)
	for range 2 {
		if refused, err := s.Send(t.Context(), record(t, 3)); err != nil || len(refused) != 0 {
			t.Fatalf("got %v, %v", refused, err)
		}
	}
	if len(got) != 2 || got[0].Samples() != 3 || remotewrite.Version(s.version.Load()) != remotewrite.V2 {
		t.Errorf("got %d batches by version %d", len(got), s.version.Load())
	}
}

// TestVersions says when 1.0 is fallen back to.
func TestVersions(t *testing.T) {
	f := func(name string, answer func(w http.ResponseWriter, v2 bool), want string) {
		t.Helper()
		var got []string
		s := sender(t, func(w http.ResponseWriter, r *http.Request) {
			v2 := strings.Contains(r.Header.Get("Content-Type"), "v2.Request")
			got = append(got, map[bool]string{true: "2", false: "1"}[v2])
			if r.Header.Get("Authorization") != "Bearer x" || r.Header.Get("X-Scope-OrgID") != "me" || r.Header.Get("Content-Encoding") != "snappy" {
				t.Errorf("headers %v", r.Header)
			}
			answer(w, v2)
		})
		rec := record(t, 1)
		for range 3 {
			_, _ = s.Send(t.Context(), rec) // what it answers is the other tests' matter
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%s: sent versions %s, want %s", name, g, want)
		}
	}
	f("knows 2.0", func(w http.ResponseWriter, _ bool) {
		w.Header().Set(remotewrite.WrittenHeader, "1")
		w.WriteHeader(204)
	}, "2 2 2")
	f("takes 2.0 for an empty 1.0", func(w http.ResponseWriter, _ bool) { w.WriteHeader(204) }, "2 1 1 1")
	f("415", func(w http.ResponseWriter, v2 bool) {
		if v2 {
			w.WriteHeader(415)
		}
	}, "2 1 1 1")
	f("400 to 2.0", func(w http.ResponseWriter, v2 bool) {
		if v2 {
			w.WriteHeader(400)
		}
	}, "2 1 1 1")
	f("not there", func(w http.ResponseWriter, _ bool) { w.WriteHeader(503) }, "2 2 2")
	f("no right", func(w http.ResponseWriter, _ bool) { w.WriteHeader(401) }, "2 2 2")
}

// TestClasses says what each answer means.
func TestClasses(t *testing.T) {
	f := func(status int, header string, want Class, wait time.Duration) {
		t.Helper()
		s := sender(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", header)
			w.Header().Set(remotewrite.WrittenHeader, "0")
			http.Error(w, "because", status)
		})
		began := time.Now()
		_, err := s.Send(t.Context(), record(t, 1))
		var se *SendError
		// A wait until a date is shorter by what the test took, and by the second that the date is cut to.
		if !errors.As(err, &se) || se.Class != want || se.Status != status || se.Message != "because" ||
			se.RetryAfter > wait || wait-se.RetryAfter > time.Since(began)+2*time.Second {
			t.Errorf("%d: got %v (%+v), want class %s", status, err, se, want)
		}
	}
	f(429, "7", Transient, 7*time.Second)
	f(503, time.Now().Add(90*time.Second).UTC().Format(http.TimeFormat), Transient, 90*time.Second)
	f(503, "-5", Transient, 0)
	f(500, "999999999999999999999", Transient, 0)
	f(504, "999999", Transient, maxRetryAfter)
	f(401, "", Configuration, 0)
	f(403, "", Configuration, 0)
	f(404, "", Configuration, 0)
	f(302, "", Configuration, 0)
	s, err := NewSender(SenderOptions{Endpoint: EndpointOptions{WriteURL: "http://127.0.0.1:1/"}})
	if err != nil {
		t.Fatal(err)
	}
	var se *SendError
	if _, err := s.Send(t.Context(), record(t, 1)); !errors.As(err, &se) || se.Class != Transient || se.Status != 0 {
		t.Errorf("nobody there: got %v", err)
	}
}

// picky is an engine of 1.0 that refuses requests with one of some pods as a whole, and those that are too long.
type picky struct {
	refuse  []string
	longest int // series
	taken   []string
	posts   int
}

func (p *picky) serve(t testing.TB) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.posts++
		if strings.Contains(r.Header.Get("Content-Type"), "v2.Request") {
			w.WriteHeader(http.StatusUnsupportedMediaType)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		plain, err := snappy.Decode(nil, body)
		if err != nil {
			t.Error(err)
		}
		var pods []string
		for _, part := range strings.Split(string(plain), "\x0a\x03pod\x12")[1:] {
			pods = append(pods, part[1:1+int(part[0])])
		}
		for _, x := range p.refuse {
			if slices.Contains(pods, x) {
				http.Error(w, "out of order sample of "+x, http.StatusBadRequest)
				return
			}
		}
		if p.longest > 0 && len(pods) > p.longest {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		p.taken = append(p.taken, pods...)
		w.WriteHeader(http.StatusNoContent)
	}
}

// TestRefused: what the engine refuses is told apart from what it takes.
func TestRefused(t *testing.T) {
	p := &picky{refuse: []string{"p3", "p77"}, longest: 40}
	s := sender(t, p.serve(t))
	refused, err := s.Send(t.Context(), record(t, 100))
	if err != nil || len(refused) != 2 {
		t.Fatalf("got %d refusals, %v, want 2", len(refused), err)
	}
	slices.Sort(p.taken)
	if taken := slices.Compact(p.taken); len(taken) != 98 || slices.Contains(taken, "p3") || slices.Contains(taken, "p77") {
		t.Errorf("%d were taken, want 98", len(taken))
	}
	for i, want := range []string{"p3", "p77"} {
		r, err := remotewrite.Decode(refused[i].Record)
		if err != nil || r.Series() != 1 || refused[i].Samples != 1 || !strings.Contains(refused[i].Message, want) {
			t.Errorf("refusal %d: %+v, %v", i, refused[i], err)
		}
	}
	t.Logf("%d requests", p.posts)
	// A record that cannot be read is for the dead letters, not for ever.
	all := &picky{refuse: []string{}}
	s = sender(t, all.serve(t))
	if refused, err = s.Send(t.Context(), []byte("not a record")); err != nil || len(refused) != 1 || !strings.Contains(refused[0].Message, "broken") {
		t.Errorf("a broken record: got %v, %v", refused, err)
	}
	// An engine that refuses everything does not cost a request for each series.
	none := sender(t, func(w http.ResponseWriter, r *http.Request) {
		p.posts++
		http.Error(w, "out of order sample", http.StatusBadRequest)
	})
	p.posts = 0
	if refused, err = none.Send(t.Context(), record(t, 5000)); err != nil || p.posts > 4*maxParts {
		t.Errorf("%d requests, %v", p.posts, err)
	}
	n := 0
	for _, f := range refused {
		n += f.Samples
	}
	if n != 5000 {
		t.Errorf("%d samples were refused, want 5000", n)
	}
}

// TestKept: what a person can mend is an error, so that the record is kept, and the engine has all of it when it is mended.
func TestKept(t *testing.T) {
	f := func(status int, message string, n int, want Class) {
		t.Helper()
		mended, posts, series := false, 0, 0
		s := sender(t, func(w http.ResponseWriter, r *http.Request) {
			posts++
			w.Header().Set(remotewrite.WrittenHeader, "0")
			if !mended {
				http.Error(w, message, status)
				return
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			if got, err := remotewrite.Decode(body); err == nil {
				series += got.Series()
			}
			w.WriteHeader(204)
		})
		rec := record(t, n)
		for range 11 {
			refused, err := s.Send(t.Context(), rec)
			var se *SendError
			if !errors.As(err, &se) || se.Class != want || se.Message != message || len(refused) != 0 {
				t.Errorf("%d %q for %d series: got %d refusals, %v, want class %s", status, message, n, len(refused), err, want)
			}
		}
		if posts > 6*maxParts {
			t.Errorf("%q: %d requests in eleven attempts", message, posts)
		}
		mended = true
		if refused, err := s.Send(t.Context(), rec); err != nil || len(refused) != 0 || series != n {
			t.Errorf("%q, mended: got %d refusals, %v, %d series", message, len(refused), err, series)
		}
	}
	for _, n := range []int{1, 3, 500} {
		f(400, "per-user series limit of 1500 exceeded (err-mimir-max-series-per-user). To adjust the related per-tenant limit, configure -ingester.max-global-series-per-user, or contact your service administrator.", n, Limited)
		f(400, "per-user series limit of 10 exceeded, please contact administrator to raise it (local limit: 10 global limit: 0 actual local limit: 10)", n, Limited)
		f(400, `unsupported path requested: "/api/v1/wrote"`, n, Configuration)
		f(422, "tenant is disabled", n, Configuration)
		f(409, `node "n1" is sent by another collector`, n, Configuration)
		f(402, "pay", n, Configuration)
		f(413, "entity too large", n, TooLarge)
	}
}

// TestOfSamples: what is never taken is told apart from limits, by what engines say.
func TestOfSamples(t *testing.T) {
	f := func(status int, message string) {
		t.Helper()
		s := sender(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(remotewrite.WrittenHeader, "0")
			http.Error(w, message, status)
		})
		if refused, err := s.Send(t.Context(), record(t, 4)); err != nil || len(refused) != 4 {
			t.Errorf("%d %q: got %d refusals, %v", status, message, len(refused), err)
		}
	}
	f(400, "out of order sample")
	f(400, "out of bounds")
	f(400, "duplicate sample for timestamp")
	f(400, "the sample has been rejected because its timestamp is too old (err-mimir-sample-timestamp-too-old)")
	f(400, "received a series whose number of labels exceeds the limit (actual: 31, limit: 30) (err-mimir-max-label-names-per-series). To adjust the related per-tenant limit, configure -validation.max-label-names-per-series")
	f(400, "received a sample whose timestamp is too far in the future (err-mimir-too-far-in-future). To adjust the related per-tenant limit, configure -validation.create-grace-period")
	f(409, "store locally for endpoint thanos-0: conflict")
}

// engine is a transport that answers with the next status, 204 in the end.
type engine struct {
	statuses []int
	header   http.Header
	at       []time.Time
}

func (e *engine) RoundTrip(r *http.Request) (*http.Response, error) {
	e.at = append(e.at, time.Now())
	_, _ = io.Copy(io.Discard, r.Body)
	h := e.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Set(remotewrite.WrittenHeader, "1")
	status := 204
	if len(e.statuses) > 0 {
		status, e.statuses = e.statuses[0], e.statuses[1:]
	}
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader("text"))}, nil
}

// writer has a queue of its own.
func writer(t *testing.T, end EndpointOptions) *Writer {
	t.Helper()
	q, err := queue.Open(queue.Options{Dir: t.TempDir(), SyncEvery: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	w, err := NewWriter(WriterOptions{Endpoint: end, Queue: q})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// The batch of a cluster of many pods is longer than any record of the queue may be, and is kept all the same.
func TestTheBatchOfALargeClusterIsKept(t *testing.T) {
	w := writer(t, EndpointOptions{WriteURL: "http://127.0.0.1:1/api/v1/write"})
	now := time.Now()
	b := &metric.Batch{Time: now}
	for range 40_000 { // names of 26 random letters do not compress
		e := &metric.Entity{Level: metric.Pod, Namespace: rand.Text(), Pod: rand.Text()}
		b.Groups = append(b.Groups, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: now.UnixMilli(), V: 1}}})
	}
	if err := w.Append(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if s := w.opts.Queue.Stats(); s.Points != 40_000 || s.Records < 2 {
		t.Errorf("got %d points in %d records, want 40000 in several", s.Points, s.Records)
	}
}

// TestWriter: a record is sent until the engine has it, with waits that grow, in order, and nothing runs on after Run.
func TestWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{statuses: []int{0, 503, 503, 401, 204, 400, 204}}
		w := writer(t, EndpointOptions{WriteURL: "http://engine.invalid/api/v1/write", Transport: e})
		w.opts.random = func() float64 { return 1 }
		for range 3 {
			if err := w.Append(t.Context(), batch(time.Now(), 1)); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		if c := w.Conditions(); len(c) != 1 || c[0].Type != "HistorySent" || c[0].Reason != ReasonUnreachable {
			t.Errorf("conditions %+v", c)
		}
		time.Sleep(1500 * time.Millisecond) // it was reached meanwhile, and said no
		synctest.Wait()
		if c := w.Conditions(); len(c) != 1 || c[0].Type != "HistorySent" || c[0].Reason != ReasonBusy {
			t.Errorf("conditions %+v", c)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if c := w.Conditions(); len(c) != 1 || c[0].Type != "HistorySent" || c[0].Reason != ReasonRefusesUs {
			t.Errorf("conditions %+v", c)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		var waits []time.Duration
		for i := 1; i < len(e.at); i++ {
			waits = append(waits, e.at[i].Sub(e.at[i-1]))
		}
		want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 34 * time.Second, 0, 0, 0} // the one that is refused brings one without series
		if !slices.Equal(waits, want) {
			t.Errorf("waits %v, want %v", waits, want)
		}
		if s := w.opts.Queue.Stats(); s.Delivered.Records != 3 || s.Dead.Records != 1 || len(w.Conditions()) != 0 {
			t.Errorf("%+v, conditions %+v", s, w.Conditions())
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestOptions(t *testing.T) {
	for _, o := range []EndpointOptions{{}, {WriteURL: "://"}, {WriteURL: "ftp://x"}, {WriteURL: "http://"}, {QueryURL: "x"}} {
		if o.Validate() == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	for write, want := range map[string]string{
		"http://p:9090/api/v1/write":      "http://p:9090",
		"http://m/api/v1/push":            "http://m/prometheus",
		"https://v:8428/x/api/v1/write/":  "https://v:8428/x",
		"http://p:9090/api/v1/write?a=b#": "http://p:9090",
	} {
		if got := QueryURL(write); got != want {
			t.Errorf("%s: got %s, want %s", write, got, want)
		}
	}
}

// A login in an address is not told, in one that cannot be read either.
func TestLoginInAnAddressIsNotTold(t *testing.T) {
	for _, address := range []string{"http://me:secret@[::1", "http://me:secret#word@host", "http://me:secret/word@host", "http://me:sec ret@host/%zz", "ftp://me:secret@host", "ftp://host/?token=secret"} {
		err := (&EndpointOptions{WriteURL: address}).Validate()
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "sec ret") {
			t.Errorf("%q: got %v, want an error without the secret", address, err)
		}
	}
}
