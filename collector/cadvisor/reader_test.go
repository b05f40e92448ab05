package cadvisor

import (
	"path/filepath"
	"strings"
	"testing"

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
	if l.known == nil {
		l.known = map[string]*metric.Entity{}
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
