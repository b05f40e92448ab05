package collector

import (
	"iter"
	"maps"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// killed is a Killer.
type killed map[*metric.Entity]time.Time

func (killed) Read(time.Time) ([]metric.Group, []metric.Gap)  { return nil, nil }
func (k killed) Killed() iter.Seq2[*metric.Entity, time.Time] { return maps.All(k) }

// TestKills counts over lives: what each cgroup has counted, and the kill with which the cgroup went.
func TestKills(t *testing.T) {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	of := func(pod, id string) *metric.Entity {
		return &metric.Entity{Level: metric.Container, Node: "n", Namespace: "shop", Pod: "web", Container: "app", ID: "/kubepods/pod" + pod + "/" + id, Runtime: "containerd"}
	}
	type read struct {
		second int
		what   string
		e      *metric.Entity
		start  time.Time
		cgroup float64   // what it counts; below 0: there is none, and the container is told of all the same
		ended  time.Time // the kill that the kubelet tells of
		want   float64   // below 0: no point
	}
	a, b, c, other, absent := of("1", "a"), of("1", "b"), of("1", "c"), of("2", "d"), &metric.Entity{Level: metric.Container, Node: "n", Namespace: "shop", Pod: "web", Container: "app"}
	docker := &metric.Entity{Level: metric.Container, Node: "n", Namespace: "docker", Pod: "db", Container: "db", ID: "/docker/1", Runtime: "docker"}
	again := &metric.Entity{Level: metric.Container, Node: "n", Namespace: "docker", Pod: "db", Container: "db", ID: "/docker/2", Runtime: "docker"}
	for _, story := range [][]read{
		{
			{0, "an old kill, of before the collector", a, at(-60), 0, at(-61), 0},
			{10, "two processes beside the first", a, at(-60), 2, at(-61), 2},
			{20, "the first is killed: a life later", b, at(15), 0, at(14), 3},
			{30, "the same is told again", b, at(15), 0, at(14), 3},
			{40, "it rests, and has no cgroup", b, time.Time{}, -1, at(35), 4},
			{50, "it rests yet", b, time.Time{}, -1, at(35), 4},
			{60, "it runs again", c, at(55), 0, at(35), 4},
			{70, "another process, and its end, both seen", c, at(55), 1, at(35), 5},
			{80, "another pod of its name", other, at(75), 0, time.Time{}, 0},
		},
		{
			{0, "calm", a, at(-60), 0, time.Time{}, 0},
			{10, "ended otherwise", b, at(5), 0, time.Time{}, 0},
		},
		{
			{0, "nothing is known of its memory", a, at(-60), -1, time.Time{}, -1},
			{10, "and yet it was killed: from 0", a, at(-60), -1, at(5), 0},
			{20, "that is one", a, at(-60), -1, at(5), 1},
		},
		{
			{0, "it is seen for the first time without a cgroup", absent, time.Time{}, -1, time.Time{}, -1},
			{10, "its end is told: from 0", absent, time.Time{}, -1, at(9), 0},
			{20, "it has one", a, at(15), 0, at(9), 0},
			{30, "that is told", a, at(15), 0, at(9), 1},
		},
		{
			{10, "it has just begun, and was killed twice: from 0", a, at(5), 1, at(4), 0},
			{20, "these are told", a, at(5), 1, at(4), 2},
		},
		{
			{10, "it has run for long before the collector", a, at(-60), 3, time.Time{}, 3},
		},
		{
			{0, "Docker's have one path in all lives", docker, at(-60), 1, time.Time{}, 1},
			{10, "started again after a kill", docker, at(8), 0, at(7), 2},
			{20, "made anew under its name", again, at(18), 0, time.Time{}, 0},
		},
	} {
		var k kills
		k.add(&metric.Batch{}, began, nil)
		for _, r := range story {
			g := metric.Group{Entity: r.e, Start: r.start, Points: []metric.Point{{ID: metric.Restarts, T: at(r.second).UnixMilli()}}}
			if r.cgroup >= 0 {
				g.Points = append(g.Points, metric.Point{ID: metric.OOMKills, T: at(r.second).UnixMilli(), V: r.cgroup})
			}
			node := metric.Group{Entity: &metric.Entity{Level: metric.Node, Node: "n"}, Points: []metric.Point{{ID: metric.OOMKills, V: 7}}}
			x := killed{}
			if !r.ended.IsZero() {
				x[r.e] = r.ended
			}
			batch := &metric.Batch{Groups: []metric.Group{node, g}}
			k.add(batch, at(r.second), []Extra{x})
			got := -1.0
			for _, p := range batch.Groups[1].Points {
				if p.ID == metric.OOMKills {
					got = p.V
				}
			}
			if got != r.want || batch.Groups[0].Points[0].V != 7 {
				t.Errorf("%s: got %v, want %v; the machine's %v", r.what, got, r.want, batch.Groups[0].Points[0].V)
			}
		}
		if k.add(&metric.Batch{}, at(80).Add(keepKills+time.Second), nil); len(k.by) != 0 {
			t.Errorf("%d are kept of what is not there any more", len(k.by))
		}
	}
}
