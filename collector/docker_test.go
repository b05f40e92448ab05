package collector_test

import (
	"context"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/collector/cadvisor"
	"plimsoll.dev/plimsoll/collector/cgroup"
	"plimsoll.dev/plimsoll/collector/names"
	"plimsoll.dev/plimsoll/internal/dockertest"
	"plimsoll.dev/plimsoll/internal/metric"
)

// room is the readers and names of one machine, as cmd wires them.
type room struct {
	names *names.Names
	full  *cadvisor.Reader
	fast  *cgroup.Reader
}

func newRoom(t *testing.T, sockets ...string) *room {
	t.Helper()
	n, err := names.New(names.Options{Node: "n1", Sockets: sockets})
	if err != nil {
		t.Fatal(err)
	}
	fast, err := cgroup.New(cgroup.Options{Node: "n1", Namer: n})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fast.Close() })
	full, err := cadvisor.New(cadvisor.Options{Node: "n1", Namer: n, Starts: fast})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- n.Run(ctx) }()
	go func() { done <- full.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	return &room{n, full, fast}
}

// find returns the group of what an entity calls itself "namespace/workload/pod", nil if there is none.
func find(b *metric.Batch, name string) *metric.Group {
	for i := range b.Groups {
		if e := b.Groups[i].Entity; e.Namespace+"/"+e.Workload+"/"+e.Pod == name {
			return &b.Groups[i]
		}
	}
	return nil
}

// value returns a row's value, -1 if it is missing.
func value(g *metric.Group, id metric.ID) float64 {
	if g != nil {
		for _, p := range g.Points {
			if p.ID == id {
				return p.V
			}
		}
	}
	return -1
}

// restartsOf is how often a runtime says that a container was restarted, -1 if it is not in sight.
func restartsOf(r *room, name string) float64 {
	groups, _ := r.names.Read(time.Now())
	return value(find(&metric.Batch{Groups: groups}, name), metric.Restarts)
}

func until(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// TestDocker follows real containers from before their daemon starts to after they are gone.
func TestDocker(t *testing.T) {
	d := dockertest.New(t)
	r := newRoom(t, d.Sock) // before there is a socket
	d.Start()
	d.Import("app:1", "app", "./testdata/load")
	d.Docker("run", "-d", "--name", "web-1", "--network", "none", "--memory", "64m", "--cpus", "0.05",
		"--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=web", "app:1", "/app", "burn")
	var f, g *metric.Group
	until(t, 2*time.Minute, "web-1 has its name in both readers", func() bool {
		f = find(r.fast.Read(time.Now()), "shop/web/web-1") // first: when it began is for the fast reader to say
		g = find(r.full.Read(time.Now()), "shop/web/web-1")
		return f != nil && g != nil
	})
	if e := g.Entity; e.WorkloadKind != "Compose" || e.Runtime != "docker" || e.Image != "app:1" || e.Container != "web-1" {
		t.Errorf("entity %+v", e)
	}
	if f.Entity != g.Entity || !f.Start.Equal(g.Start) {
		t.Errorf("the readers disagree: entity %p and %p, start %v and %v", f.Entity, g.Entity, f.Start, g.Start)
	}
	agree(t, r, "shop/web/web-1", 0.05) // so little that a busy machine throttles it too
	until(t, 2*time.Minute, "the limits and the throttling are known", func() bool {
		g = find(r.full.Read(time.Now()), "shop/web/web-1")
		return value(g, metric.CPULimit) == 0.05 && value(g, metric.MemoryLimit) == 64<<20 && value(g, metric.CPUThrottledPeriods) > 0
	})
	if value(g, metric.Processes) != 1 || value(g, metric.Threads) < 2 ||
		value(g, metric.FileDescriptors) < 3 {
		t.Errorf("points %+v", g.Points)
	}

	d.Docker("rename", "web-1", "web-2")
	until(t, 2*time.Minute, "the new name is known", func() bool {
		return find(r.full.Read(time.Now()), "shop/web/web-2") != nil && find(r.fast.Read(time.Now()), "shop/web/web-2") != nil
	})

	d.Docker("run", "-d", "--name", "hog", "--network", "none", "--memory", "32m", "app:1", "/app", "oom")
	until(t, 2*time.Minute, "the kill is counted", func() bool {
		return value(find(r.full.Read(time.Now()), "docker/hog/hog"), metric.OOMKills) >= 1
	})
	d.Docker("run", "-d", "--name", "hold", "--network", "none", "--memory", "200m", "app:1", "/app", "hold", "50000000")
	until(t, 2*time.Minute, "50 MB show", func() bool {
		g = find(r.full.Read(time.Now()), "docker/hold/hold")
		return value(g, metric.MemoryWorkingSet) > 50e6 && value(g, metric.MemoryWorkingSet) < 80e6
	})

	// A crash loop: whatever moment it is looked at, it is in sight, and its restarts are Docker's.
	d.Docker("run", "-d", "--name", "loop", "--restart", "always", "--network", "none", "app:1", "/app")
	until(t, 2*time.Minute, "three restarts", func() bool { return restartsOf(r, "docker/loop/loop") >= 3 })
	for range 20 {
		if restartsOf(r, "docker/loop/loop") < 3 {
			t.Error("out of sight between two lives")
		}
		time.Sleep(100 * time.Millisecond)
	}
	d.Docker("rm", "-f", "loop")

	// One whose first process is killed each time: its cgroup goes with it, and Docker tells of each.
	d.Docker("run", "-d", "--name", "doom", "--restart", "always", "--network", "none", "--memory", "16m", "--memory-swap", "16m", "app:1", "/app", "hold", "50000000")
	kills := map[time.Time]bool{}
	until(t, 2*time.Minute, "three kills are told of", func() bool {
		r.names.Read(time.Now())
		for e, kill := range r.names.Killed() {
			if e.Container != "doom" || time.Since(kill.At).Abs() > time.Minute {
				t.Errorf("%v was killed at %v", e, kill.At)
			}
			kills[kill.At] = true
		}
		return len(kills) >= 3
	})
	d.Docker("rm", "-f", "doom")

	s := r.names.Sockets()[0]
	if !s.Reachable || s.Error != "" {
		t.Errorf("socket %+v", s)
	}

	d.Halt() // as when Docker is upgraded
	until(t, 2*time.Minute, "the socket is known to be gone", func() bool { return !r.names.Sockets()[0].Reachable })
	if full, fast := r.full.Read(time.Now()), r.fast.Read(time.Now()); find(full, "shop/web/web-2") == nil || find(fast, "shop/web/web-2") == nil {
		t.Error("web-2 runs on without its daemon, but has lost its name")
	}
	d.Start()
	d.Docker("rename", "web-2", "web-3")
	until(t, 2*time.Minute, "the daemon that came back is followed", func() bool {
		return find(r.full.Read(time.Now()), "shop/web/web-3") != nil && find(r.fast.Read(time.Now()), "shop/web/web-3") != nil
	})

	d.Docker("rm", "-f", "web-3", "hog", "hold")
	until(t, 2*time.Minute, "the containers are gone", func() bool {
		full, fast := r.full.Read(time.Now()), r.fast.Read(time.Now())
		for _, name := range []string{"shop/web/web-3", "docker/hog/hog", "docker/hold/hold"} {
			if find(full, name) != nil || find(fast, name) != nil {
				return false
			}
		}
		return true
	})
	d.Stop()
	until(t, 2*time.Minute, "the socket is known to be gone", func() bool { return !r.names.Sockets()[0].Reachable })
}
