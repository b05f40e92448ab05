package live

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// FuzzApply turns bytes into batches, well formed or not at all.
func FuzzApply(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("one two three four five six seven eight nine ten"))
	f.Add(binary.LittleEndian.AppendUint64([]byte{1, 0, 1, 2, 3, 0, 0}, math.Float64bits(math.Inf(-1))))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := newPicture(t, Options{})
		p.limits.entities, p.limits.series = 20, 10
		r := &bytesReader{data: data}
		now := t0
		var entities []*metric.Entity
		for len(r.data) > 0 {
			b := &metric.Batch{Node: r.name("n"), Fast: r.byte()&1 == 0, Time: r.time(now)}
			for range r.byte() % 4 {
				if k := int(r.byte()); k >= len(entities) {
					entities = append(entities, &metric.Entity{Level: metric.Level(r.byte() % 8), Node: r.name("n"), Namespace: r.name("s"), Workload: r.name("w"),
						WorkloadKind: r.name("k"), Pod: r.name("p"), Container: r.name("c"), ID: r.name("/kubepods")})
				}
				g := metric.Group{Start: r.time(now)}
				if k := int(r.byte()) % (len(entities) + 1); k < len(entities) {
					g.Entity = entities[k]
				}
				for range r.byte() % 4 {
					g.Points = append(g.Points, metric.Point{ID: metric.ID(r.byte()), Sub: r.name("x"), T: r.time(now).UnixMilli(), V: math.Float64frombits(r.uint64())})
				}
				b.Groups = append(b.Groups, g)
				if r.byte() == 7 {
					b.Gaps = append(b.Gaps, metric.Gap{Entity: g.Entity, Reason: r.name("r")})
				}
			}
			if err := p.Apply(b); err != nil {
				t.Fatal(err)
			}
			now = now.Add(time.Duration(r.byte()) * 100 * time.Millisecond)
			s := p.Snapshot(now)
			for _, list := range [][]*Item{s.Containers, s.Pods, s.Workloads, s.Namespaces, s.Nodes, s.Pools, {s.Cluster}} {
				for _, it := range list {
					for _, v := range it.List() {
						if v.Rate < 0 || math.IsNaN(v.Rate) {
							t.Fatalf("%v: %+v", it.Entity, v)
						}
					}
				}
			}
			usageOf(p, now, "s1", "k1", "w1", metric.ID(r.byte()), time.Duration(r.byte())*time.Second)
			if r.byte()&7 == 0 {
				p.RollUp(now)
			}
			checkIndexes(t, p)
		}
	})
}

// bytesReader deals out the fuzzer's bytes; zeros after the end.
type bytesReader struct{ data []byte }

func (r *bytesReader) byte() byte {
	if len(r.data) == 0 {
		return 0
	}
	b := r.data[0]
	r.data = r.data[1:]
	return b
}

func (r *bytesReader) uint64() uint64 {
	var x uint64
	for range 8 {
		x = x<<8 | uint64(r.byte())
	}
	return x
}

func (r *bytesReader) name(prefix string) string {
	if b := r.byte() % 4; b > 0 {
		return fmt.Sprint(prefix, b)
	}
	return ""
}

func (r *bytesReader) time(now time.Time) time.Time {
	switch b := r.byte(); b {
	case 0:
		return time.Time{}
	case 1:
		return time.Unix(int64(r.uint64()), 0)
	default:
		return now.Add(time.Duration(int(b)-200) * 50 * time.Millisecond)
	}
}
