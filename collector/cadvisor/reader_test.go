package cadvisor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// leaves is a Namer that measures the cgroups that the test made.
type leaves struct {
	prefix string
	known  map[string]*metric.Entity
}

func (l *leaves) Name(path string) (*metric.Entity, bool) {
	if !strings.HasPrefix(path, l.prefix+"/") {
		return nil, false
	}
	e, ok := l.known[path]
	if !ok {
		e = &metric.Entity{Level: metric.Container, ID: path, Pod: filepath.Base(path), Runtime: "cgroup"}
		l.known[path] = e
	}
	return e, true
}

func newReader(t *testing.T, prefix string) *Reader {
	t.Helper()
	r, err := New(Options{Node: "n1", Namer: &leaves{prefix, map[string]*metric.Entity{}}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// value finds a value of a group; it fails if the row is missing.
func value(t *testing.T, g *metric.Group, id metric.ID) float64 {
	t.Helper()
	sum, found := 0.0, false
	for _, p := range g.Points {
		if p.ID == id {
			sum, found = sum+p.V, true
		}
	}
	if !found {
		t.Errorf("%v has no row %q", g.Entity, metric.Get(id).Name)
	}
	return sum
}

func group(b *metric.Batch, id string) *metric.Group {
	for i := range b.Groups {
		if b.Groups[i].Entity.ID == id {
			return &b.Groups[i]
		}
	}
	return nil
}

func TestNodeValues(t *testing.T) {
	r := newReader(t, "/none")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	for end := time.Now().Add(10 * time.Second); r.disks.Load() == nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	b := r.Read(time.Now())
	g := group(b, "/")
	if g == nil {
		t.Fatal("the batch has no node")
	}
	if len(b.Gaps) > 0 {
		t.Errorf("gaps: %+v", b.Gaps)
	}
	for _, p := range g.Points {
		if !metric.Get(p.ID).Has(metric.Node) {
			t.Errorf("row %q is not of a node", metric.Get(p.ID).Name)
		}
		t.Logf("%-60s %-12s %v", metric.Get(p.ID).At(metric.Node), p.Sub, p.V)
	}
	capacity := value(t, g, metric.MemoryCapacity)
	for _, c := range []struct {
		id        metric.ID
		low, high float64
	}{
		{metric.CPUCapacity, 1, 4096},
		{metric.MemoryCapacity, 64 << 20, 1 << 46},
		{metric.MemoryUsage, 1 << 20, capacity},
		{metric.MemoryWorkingSet, 1 << 20, capacity},
		{metric.CPUUsage, 0.1, 1e9},
		{metric.LoadAverage1m, 0, 1e5},
		{metric.Processes, 1, 1e6},
		{metric.StartTime, 1e9, float64(time.Now().Unix())},
		{metric.FilesystemLimit, 1 << 20, 1 << 50},
		{metric.FilesystemUsage, 1 << 10, value(t, g, metric.FilesystemLimit)},
		{metric.DiskWrite, 1, 1 << 50},
	} {
		if got := value(t, g, c.id); got < c.low || got > c.high {
			t.Errorf("%s is %v, want between %v and %v", metric.Get(c.id).Name, got, c.low, c.high)
		}
	}
	if os.Getpid() > 0 && g.Start.IsZero() {
		t.Error("the node has no start time")
	}
}
