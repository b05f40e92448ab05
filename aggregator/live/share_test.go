package live

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"plimsoll.dev/plimsoll/internal/metric"
)

// crowd is a fast batch of n containers of a machine, whose entities are made by make.
func crowd(sender, node string, at time.Time, n int, entity func(int) *metric.Entity) *metric.Batch {
	b := &metric.Batch{Node: node, Sender: sender, Time: at, Fast: true}
	for i := range n {
		b.Groups = append(b.Groups, cpu(entity(i), at, 1, 100))
	}
	return b
}

// names gives the containers of a machine entities that stay the same.
func names(node string) func(int) *metric.Entity {
	known := map[int]*metric.Entity{}
	return func(i int) *metric.Entity {
		if known[i] == nil {
			known[i] = &metric.Entity{Level: metric.Container, Node: node, Namespace: "shop", WorkloadKind: "Docker", Workload: fmt.Sprint("w", i),
				Pod: fmt.Sprint(node, "-", i), Container: "c", ID: fmt.Sprint("/docker/", node, i), Runtime: "docker"}
		}
		return known[i]
	}
}

// TestFullTableBlindsNobody fills the table with containers that are made up, by one machine's name and by many, and then lets a machine send
// for the first time, from elsewhere and from the same address, and this machine itself: all of theirs are shown. Who has filled the
// table is told, and the page as well.
func TestFullTableBlindsNobody(t *testing.T) {
	for name, forge := range map[string]func(k int) (node string, n int){
		"one machine":           func(int) (string, int) { return "made-up", 2500 },
		"machines of a hundred": func(k int) (string, int) { return fmt.Sprint("made-up-", k), 100 },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPicture(t, Options{})
			p.limits.entities = 2000
			var full *metric.TooMany
			told := false
			for k := range 25 {
				n, count := forge(k)
				err := p.Apply(crowd("10.0.0.66", n, sec(float64(k)), count, names(n)))
				told = told || errors.As(err, &full) && full.Samples > 0
			}
			if !told {
				t.Error("whoever filled the table was not told")
			}
			all := p.Conditions(sec(30))
			if len(all) != 1 || all[0].Type != "PictureWhole" || all[0].Reason != Full || all[0].OK() || !strings.Contains(all[0].Message, `most of them "10.0.0.66", which has 2000, and of these `) ||
				!strings.Contains(all[0].Message, "--memory") {
				t.Errorf("conditions %+v", all)
			}
			for k, f := range []struct{ sender, node string }{{"10.0.0.1", "new"}, {"10.0.0.66", "neighbour"}, {"", "own"}} {
				of, from := names(f.node), 30+5*k
				for s := from; s < from+3; s++ {
					if err := p.Apply(crowd(f.sender, f.node, sec(float64(s)), 50, of)); err != nil {
						t.Errorf("%s at %q: %v", f.node, f.sender, err)
					}
				}
				shown := 0
				for _, it := range p.Snapshot(sec(float64(from) + 2)).Containers {
					if it.Entity.Node == f.node && len(it.List()) == 2 {
						shown++
					}
				}
				if shown != 50 {
					t.Errorf("%s at %q: %d of 50 containers are shown", f.node, f.sender, shown)
				}
			}
			checkIndexes(t, p)
		})
	}
}

// TestMostIsOfALogin has one login fill the table from many addresses, none of which has as much as an honest one: it is named, with what it has in all.
func TestMostIsOfALogin(t *testing.T) {
	p := newPicture(t, Options{})
	p.limits.entities = 100
	take := func(login, sender, node string, n int) error {
		b := crowd(sender, node, sec(1), n, names(node))
		b.Login = login
		return p.Apply(b)
	}
	_ = take("bob", "bob at 10.0.0.1", "n1", 20)
	for i := range 16 {
		_ = take("evil", fmt.Sprint("evil at 127.0.0.", i), fmt.Sprint("made-up-", i), 5)
	}
	var full *metric.TooMany
	err := take("carol", "carol at 10.0.0.3", "n3", 30)
	if want := `most of them "evil" from 16 addresses, which has 80, and of these 5 of machine "made-up-`; !errors.As(err, &full) || !strings.Contains(full.Why, want) {
		t.Errorf("got %v %+v, want %q", err, full, want)
	}
}

// TestMadeUpMachinesTakeNobodysPlace fills the table from two addresses that are honest, and lets a third make up machines of one container:
// it gets its third and not one more, and whom it has pushed out is told.
func TestMadeUpMachinesTakeNobodysPlace(t *testing.T) {
	p := newPicture(t, Options{})
	p.limits.entities = 900
	honest := func(s float64) (refused int) {
		for _, a := range []string{"a", "b"} {
			if p.Apply(crowd("10.0.0."+a, a, sec(s), 450, names(a))) != nil {
				refused++
			}
		}
		return refused
	}
	if honest(0) != 0 {
		t.Fatal("there was room for both")
	}
	for i := range 2000 {
		n := fmt.Sprint("made-up-", i)
		_ = p.Apply(crowd("10.0.0.66", n, sec(1), 1, names(n)))
	}
	if got := p.tree.shares.parts["10.0.0.66"].count; got != 300 {
		t.Errorf("who makes machines up has %d places of 900, want 300", got)
	}
	if honest(2) != 2 {
		t.Error("whoever lost places was not told")
	}
	checkIndexes(t, p)
}

// TestSharesAreKept fills and empties a small table in any way: the counts are those of the units, and nobody who has less than another by
// more than one is refused.
func TestSharesAreKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPictureRapid(t)
		p.limits.entities = 20
		all := map[string]func(int) *metric.Entity{}
		now := t0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 1, 1, 200}).Draw(t, "seconds")) * time.Second)
			sender := rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "sender")
			node := fmt.Sprint(sender, rapid.IntRange(0, 3).Draw(t, "node"))
			if all[node] == nil {
				all[node] = names(node)
			}
			err := p.Apply(crowd(sender, node, now, rapid.IntRange(1, 15).Draw(t, "containers"), all[node]))
			if root := &p.tree.shares; err != nil && sender != "" && len(root.heap) > 0 {
				mine := root.parts[sender]
				if mine == nil && root.heap[0].count > 1 || mine != nil && mine.count+1 < root.heap[0].count {
					t.Fatalf("%q has %+v and was refused beside %d", sender, mine, root.heap[0].count)
				}
			}
			p.Snapshot(now)
			checkIndexes(t, p)
		}
	})
}

// What others make up takes no more than its own part of the table, and this machine's containers none of that.
func TestForeignPart(t *testing.T) {
	p := newPicture(t, Options{MaxForeign: 300})
	var full *metric.TooMany
	if err := p.Apply(crowd("10.0.0.66", "made-up", sec(0), 1000, names("made-up"))); !errors.As(err, &full) {
		t.Errorf("whoever filled its part was not told: %v", err)
	}
	if err := p.Apply(crowd("", "own", sec(0), 1000, names("own"))); err != nil {
		t.Error(err)
	}
	if err := p.Apply(crowd("10.0.0.1", "other", sec(0), 100, names("other"))); err != nil {
		t.Error(err)
	}
	shown := map[string]int{}
	for _, it := range p.Snapshot(sec(0)).Containers {
		shown[it.Entity.Node]++
	}
	if shown["own"] != 1000 || shown["other"] != 100 || shown["made-up"] != 200 {
		t.Errorf("shown: %v", shown)
	}
	checkIndexes(t, p)
}
