package live

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// machineOf is a machine with three containers, and makes its batches: memory of 1000 and of 100 each, and 4 cores.
func machineOf(name string) func(s float64, full bool) *metric.Batch {
	n := node(name)
	var all []*metric.Entity
	for i := range 3 {
		all = append(all, &metric.Entity{Level: metric.Container, Node: name, Namespace: "demo", WorkloadKind: "Docker", Workload: fmt.Sprint(name, i),
			Pod: fmt.Sprint("w", i), Container: "c", ID: fmt.Sprint("/docker/", i), Runtime: "docker"})
	}
	return func(s float64, full bool) *metric.Batch {
		b := &metric.Batch{Node: name, Time: sec(s), Fast: !full, Groups: []metric.Group{cpu(n, sec(s), s, 1000)}}
		if full {
			b.Groups[0].Points = append(b.Groups[0].Points, metric.Point{ID: metric.CPUCapacity, T: sec(s).UnixMilli(), V: 4})
		}
		for _, e := range all {
			b.Groups = append(b.Groups, cpu(e, sec(s), s/4, 100))
		}
		return b
	}
}

// TestSilentMachine kills one of two collectors at second 30. What is on its machine is silent with it, with one reason, for as long as it is
// remembered, and is in no sum, neither now nor in the history.
func TestSilentMachine(t *testing.T) {
	p := newPicture(t, Options{})
	alive, dead := machineOf("alive"), machineOf("dead")
	for i := range 150 {
		s := float64(i)
		for _, m := range []struct {
			batch func(float64, bool) *metric.Batch
			until float64
		}{{alive, 150}, {dead, 30}} {
			if s > m.until {
				continue
			}
			if i%10 == 0 {
				apply(t, p, m.batch(s, true))
			}
			apply(t, p, m.batch(s+0.5, false))
		}
		snap := p.Snapshot(sec(s + 0.6))
		checkSnapshot(t, snap)
		silent := s >= 42
		if n := snap.Nodes[1]; n.Silent() != silent || silent && (n.Gap.Detail == "" || !n.Gap.Since.Equal(sec(30.5))) || (n.Gap != nil) != (s >= 35) {
			t.Fatalf("second %d: the dead machine has gap %+v", i, n.Gap)
		}
		if n := snap.Nodes[0]; n.Gap != nil {
			t.Fatalf("second %d: the other machine has gap %+v", i, n.Gap)
		}
		for _, it := range slices.Concat(snap.Containers, snap.Pods, snap.Workloads) {
			on := it.Entity.Node
			if it.Entity.Level == metric.Workload {
				on = it.Items[0].Entity.Node
			}
			if it.Silent() != (silent && on == "dead") || it.Silent() && !it.Gap.Since.Equal(sec(30.5)) {
				t.Fatalf("second %d: %v on %q has gap %+v", i, it.Entity, on, it.Gap)
			}
		}
		rolled := p.RollUp(sec(s + 0.6))
		if !silent {
			continue
		}
		for _, g := range rolled.Groups {
			if on := g.Entity.Node; on == "dead" || g.Entity.Level == metric.Workload && g.Entity.Workload[:1] == "d" {
				t.Fatalf("second %d: the history gets %d points of the silent %v", i, len(g.Points), g.Entity)
			}
		}
		for name, f := range map[string]struct {
			it   *Item
			id   metric.ID
			want float64
		}{
			"the cluster's cores": {snap.Cluster, metric.CPUCapacity, 4}, "the cluster's memory": {snap.Cluster, metric.MemoryWorkingSet, 1000},
			"the namespace's memory": {only(t, snap.Namespaces), metric.MemoryWorkingSet, 300},
		} {
			if got, _ := f.it.Gauge(f.id); got != f.want {
				t.Fatalf("second %d: %s: got %g, want %g", i, name, got, f.want)
			}
		}
		wantGap(t, snap.Cluster, metric.GapMember)
	}
}

// TestSilentMachineOfContainers: a machine of which only containers are sent, as other agents do by remote write, falls silent like any other, by
// one lane or both: with all that was on it, for as long as a machine is remembered, and it is back with its next batch.
func TestSilentMachineOfContainers(t *testing.T) {
	for _, lanes := range []string{"slow", "both"} {
		t.Run(lanes, func(t *testing.T) {
			p := newPicture(t, Options{})
			alive, dead := machineOf("alive"), machineOf("dead")
			only := func(b *metric.Batch) *metric.Batch {
				b.Groups = b.Groups[1:]
				return b
			}
			silentFrom, last, every := 75.0, 30.0, 15 // three intervals
			if lanes == "both" {
				silentFrom, last, every = 42, 30.5, 10
			}
			for i := 0; i < 3700; i++ {
				s := float64(i)
				for name, batch := range map[string]func(float64, bool) *metric.Batch{"alive": alive, "dead": dead} {
					if s > 30 && s < 3690 && name == "dead" {
						continue
					}
					if i%every == 0 {
						apply(t, p, only(batch(s, true)))
					}
					if lanes == "both" {
						apply(t, p, only(batch(s+0.5, false)))
					}
				}
				if i > 300 && i%60 != 1 {
					continue
				}
				now := sec(s + 0.6)
				snap := p.Snapshot(now)
				checkSnapshot(t, snap)
				if i == 3661 { // an hour
					if len(snap.Nodes) != 1 {
						t.Fatalf("second %d: a machine is not forgotten: %d", i, len(snap.Nodes))
					}
					continue
				}
				if len(snap.Nodes) != 2 {
					t.Fatalf("second %d: there are %d machines", i, len(snap.Nodes))
				}
				silent := s >= silentFrom && s < 3690
				if n := snap.Nodes[1]; n.Silent() != silent || silent && (n.Gap.Detail == "" || !n.Gap.Since.Equal(sec(last))) {
					t.Fatalf("second %d: the dead machine has gap %+v", i, n.Gap)
				}
				if n := snap.Nodes[0]; n.Gap != nil && n.Gap.Reason != metric.GapStarting {
					t.Fatalf("second %d: the other machine has gap %+v", i, n.Gap)
				}
				for _, it := range slices.Concat(snap.Containers, snap.Pods) {
					if it.Silent() != (silent && it.Entity.Node == "dead") {
						t.Fatalf("second %d: %v on %q has gap %+v", i, it.Entity, it.Entity.Node, it.Gap)
					}
				}
			}
		})
	}
}

// TestEndedIsNotSilent: a machine whose containers have ended, as it says itself, is not silent; of nothing more will it speak.
func TestEndedIsNotSilent(t *testing.T) {
	p := newPicture(t, Options{})
	m := machineOf("m")
	for i := range 3 {
		b := m(float64(i), false)
		b.Groups = b.Groups[1:]
		apply(t, p, b)
	}
	b := m(3, false)
	for _, g := range b.Groups[1:] {
		b.Gaps = append(b.Gaps, metric.Gap{Entity: g.Entity, Reason: metric.GapGone})
	}
	b.Groups = nil
	apply(t, p, b)
	for i := 3; i < 600; i++ {
		for _, n := range p.Snapshot(sec(float64(i))).Nodes {
			if n.Silent() {
				t.Fatalf("second %d: %+v", i, n.Gap)
			}
		}
	}
}

// What ran on a machine that is silent is forgotten after two minutes. The sums that it was in say that they lack it for as long as the machine is remembered, and is not heard;
// where somebody knows which machines and pods there are, they need not.
func TestSumsLackWhatWasForgottenInSilence(t *testing.T) {
	for _, known := range []bool{false, true} {
		o := Options{}
		if known {
			o.Nodes = func() []*cluster.Node { return nil }
		}
		p := newPicture(t, o)
		for s := 0.0; s <= 400; s++ {
			for _, m := range []string{"a", "b", "kk"} {
				if m != "kk" || s <= 20 || s >= 380 {
					b := busy(m, s, true)
					if m == "kk" { // and one that is there alone
						alone := *b.Groups[1].Entity
						alone.Workload, alone.Pod, alone.ID = "alone", "alone", "/alone"
						b.Groups = append(b.Groups, cpu(&alone, sec(s), s, 1))
					}
					apply(t, p, b)
				}
			}
			if s < 2 {
				continue
			}
			snap := p.Snapshot(sec(s))
			for _, it := range []*Item{snap.Workloads[len(snap.Workloads)-1], only(t, snap.Namespaces)} {
				missing, text := 0, ""
				switch workload := it.Entity.Level == metric.Workload; {
				case s < 26 || s > 380 || known && s > 145:
				case s > 145 && workload:
					missing, text = 1, `1 of 3: on machine "kk", which is silent: no sample for `
				case s > 145: // the one that lacks some, and the one that is gone
					missing = 2
				default:
					continue // as before
				}
				if s > 140 && s <= 145 || s == 380 {
					continue
				}
				if it.Missing != missing || (it.Gap != nil) != (missing > 0) || missing > 0 && (it.Lacks.And(&essential) != essential || !strings.HasPrefix(it.Gap.Detail, text)) {
					t.Fatalf("second %v, known %v: %v lacks %d, %+v; want %d", s, known, it.Entity, it.Missing, it.Gap, missing)
				}
			}
		}
	}
}
