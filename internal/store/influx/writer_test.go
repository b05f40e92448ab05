package influx

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

// fake stands in for a server where the real ones cannot be made to give an answer (429, 413, 500, dates in Retry-After), and
// where time is virtual. The answers that real servers give are tested on them, in test/influx.
type fake struct {
	mu     sync.Mutex
	start  time.Time
	answer func(n int, lines []string) reply
	at     []time.Duration // of each request
	sizes  []int           // lines of each request
	stored []string
}

type reply struct {
	code    int
	message string
	header  http.Header
	err     error
	hang    bool
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Content-Encoding") != "gzip" || r.URL.Query().Get("precision") != "ms" || r.URL.Query().Get("bucket") != "b" {
		return nil, fmt.Errorf("unexpected request %v %v", r.URL, r.Header)
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(b), "\n")
	f.mu.Lock()
	n := len(f.at)
	f.at = append(f.at, time.Since(f.start))
	f.sizes = append(f.sizes, len(lines))
	f.mu.Unlock()
	a := f.answer(n, lines)
	if a.hang {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if a.err != nil {
		return nil, a.err
	}
	if a.code == 204 {
		f.mu.Lock()
		f.stored = append(f.stored, lines...)
		f.mu.Unlock()
	}
	if a.header == nil {
		a.header = http.Header{}
	}
	return &http.Response{StatusCode: a.code, Status: http.StatusText(a.code), Header: a.header, Body: io.NopCloser(strings.NewReader(a.message)), Request: r}, nil
}

// batches is a source of a few batches, then of none.
type batches struct {
	lines []string
	done  []int
	fails int
}

func (b *batches) Next(ctx context.Context, _ int) (Batch, error) {
	if b.fails > 0 {
		b.fails--
		return Batch{}, errors.New("disk on fire")
	}
	if len(b.lines) == 0 {
		<-ctx.Done()
		return Batch{}, ctx.Err()
	}
	l := b.lines[0]
	b.lines = b.lines[1:]
	return Batch{Lines: []byte(l), Done: func() error { b.done = append(b.done, len(l)); return nil }}, nil
}

// slowly is such a source at one batch in ten seconds.
type slowly struct{ batches }

func (s *slowly) Next(ctx context.Context, n int) (Batch, error) {
	time.Sleep(10 * time.Second)
	return s.batches.Next(ctx, n)
}

type letters struct {
	lines, reasons []string
	fails          int
}

func (l *letters) SetAside(lines []byte, reason string) error {
	if l.fails > 0 {
		l.fails--
		return errors.New("disk full")
	}
	l.lines, l.reasons = append(l.lines, string(lines)), append(l.reasons, reason)
	return nil
}

type harness struct {
	*fake
	*Writer
	src     *batches
	letters *letters
	reg     *prometheus.Registry
	log     bytes.Buffer
}

// send runs a writer over the lines in virtual time for so long.
func send(t *testing.T, d time.Duration, answer func(n int, lines []string) reply, change func(*WriterOptions, *harness), lines ...string) *harness {
	t.Helper()
	h := &harness{fake: &fake{start: time.Now(), answer: answer}, src: &batches{lines: lines}, letters: &letters{}, reg: prometheus.NewRegistry()}
	conn, err := NewConn(ConnOptions{URL: "http://influx.test", Org: "o", Bucket: "b", transport: h.fake})
	if err != nil {
		t.Fatal(err)
	}
	o := WriterOptions{Conn: conn, Lanes: []Lane{{"only", h.src}}, DeadLetters: h.letters, Registerer: h.reg, Random: func() float64 { return 0.5 },
		Logger: slog.New(slog.NewTextHandler(&h.log, nil))}
	if change != nil {
		change(&o, h)
	}
	if h.Writer, err = NewWriter(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := h.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
	return h
}

func (h *harness) want(t *testing.T, requests, done int, reason string, at ...time.Duration) {
	t.Helper()
	got := ""
	if cs := h.Conditions(); len(cs) > 0 {
		got = cs[0].Reason
	}
	if len(h.at) != requests || len(h.src.done) != done || got != reason {
		t.Errorf("%d requests, %d acknowledged, condition %q; want %d, %d, %q", len(h.at), len(h.src.done), got, requests, done, reason)
	}
	for i, w := range at {
		if i < len(h.at) && h.at[i].Round(10*time.Millisecond) != w {
			t.Errorf("requests at %v, want %v", h.at, at)
			break
		}
	}
}

func numbered(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "m v=%d 1\n", i)
	}
	return b.String()
}

// count returns a counter's sum over its labels that hold the value.
func (h *harness) metric(t *testing.T, name, label string) float64 {
	t.Helper()
	fs, err := h.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range fs {
		for _, m := range f.Metric {
			hit := label == ""
			for _, l := range m.Label {
				hit = hit || l.GetValue() == label
			}
			if f.GetName() == "plimsoll_influx_"+name && hit {
				sum += m.Counter.GetValue()
			}
		}
	}
	return sum
}

func always(code int, message string) func(int, []string) reply {
	return func(int, []string) reply { return reply{code: code, message: message} }
}

// after answers with the reply first, n times, and with 204 then.
func after(n int, r reply) func(int, []string) reply {
	return func(i int, _ []string) reply {
		if i < n {
			return r
		}
		return reply{code: 204}
	}
}

func TestBackOff(t *testing.T) {
	s := time.Second
	synctest.Test(t, func(t *testing.T) {
		// Half of 1, 2, 4, 8, 16, 32, 60, 60 s: full jitter with 0.5, then stored at once.
		h := send(t, 5*time.Minute, after(8, reply{err: errors.New("connection reset")}), nil, numbered(0, 3))
		h.want(t, 9, 1, "", 0, s/2, 3*s/2, 7*s/2, 15*s/2, 31*s/2, 63*s/2, 123*s/2, 183*s/2)
		if !strings.Contains(h.log.String(), "takes data again") || strings.Count(h.log.String(), "\n") != 2 {
			t.Errorf("log:\n%s", h.log.String())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		h := send(t, 5*time.Minute, after(1, reply{code: 429, header: http.Header{"Retry-After": {"17"}}}), nil, numbered(0, 3))
		h.want(t, 2, 1, "", 0, 17*s)
	})
	synctest.Test(t, func(t *testing.T) {
		date := time.Now().Add(42 * time.Second).UTC().Format(http.TimeFormat)
		h := send(t, 5*time.Minute, after(1, reply{code: 503, header: http.Header{"Retry-After": {date}}}), nil, numbered(0, 3))
		h.want(t, 2, 1, "", 0, 42*s)
	})
	synctest.Test(t, func(t *testing.T) { // no limit on attempts: twelve hours
		h := send(t, 12*time.Hour, always(500, "engine: cache-max-memory-size exceeded"), nil, numbered(0, 3))
		h.want(t, len(h.at), 0, ReasonBusy)
		if len(h.at) < 1300 || strings.Count(h.log.String(), "\n") != 1 {
			t.Errorf("%d requests in twelve hours, log\n%s", len(h.at), h.log.String())
		}
	})
}

func TestConfigurationFaults(t *testing.T) {
	s := time.Second
	for code, reason := range map[int]string{401: ReasonUnauthorized, 403: ReasonForbidden, 302: ReasonNotInflux, 405: ReasonNotInflux} {
		synctest.Test(t, func(t *testing.T) {
			h := send(t, 100*time.Second, always(code, "no"), nil, numbered(0, 3))
			h.want(t, 3, 0, reason, 0, 45*s, 90*s)
			if got := h.metric(t, "requests_total", classify(nil, time.Time{}).class.String()); got != 0 {
				t.Errorf("%v stored", got)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // from one fault to the next, and to none
		codes := []int{500, 401, 404, 204}
		h := send(t, 5*time.Minute, func(n int, _ []string) reply {
			return reply{code: codes[min(n, 3)], message: `bucket "b" not found`}
		}, nil, numbered(0, 3))
		h.want(t, 4, 1, "")
	})
	synctest.Test(t, func(t *testing.T) { // a web server that says 200 to everything has stored nothing
		h := send(t, 100*time.Second, always(200, "<html>welcome</html>"), nil, numbered(0, 3))
		h.want(t, 3, 0, ReasonNotInflux)
	})
	synctest.Test(t, func(t *testing.T) { // an old InfluxDB may say 200
		h := send(t, 100*time.Second, func(int, []string) reply {
			return reply{code: 200, header: http.Header{"X-Influxdb-Version": {"1.8.3"}}}
		}, nil, numbered(0, 3))
		h.want(t, 1, 1, "")
	})
}

// TestUnknownRefusal: a refusal that we do not know is about lines where others are accepted; where none are it is about something that a
// person can mend, and everything is kept.
func TestUnknownRefusal(t *testing.T) {
	first := func(code int) func(int, []string) reply {
		return func(_ int, lines []string) reply {
			if strings.Contains(strings.Join(lines, "\n"), "v=0 ") {
				return reply{code: code, message: "I'm a teapot"}
			}
			return reply{code: 204}
		}
	}
	synctest.Test(t, func(t *testing.T) { // tried for a while, then the line is set aside, and the rest goes on
		h := send(t, time.Hour, first(400), nil, numbered(0, 3), numbered(3, 6))
		if d := cmp.Diff([]string{numbered(0, 1)}, h.letters.lines); d != "" || len(h.stored) != 5 || len(h.src.done) != 2 {
			t.Errorf("%v %v\n%s", h.letters.reasons, h.stored, d)
		}
		if h.at[patience-1] < patience*40*time.Second-time.Minute {
			t.Errorf("given up after %v", h.at[patience-1])
		}
	})
	for _, code := range []int{400, 418, 407, 451} {
		synctest.Test(t, func(t *testing.T) { // the only line that there is; and an answer that is not about data: for ever
			h := send(t, 2*time.Hour, first(code), nil, numbered(0, 1), numbered(3, 6))
			h.want(t, len(h.at), 0, ReasonRefused)
			if len(h.letters.lines) != 0 || len(h.at) > 2*120+2*bisections*20 {
				t.Errorf("%d: dead %q, %d requests", code, h.letters.lines, len(h.at))
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // everything is refused for long, and goes on by itself then
		h := send(t, 5*time.Hour, func(n int, _ []string) reply {
			if n < 400 {
				return reply{code: 400, message: "the moon is full"}
			}
			return reply{code: 204}
		}, nil, numbered(0, 3000), numbered(3000, 6000))
		if len(h.stored) != 6000 || len(h.letters.lines) != 0 || len(h.src.done) != 2 || h.at[399] < 30*time.Minute {
			t.Errorf("%d stored, %d dead, %d requests, the last at %v", len(h.stored), len(h.letters.lines), len(h.at), h.at[len(h.at)-1])
		}
	})
	synctest.Test(t, func(t *testing.T) { // a server that goes away meanwhile has judged nothing
		h := send(t, 3*time.Hour, func(n int, lines []string) reply {
			switch {
			case n < patience || n == patience+1:
				return reply{code: 400, message: "I'm a teapot"}
			case n > patience+1 && n < patience+20:
				return reply{code: 503}
			}
			return reply{code: 204}
		}, nil, numbered(0, 4))
		if len(h.letters.lines) != 0 || len(h.src.done) != 1 {
			t.Errorf("dead %q, %d done", h.letters.lines, len(h.src.done))
		}
	})
	synctest.Test(t, func(t *testing.T) { // the other lane shows that the server is well
		h := send(t, time.Hour, first(400), func(o *WriterOptions, _ *harness) {
			o.Lanes = append(o.Lanes, Lane{"other", &slowly{batches{lines: strings.SplitAfter(numbered(10, 100), "\n")[:90]}}})
		}, numbered(0, 1), numbered(3, 6))
		if d := cmp.Diff([]string{numbered(0, 1)}, h.letters.lines); d != "" || len(h.src.done) != 2 {
			t.Errorf("%d done\n%s", len(h.src.done), d)
		}
	})
}

// TestLimit: what is refused for a limit that the operator has set is kept as after a 404, and the sentence names the setting.
func TestLimit(t *testing.T) {
	for message, word := range map[string]string{
		"partial write: max-series-per-database limit exceeded: (1000) dropped=953":                                         "its setting max-series-per-database",
		`partial write: max-values-per-tag limit exceeded (100/100): measurement="container" tag="pod" value="p" dropped=3`: "its setting max-values-per-tag",
		"Adding a new table would exceed limit of 2000 tables":                                                              "at a limit that its operator has set",
	} {
		synctest.Test(t, func(t *testing.T) {
			h := send(t, 2*time.Hour, always(400, message), nil, numbered(0, 3), numbered(3, 6))
			h.want(t, len(h.at), 0, ReasonLimit, 0, 45*time.Second, 90*time.Second)
			if c := h.Conditions(); len(h.letters.lines) != 0 || len(c) == 0 || !strings.Contains(c[0].Message, word) || !strings.Contains(c[0].Message, "stays queued") {
				t.Errorf("dead %q, %+v", h.letters.lines, c)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			h := send(t, time.Hour, after(20, reply{code: 400, message: message}), nil, numbered(0, 3), numbered(3, 6))
			h.want(t, 22, 2, "")
		})
	}
}

// TestOneLaneBlocked: a condition holds, since when it began, while one lane is blocked and the other goes on.
func TestOneLaneBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		h := send(t, 10*time.Minute, func(_ int, lines []string) reply {
			if strings.Contains(lines[0], "v=0 ") {
				return reply{code: 400, message: "partial write: max-series-per-database limit exceeded: (5) dropped=1"}
			}
			return reply{code: 204}
		}, func(o *WriterOptions, _ *harness) {
			o.Lanes = append(o.Lanes, Lane{"other", &slowly{batches{lines: strings.SplitAfter(numbered(10, 100), "\n")[:90]}}})
		}, numbered(0, 1))
		if c := h.Conditions(); len(c) != 1 || c[0].Reason != ReasonLimit || !c[0].Since.Equal(began) || len(h.stored) < 50 {
			t.Errorf("%d stored, %+v", len(h.stored), c)
		}
	})
	synctest.Test(t, func(t *testing.T) { // what is about the server is over when the other lane gets through
		h := send(t, 20*time.Second, after(1, reply{code: 404, message: `database not found: "b"`}), func(o *WriterOptions, _ *harness) {
			o.Lanes = append(o.Lanes, Lane{"other", &slowly{batches{lines: []string{numbered(1, 2)}}}})
		}, numbered(0, 1))
		h.want(t, 2, 0, "")
	})
}

func TestTooLarge(t *testing.T) {
	healed := false
	limit := func(_ int, lines []string) reply {
		if len(lines) > 700 || strings.Contains(lines[0], "v=9999 ") && !healed {
			return reply{code: 413}
		}
		return reply{code: 204}
	}
	batches := []string{numbered(0, 5000), numbered(5000, 9000), numbered(9999, 10000)}
	synctest.Test(t, func(t *testing.T) {
		h := send(t, time.Hour, limit, nil, batches...)
		if len(h.stored) != 9000 || len(h.src.done) != 2 || len(h.letters.lines) != 0 {
			t.Errorf("%d stored, %d done, dead %q", len(h.stored), len(h.src.done), h.letters.lines)
		}
		h.want(t, len(h.at), 2, ReasonTooLarge)
		if c := h.Conditions(); len(c) > 0 && !strings.Contains(c[0].Message, "max-body-size") {
			t.Errorf("got %q", c[0].Message)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		time.AfterFunc(time.Minute, func() { healed = true })
		h := send(t, time.Hour, limit, nil, batches...)
		h.want(t, len(h.at), 3, "")
		if got := h.metric(t, "requests_total", "too_large"); got > 20 {
			t.Errorf("%v requests were too large: the smaller size is not remembered", got)
		}
	})
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a server too slow for 5,000 lines gets fewer, and more again when it is faster
		h := send(t, 3*time.Hour, func(n int, lines []string) reply {
			return reply{code: 204, hang: len(lines) > 600 && n < 40}
		}, nil, func() []string {
			var out []string
			for i := range 50 {
				out = append(out, numbered(5000*i, 5000*i+5000))
			}
			return out
		}()...)
		if len(h.stored) != 250_000 || len(h.src.done) != 50 || h.sizes[len(h.sizes)-1] != 5000 {
			t.Errorf("%d stored, %d done, sizes %v", len(h.stored), len(h.src.done), h.sizes)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		h := send(t, time.Minute, func(int, []string) reply { return reply{hang: true} }, nil, numbered(0, 1))
		h.want(t, len(h.at), 0, ReasonTimeout)
		if len(h.at) < 3 || len(h.at) > 6 {
			t.Errorf("%d requests in a minute", len(h.at))
		}
	})
}

// TestRequestSizes: at most 5,000 lines and 1 MiB a request, a longer line by itself.
func TestRequestSizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := "m v=\"" + strings.Repeat("x", 600_000) + "\" 1\n"
		huge := "m v=\"" + strings.Repeat("y", 3<<20) + "\" 1\n"
		h := send(t, time.Minute, always(204, ""), nil, numbered(0, 12_000)+long+long+huge+numbered(12_000, 12_001)[:len(numbered(12_000, 12_001))-1])
		if d := cmp.Diff([]int{5000, 5000, 2001, 1, 1, 1}, h.sizes); d != "" || len(h.src.done) != 1 {
			t.Errorf("want -, got +:\n%s", d)
		}
	})
}

func TestDeadLettersFail(t *testing.T) {
	conflictOnce := func(_ int, lines []string) reply {
		return reply{code: 422, message: "partial write: field type conflict dropped=1"}
	}
	synctest.Test(t, func(t *testing.T) { // a disk that is full for a moment
		h := send(t, 5*time.Minute, conflictOnce, func(_ *WriterOptions, h *harness) { h.letters.fails = 3 }, numbered(0, 1))
		if len(h.letters.lines) != 1 || len(h.src.done) != 1 || h.metric(t, "lines_lost_total", "") != 0 {
			t.Errorf("dead %v, done %v", h.letters.lines, h.src.done)
		}
	})
	synctest.Test(t, func(t *testing.T) { // for good: counted and said, and the others go on
		h := send(t, 2*time.Minute, conflictOnce, func(_ *WriterOptions, h *harness) { h.letters.fails = 99 }, numbered(0, 1))
		if len(h.src.done) != 1 || h.metric(t, "lines_lost_total", "") != 1 {
			t.Errorf("done %v, lost %v", h.src.done, h.metric(t, "lines_lost_total", ""))
		}
		found := false
		for _, c := range h.Conditions() {
			found = found || c.Reason == ReasonLost
		}
		if !found {
			t.Errorf("got %+v", h.Conditions())
		}
	})
	synctest.Test(t, func(t *testing.T) { // conditions of what happened go by themselves
		h := send(t, 20*time.Minute, conflictOnce, nil, numbered(0, 1))
		if cs := h.Conditions(); len(cs) != 0 {
			t.Errorf("got %+v", cs)
		}
	})
}

// TestManyBadLines: the requests spent on finding bad lines are bounded, and nothing that can be kept is lost.
func TestManyBadLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := send(t, time.Minute, func(_ int, lines []string) reply {
			for _, l := range lines {
				n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(l, "m v="), " 1"))
				if err != nil || n%100 == 7 {
					return reply{code: 400, message: "unable to parse '" + l + "': no"}
				}
			}
			return reply{code: 204}
		}, nil, numbered(0, 5000))
		all := strings.Join(h.letters.lines, "") + strings.Join(h.stored, "\n")
		for i := range 5000 {
			if !strings.Contains(all+"\n", fmt.Sprintf("m v=%d 1\n", i)) {
				t.Fatalf("line %d is neither stored nor set aside", i)
			}
		}
		if len(h.at) > 2*bisections+2 || len(h.src.done) != 1 {
			t.Errorf("%d requests, %d done", len(h.at), len(h.src.done))
		}
	})
}

func TestQueueFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := send(t, time.Minute, always(204, ""), func(_ *WriterOptions, h *harness) { h.src.fails = 3 }, numbered(0, 3))
		h.want(t, 1, 1, "")
		if !strings.Contains(h.log.String(), "disk on fire") {
			t.Errorf("log:\n%s", h.log.String())
		}
	})
}

// TestStopped: a writer that is stopped in the middle of a wait acknowledges nothing and gives the batch back.
func TestStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := send(t, 10*time.Second, always(401, ""), nil, numbered(0, 3))
		h.want(t, 1, 0, ReasonUnauthorized)
	})
}

func TestJitterIsFull(t *testing.T) {
	var sum, low, high float64 = 0, math.Inf(1), 0
	s := &sender{w: &Writer{opts: WriterOptions{Random: rand.Float64}}, tries: 10}
	for range 10_000 {
		d := s.delay(answer{class: busy}).Seconds()
		sum, low, high = sum+d, min(low, d), max(high, d)
	}
	if mean := sum / 10_000; mean < 29 || mean > 31 || low > 1 || high < 59 || high > 60 {
		t.Errorf("mean %g, from %g to %g s; want 30, from 0 to 60", mean, low, high)
	}
	for range 1000 {
		if d := s.delay(answer{class: noBucket}); d < 30*time.Second || d > 60*time.Second {
			t.Fatalf("waits %v after a fault of the configuration", d)
		}
	}
}

func TestHalf(t *testing.T) {
	for _, lines := range []string{"a\nb\n", "a\nb", "aaaaaaaa\nb\n", "a\nbbbbbbbbbbbb\n", numbered(0, 7), "a\nb\nc"} {
		at := half([]byte(lines))
		if at <= 0 || at >= len(lines) || lines[at-1] != '\n' {
			t.Errorf("half(%q) = %d", lines, at)
		}
	}
	for _, one := range []string{"a\n", "a", "", "\n", strings.Repeat("x", 100) + "\n"} {
		if at := half([]byte(one)); at != 0 {
			t.Errorf("half(%q) = %d, want 0", one, at)
		}
	}
}

func TestWriterOptions(t *testing.T) {
	c, err := NewConn(ConnOptions{URL: "http://x", Bucket: "b"})
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]WriterOptions{
		"no connection": {Lanes: []Lane{{"a", &batches{}}}}, "no lane": {Conn: c}, "no source": {Conn: c, Lanes: []Lane{{Name: "a"}}},
		"negative": {Conn: c, Lanes: []Lane{{"a", &batches{}}}, Timeout: -1},
	} {
		if _, err := NewWriter(o); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
