package tsdb

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/storetest"
)

// TestFileTooBig takes a file that may not grow for a full disk: no data is accepted, and it is counted and said as one.
func TestFileTooBig(t *testing.T) {
	limit := storetest.SmallFiles(t, 100)
	if limit == nil {
		return
	}
	reg := prometheus.NewRegistry()
	db := mustOpen(t, Options{minFree: -1, Registerer: reg})
	k := newTicker(t, 20)
	must(t, k.tick(db))
	limit()
	err := db.AppendDecision(context.Background(), cluster.Decision{Time: time.Unix(1, 0), Message: strings.Repeat("x", 1000)})
	if !errors.Is(err, unix.EFBIG) || !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("AppendDecision: got error %v, want EFBIG and ErrReadOnly", err)
	}
	if err := k.tick(db); !errors.Is(err, unix.EFBIG) || !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("Append: got error %v, want EFBIG and ErrReadOnly", err)
	}
	if h := db.Health(); h.OK() || h.Reason != ReasonWriteFailed || !strings.Contains(h.Message, "make room") {
		t.Errorf("Health: got %+v, want WriteFailed and what to do", h)
	}
	if n := db.met.errors.WithLabelValues(classFull); testutil.ToFloat64(n) != 2 {
		t.Errorf("got %g errors of a full disk, want 2", testutil.ToFloat64(n))
	}
}
