package influx_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/store/influx"
)

// once is a source of one batch.
type once struct {
	lines []byte
	sent  bool
	done  chan struct{}
}

func (o *once) Next(ctx context.Context, _ int) (influx.Batch, error) {
	if !o.sent {
		o.sent = true
		return influx.Batch{Lines: o.lines, Done: func() error { close(o.done); return nil }}, nil
	}
	<-ctx.Done()
	return influx.Batch{}, ctx.Err()
}

// dead keeps dead letters.
type dead struct {
	mu      sync.Mutex
	letters []string
	reasons []string
}

func (d *dead) SetAside(lines []byte, reason string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.letters = append(d.letters, string(lines))
	d.reasons = append(d.reasons, reason)
	return nil
}

// written is what became of lines.
type written struct {
	done       bool // acknowledged
	conditions []condition.Condition
	dead       dead
	log        bytes.Buffer
	reg        *prometheus.Registry
}

// write sends lines until they are acknowledged or the writer is blocked.
func write(t testing.TB, c *influx.Conn, change func(o *influx.WriterOptions), lines string) *written {
	t.Helper()
	out := &written{reg: prometheus.NewRegistry()}
	src := &once{lines: []byte(lines), done: make(chan struct{})}
	o := influx.WriterOptions{Conn: c, Lanes: []influx.Lane{{Name: "fresh", Source: src}}, DeadLetters: &out.dead,
		Logger: slog.New(slog.NewTextHandler(&out.log, nil)), Registerer: out.reg}
	if change != nil {
		change(&o)
	}
	w, err := influx.NewWriter(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	end := make(chan error, 1)
	go func() { end <- w.Run(ctx) }()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		select {
		case <-src.done:
			out.done = true
		case <-time.After(20 * time.Millisecond):
		}
		out.conditions = w.Conditions()
		if out.done || len(out.conditions) > 0 && blocks(out.conditions[0].Reason) {
			break
		}
		if time.Now().After(deadline) {
			t.Error("neither acknowledged nor blocked within two minutes")
			break
		}
	}
	cancel()
	if err := <-end; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	return out
}

// blocks says whether nothing is sent for such a reason.
func blocks(reason string) bool {
	return reason != influx.ReasonSetAside && reason != influx.ReasonBeyond && reason != influx.ReasonLost
}

func (w *written) reason() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return w.conditions[0].Reason
}

func line(i int) string {
	return fmt.Sprintf("container,container=c%d,namespace=d memory_usage_bytes=%d %d\n", i, i, 1_700_000_000_000+i)
}
func lines(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(line(i))
	}
	return b.String()
}

// onceQueue is a source of one batch that tells when it was acknowledged.
type onceQueue struct{ once }

func newQueue(lines string) *onceQueue {
	return &onceQueue{once{lines: []byte(lines), done: make(chan struct{})}}
}

func (q *onceQueue) wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-q.done:
	case <-time.After(d):
		t.Fatalf("not acknowledged within %v", d)
	}
}

// runWriter runs a writer until the returned function is called.
func runWriter(t *testing.T, c *influx.Conn, src influx.Source) (stop func()) {
	t.Helper()
	w, err := influx.NewWriter(influx.WriterOptions{Conn: c, Lanes: []influx.Lane{{Name: "fresh", Source: src}}})
	if err != nil {
		t.Fatal(err)
	}
	return runs(t, w)
}
