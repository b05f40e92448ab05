package influx_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/influx"
	"plimsoll.dev/plimsoll/internal/store/storetest"
	"plimsoll.dev/plimsoll/test/influx/influxtest"
)

// history is a store without a queue: what is appended is on the server when Append returns.
type history struct {
	*influx.Reader
	adds   *influx.Reader // has the server add up whatever there is
	conn   *influx.Conn
	server *influxtest.Server
	bucket string
	closed atomic.Bool

	mu  sync.Mutex
	enc *influx.Encoder
}

// newHistory sets an own bucket up.
func newHistory(t *testing.T, s *influxtest.Server, bucket string) *history {
	t.Helper()
	if _, _, err := newSetup(t, influx.SetupOptions{Conn: s.Conn(bucket)}).Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	return historyIn(t, s, bucket)
}

// bare is a history without roll-ups.
func bare(t *testing.T, s *influxtest.Server, bucket string) *history {
	t.Helper()
	if s.Major == 1 {
		s.Query("", "CREATE DATABASE "+bucket)
		return historyIn(t, s, bucket)
	}
	var orgs struct{ Orgs []struct{ ID string } }
	s.JSON("GET", "/api/v2/orgs?org="+s.Org, nil, &orgs)
	s.JSON("POST", "/api/v2/buckets", map[string]any{"name": bucket, "orgID": orgs.Orgs[0].ID}, nil)
	return historyIn(t, s, bucket)
}

// historyIn is a history in a bucket that is there.
func historyIn(t *testing.T, s *influxtest.Server, bucket string) *history {
	t.Helper()
	conn := s.Conn(bucket)
	r, err := influx.NewReader(influx.ReaderOptions{Conn: conn, Timeout: 5 * time.Minute}) // on a machine that is busy with other things
	if err != nil {
		t.Fatal(err)
	}
	adds, err := influx.NewReader(influx.ReaderOptions{Conn: conn, Timeout: 5 * time.Minute, MaxSamples: -1})
	if err != nil {
		t.Fatal(err)
	}
	enc, err := influx.NewEncoder(influx.EncoderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h := &history{Reader: r, adds: adds, conn: conn, server: s, bucket: bucket, enc: enc}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// ways are the two in which answers are made that depend on who was there when: of the samples, which is exact, and by the server, of more.
func (h *history) ways() map[string]*influx.Reader {
	return map[string]*influx.Reader{"samples": h.Reader, "server": h.adds}
}

func (h *history) Append(ctx context.Context, b *metric.Batch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	lines, _ := h.enc.Encode(nil, b, time.Now())
	return h.write(ctx, lines)
}

func (h *history) AppendDecision(ctx context.Context, d cluster.Decision) error {
	lines, err := influx.EncodeDecision(nil, "", d)
	if err != nil {
		return err
	}
	return h.write(ctx, lines)
}

func (h *history) write(ctx context.Context, lines []byte) error {
	if h.closed.Load() {
		return store.ErrClosed
	}
	if err := ctx.Err(); err != nil || len(lines) == 0 {
		return err
	}
	at := h.conn.Endpoint("api/v2/write", url.Values{"org": {h.server.Org}, "bucket": {h.bucket}, "precision": {"ms"}})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(lines))
	if err != nil {
		return err
	}
	resp, err := h.conn.HTTP().Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusNoContent {
		b, err := io.ReadAll(resp.Body)
		return fmt.Errorf("%s: %s %w", resp.Status, b, err)
	}
	return nil
}

func (h *history) Close() error {
	h.closed.Store(true)
	return h.Reader.Close()
}

// TestAcceptance runs the contract of the history on real servers. What InfluxDB cannot do is declared: the rows of an interface or
// a device are summed in schema v1.
func TestAcceptance(t *testing.T) {
	both(t, func(t *testing.T, s *influxtest.Server) {
		n := 0
		open := func(t *testing.T) *history {
			n++
			return newHistory(t, s, fmt.Sprintf("acceptance%d", n))
		}
		t.Run("samples", func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) store.Store { return open(t) }, storetest.Options{SubSummed: true, Rate: 0.015})
		})
		t.Run("server", func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) store.Store {
				h := open(t)
				h.Reader = h.adds
				return h
			}, storetest.Options{SubSummed: true})
		})
	})
}
