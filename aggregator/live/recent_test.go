package live

import (
	"math"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

const (
	uidA = "0b1c2d3e-0000-4000-8000-00000000000a"
	uidB = "0b1c2d3e-0000-4000-8000-00000000000b"
)

// inPod is a container of the pod shop/web by its cgroup.
func inPod(uid, name string) *metric.Entity {
	return &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", Pod: "web", Container: name, ID: "/kubepods/burstable/pod" + uid + "/" + name}
}

func podOf(uid string) *cluster.Pod {
	return &cluster.Pod{UID: uid, Namespace: "shop", Name: "web", Node: "n1", Phase: "Running", StartTime: t0}
}

// usedOf asks for one pod.
func usedOf(p *Picture, now time.Time, pod *cluster.Pod, w time.Duration) (out []Used) {
	p.PodsUsed(now, []*cluster.Pod{pod}, w, func(_ int, c []Used) { out = append(out, c...) })
	return out
}

func TestUsedOverTheNewestWindow(t *testing.T) {
	p := newPicture(t, Options{})
	b, a := inPod(uidA, "b"), inPod(uidA, "a")
	for i := range 31 {
		at, v := sec(float64(i)), float64(i)
		if i > 20 {
			v = 20 + 3*float64(i-20) // from then on three cores
		}
		apply(t, p, tick(at, cpu(b, at, v, 100+float64(i)), cpu(a, at, 0, 0), cpu(node("n1"), at, 2*v, 5000)))
	}
	got := usedOf(p, sec(30.5), podOf(uidA), 15*time.Second)
	if len(got) != 2 || got[0].Name != "a" || got[1].Name != "b" {
		t.Fatalf("got %+v, want a and b", got)
	}
	if x := got[0]; x.CPU != 0 || x.Memory != 0 || x.Window != 15*time.Second {
		t.Errorf("a that uses nothing: %+v", x)
	}
	want := Used{Name: "b", CPU: (5 + 10*3) / 15.0, Memory: 130, Time: sec(30), Window: 15 * time.Second}
	if x := got[1]; math.Abs(x.CPU-want.CPU) > 1e-9 || x.Memory != want.Memory || !x.Time.Equal(want.Time) || x.Window != want.Window {
		t.Errorf("got %+v, want %+v", x, want)
	}
	n, ok := p.NodeUsed(sec(30.5), "n1", 15*time.Second)
	if !ok || math.Abs(n.CPU-2*want.CPU) > 1e-9 || n.Memory != 5000 {
		t.Errorf("node: %+v %v", n, ok)
	}
	if _, ok := p.NodeUsed(sec(30.5), "n2", 15*time.Second); ok {
		t.Error("a node that nobody reads has values")
	}
}

// TestUsedFromTwoPoints: a fresh container is there with its second sample, and says how little that covers.
func TestUsedFromTwoPoints(t *testing.T) {
	p := newPicture(t, Options{})
	a := inPod(uidA, "a")
	apply(t, p, tick(sec(0), cpu(a, sec(0), 1, 10)))
	if got := usedOf(p, sec(0.1), podOf(uidA), 15*time.Second); len(got) != 0 {
		t.Errorf("one point makes a rate: %+v", got)
	}
	apply(t, p, tick(sec(1), cpu(a, sec(1), 1.5, 20)))
	if got := usedOf(p, sec(1.1), podOf(uidA), 15*time.Second); len(got) != 1 || got[0].CPU != 0.5 || got[0].Window != time.Second {
		t.Errorf("got %+v, want half a core over a second", got)
	}
}

// TestUsedWhenHeardAgain: the first sample after a while in which nothing was heard makes no rate, and takes no value away.
func TestUsedWhenHeardAgain(t *testing.T) {
	p := newPicture(t, Options{})
	a := inPod(uidA, "a")
	for i := range 60 {
		at := sec(float64(i))
		if i < 20 || i >= 34 && i < 40 {
			apply(t, p, tick(at, cpu(a, at, float64(i), 10), cpu(node("n1"), at, 2*float64(i), 10)))
		}
		got := usedOf(p, sec(float64(i)+0.1), podOf(uidA), 15*time.Second)
		if want := i > 0; want != (len(got) == 1) || want && got[0].CPU != 1 {
			t.Errorf("second %d: got %+v", i, got)
		}
		if i == 34 && len(got) == 1 && !got[0].Time.Equal(sec(19)) {
			t.Errorf("second %d: the value is said to be of %v", i, got[0].Time)
		}
	}
}

// TestAnotherIsNotBelievedTooSoon: what somebody else has read of a time of which the collector has told already, or nearly, changes nothing.
func TestAnotherIsNotBelievedTooSoon(t *testing.T) {
	p := newPicture(t, Options{})
	a := inPod(uidA, "a")
	for i := range 20 {
		apply(t, p, tick(sec(float64(i)), started(cpu(a, sec(float64(i)), float64(i), 10), sec(-5))))
	}
	apply(t, p, &metric.Batch{Node: "n1", Source: metric.FromKubelet, Time: sec(30), Groups: []metric.Group{started(cpu(a, sec(23), 23, 10), sec(-2))}})
	if it := only(t, p.Snapshot(sec(23.5)).Containers); it.Source != "" || it.Restarts != 0 || !it.Any() {
		t.Errorf("from %q, %d restarts, any value: %v", it.Source, it.Restarts, it.Any())
	}
}

// TestUsedStaysAtAHandOver: what somebody else counts has another start, on the same machine at that. It takes no value away until it makes one.
func TestUsedStaysAtAHandOver(t *testing.T) {
	for _, to := range []string{"", metric.FromKubelet} {
		p := newPicture(t, Options{})
		tell := func(source string, at time.Time, v float64) {
			b := tick(at, cpu(node("n1"), at, v, 50))
			b.Source, b.Fast = source, source == ""
			apply(t, p, b)
		}
		from, every, last := metric.FromKubelet, 10.0, 20.0
		if to != "" {
			from, every, last = "", 1, 20
		}
		for s := 0.0; s <= last; s += every {
			tell(from, sec(s), 5000+s)
		}
		after, every := last+11, 11-every
		tell(to, sec(after), 3*after)
		if got, ok := p.NodeUsed(sec(after+0.1), "n1", 15*time.Second); !ok || got.CPU != 1 || !got.Time.Equal(sec(last)) {
			t.Errorf("to %q, the first sample: %+v, %v, want one core at %v", to, got, ok, sec(last))
		}
		tell(to, sec(after+every), 3*(after+every))
		if got, ok := p.NodeUsed(sec(after+every+0.1), "n1", 15*time.Second); !ok || got.CPU != 3 || got.Window != time.Duration(every)*time.Second {
			t.Errorf("to %q, the second: %+v, %v, want three cores over %v s", to, got, ok, every)
		}
	}
}

// TestUsedStaysForAWhile: while a collector is restarted its last values stay, with their true time; what has ended does not.
func TestUsedStaysForAWhile(t *testing.T) {
	p := newPicture(t, Options{})
	a, b := inPod(uidA, "a"), inPod(uidA, "b")
	for i := range 11 {
		at := sec(float64(i))
		apply(t, p, tick(at, cpu(a, at, float64(i), 10), cpu(b, at, float64(i), 10), cpu(node("n1"), at, float64(i), 50)))
	}
	got := usedOf(p, sec(39), podOf(uidA), 15*time.Second)
	if len(got) != 2 || !got[0].Time.Equal(sec(10)) || got[0].CPU != 1 {
		t.Errorf("29 s later: %+v, want what was at 10 s", got)
	}
	if got := usedOf(p, sec(41), podOf(uidA), 15*time.Second); len(got) != 0 {
		t.Errorf("31 s later: %+v, want nothing", got)
	}
	for i := 11; i < 18; i++ {
		at := sec(float64(i))
		apply(t, p, tick(at, cpu(a, at, float64(i), 10), cpu(node("n1"), at, float64(i), 50)))
	}
	if got := usedOf(p, sec(17.5), podOf(uidA), 15*time.Second); len(got) != 1 || got[0].Name != "a" {
		t.Errorf("its machine goes on without b: %+v, want a alone", got)
	}
}

// TestUsedIsOfThisPod: nothing of a pod that had the name before, with a cgroup that is known and without.
func TestUsedIsOfThisPod(t *testing.T) {
	p := newPicture(t, Options{})
	a := inPod(uidA, "a")
	for i := range 3 {
		apply(t, p, tick(sec(float64(i)), cpu(a, sec(float64(i)), float64(i), 10)))
	}
	if got := usedOf(p, sec(2.1), podOf(uidB), 15*time.Second); len(got) != 0 {
		t.Errorf("another pod's values: %+v", got)
	}
	static := podOf(uidB)
	static.CgroupUID = uidA
	if got := usedOf(p, sec(2.1), static, 15*time.Second); len(got) != 1 {
		t.Errorf("of a static pod: %+v", got)
	}
	elsewhere := podOf(uidA)
	elsewhere.Node = "n2"
	if got := usedOf(p, sec(2.1), elsewhere, 15*time.Second); len(got) != 0 {
		t.Errorf("on another node: %+v", got)
	}
	systemd := inPod("", "a")
	systemd.ID, systemd.Pod = "/kubepods.slice/kubepods-pod0b1c2d3e_0000_4000_8000_00000000000b.slice/cri-containerd-1.scope", "db"
	bare := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", Pod: "old", Container: "a"}
	for i := range 2 {
		at := sec(float64(i))
		apply(t, p, tick(at, cpu(systemd, at, float64(i), 10), started(cpu(bare, at, float64(i), 10), sec(-100))))
	}
	db, old := podOf(uidB), podOf(uidB)
	db.Name, old.Name = "db", "old"
	if got := usedOf(p, sec(1.1), db, 15*time.Second); len(got) != 1 {
		t.Errorf("by a systemd slice: %+v", got)
	}
	if got := usedOf(p, sec(1.1), old, 15*time.Second); len(got) != 0 {
		t.Errorf("it began before its pod: %+v", got)
	}
}

// TestUsedOfManyPods: each is called for every pod, in order, whatever the parts in which they are read.
func TestUsedOfManyPods(t *testing.T) {
	p := newPicture(t, Options{})
	batches := fleet(3, 50)
	for i := range 3 {
		set(batches, i)
		for _, b := range batches {
			apply(t, p, b)
		}
	}
	now := batches[0].Time
	var pods []*cluster.Pod
	for _, it := range p.Snapshot(now).Pods {
		pods = append(pods, &cluster.Pod{Namespace: it.Entity.Namespace, Name: it.Entity.Pod, Node: it.Entity.Node})
	}
	calls := 0
	p.PodsUsed(now, pods, 15*time.Second, func(i int, c []Used) {
		if i != calls {
			t.Fatalf("pod %d after %d calls", i, calls)
		}
		calls++
		if len(c) == 0 {
			t.Errorf("pod %d has nothing", i)
		}
	})
	if calls != 150 || len(pods) != 150 {
		t.Errorf("%d calls for %d pods", calls, len(pods))
	}
}
