package collector

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// killed is a Killer.
type killed map[*metric.Entity][]cluster.Kill

func (killed) Read(time.Time) ([]metric.Group, []metric.Gap)     { return nil, nil }
func (k killed) Killed() iter.Seq2[*metric.Entity, cluster.Kill] { return cluster.EachKill(k) }

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
		cgroup float64 // what it counts; below 0: there is none, and the container is told of all the same
		kills  string  // those that are told of: the life and the second of each
		want   float64 // below 0: no point
	}
	var none time.Time
	a, b, c, other, absent := of("1", "aa"), of("1", "bb"), of("1", "cc"), of("2", "dd"), &metric.Entity{Level: metric.Container, Node: "n", Namespace: "shop", Pod: "web", Container: "app"}
	younger := *absent
	docker := &metric.Entity{Level: metric.Container, Node: "n", Namespace: "docker", Pod: "db", Container: "db", ID: "/docker/1", Runtime: "docker"}
	again := &metric.Entity{Level: metric.Container, Node: "n", Namespace: "docker", Pod: "db", Container: "db", ID: "/docker/2", Runtime: "docker"}
	for _, story := range [][]read{
		{
			{0, "an old kill, of before the collector", a, at(-60), 0, "zz-61", 0},
			{10, "two processes beside the first", a, at(-60), 2, "zz-61", 2},
			{20, "the first is killed: a life later", b, at(15), 0, "aa14", 3},
			{30, "the same is told again", b, at(15), 0, "aa14", 3},
			{40, "it rests, and has no cgroup", b, none, -1, "bb35", 4},
			{50, "it rests yet", b, none, -1, "bb35", 4},
			{60, "it runs again", c, at(55), 0, "bb35", 4},
			{70, "another process, and its end, both seen", c, at(55), 1, "bb35", 5},
			{80, "another pod of its name", other, at(75), 0, "", 0},
		},
		{
			{0, "it runs", a, at(-60), 0, "", 0},
			{10, "its cgroup has counted the kill and stands yet, and the kubelet has not told of it", a, at(-60), 1, "", 1},
			{20, "now it has: that is the same", a, none, -1, "aa9", 1},
			{30, "the next life", b, at(25), 0, "aa9", 1},
			{40, "the kubelet has told of the kill, and the cgroup was read before it", b, at(25), 0, "aa9 bb39", 2},
			{50, "and has counted it", b, at(25), 1, "aa9 bb39", 2},
			{60, "of the next life no cgroup is read", b, none, -1, "aa9 bb39 cc55", 3},
			{70, "its end is told anew by another time", b, none, -1, "aa9 bb39 cc55 cc56", 3},
		},
		{
			{0, "it runs", a, at(-60), 0, "", 0},
			{10, "another process", a, at(-60), 1, "", 1},
			{20, "a calm while", a, at(-60), 1, "", 1},
			{30, "the first process, long after", a, none, -1, "aa25", 2},
			{40, "a life is begun when the end of the one before is not told yet", b, at(35), 1, "aa25", 3},
			{50, "and has ended, too", c, at(45), 0, "aa25 bb41", 3},
		},
		{
			{0, "it has no cgroup whenever it is looked at", absent, none, -1, "", -1},
			{10, "two lives have ended since: from 0", absent, none, -1, "aa3 bb5", 0},
			{20, "these are told", absent, none, -1, "aa3 bb5", 2},
			{30, "it has one, of the third life", c, at(25), 0, "aa3 bb5", 2},
			{40, "and had it", c, none, -1, "aa3 bb5 cc39", 3},
			{50, "another pod of its name, that has none", &younger, none, -1, "dd45", 0},
			{60, "that is one", &younger, none, -1, "dd45", 1},
			{70, "it has one now", other, at(65), 0, "dd45", 1},
		},
		{
			{0, "calm", a, at(-60), 0, "", 0},
			{10, "ended otherwise", b, at(5), 0, "", 0},
		},
		{
			{0, "nothing is known of its memory", a, at(-60), -1, "", -1},
			{10, "and yet it was killed: from 0", a, at(-60), -1, "aa5", 0},
			{20, "that is one", a, at(-60), -1, "aa5", 1},
		},
		{
			{10, "it has just begun, and was killed twice: from 0", a, at(5), 1, "zz4", 0},
			{20, "these are told", a, at(5), 1, "zz4", 2},
		},
		{
			{10, "it has run for long before the collector", a, at(-60), 3, "", 3},
			{20, "its end is no more than one", b, at(15), 0, "aa12", 4},
		},
		{
			{0, "Docker's have one path in all lives", docker, at(-60), 1, "", 1},
			{10, "started again after a kill", docker, at(8), 0, "7", 2},
			{20, "twice more, and the second was read", docker, at(15), 1, "7 12 19", 4},
			{30, "that is in the count", docker, at(21), 0, "7 12 19", 4},
			{40, "made anew under its name", again, at(38), 0, "", 0},
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
			for _, word := range strings.Fields(r.kills) {
				life := strings.TrimRight(word, "-0123456789")
				second, err := strconv.Atoi(word[len(life):])
				if err != nil {
					t.Fatal(err)
				}
				x[r.e] = append(x[r.e], cluster.Kill{Life: life, At: at(second)})
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

// TestKillsOfMany: however many lives a container has had, each kill is counted once, and what is kept of it does not grow.
func TestKillsOfMany(t *testing.T) {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var k kills
	k.add(&metric.Batch{}, began, nil)
	e := &metric.Entity{Level: metric.Container, Node: "n", Namespace: "shop", Pod: "web", Container: "app", ID: "/kubepods/pod1/x", Runtime: "containerd"}
	var told []cluster.Kill
	for n := range 100 {
		now := began.Add(time.Duration(n+1) * 10 * time.Second)
		told = cluster.With(told, []cluster.Kill{{Life: fmt.Sprintf("life-%d-", n), At: now.Add(-5 * time.Second)}})
		b := &metric.Batch{Groups: []metric.Group{{Entity: e, Points: []metric.Point{{ID: metric.Restarts, V: float64(n)}}}}}
		k.add(b, now, []Extra{killed{e: told}})
		if got := b.Groups[0].Points[1].V; n > 0 && got != float64(n+1) {
			t.Fatalf("after %d kills: %v", n+1, got)
		}
	}
	if lives := len(k.by[keyOf(e)].lives); lives > keepLives || len(told) != cluster.MostKills {
		t.Errorf("%d lives are kept, and %d kills", lives, len(told))
	}
}
