package capacity

import (
	"math"
	"math/rand/v2"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// The fixture is three nodes in two pools and four namespaces over fourteen days, made by arithmetic alone.

var fixtureEnd = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func fixtureGrid() grid {
	g, err := gridOf(fixtureEnd, 0)
	if err != nil {
		panic(err)
	}
	return g
}

func at(v float64) *float64 { return &v }

// told makes fourteen days of a scope: growing, with a weekend and some noise; gap says which days have no data.
func told(g grid, seed uint64, cpu, cpuStep, memory, memoryStep float64, gap func(int) bool) *story {
	rng := rand.New(rand.NewPCG(seed, 1))
	s := newStory()
	make := func(p *past, level, step, noise float64) {
		for d := range g.steps(g.step) {
			t := g.start.Add(time.Duration(d+1) * g.step)
			if gap(d) {
				continue
			}
			v := (level + step*float64(d)) * (1 + noise*(rng.Float64()-0.5))
			*p.point(t.UnixMilli()) = Point{T: t.Unix(), Avg: at(v * 0.62), P95: at(v), Max: at(v * (1.12 + 0.1*rng.Float64()))}
		}
		mid := level + step*7
		p.p50, p.p95 = at(mid*0.6), at(level+step*12.4)
	}
	make(s.cpu, cpu, cpuStep, 0.08)
	make(s.memory, memory, memoryStep, 0.02)
	for t := g.start.Add(g.cover); !t.After(g.end); t = t.Add(g.cover) {
		if !gap(int((t.Sub(g.start) - 1) / g.step)) {
			s.seen = append(s.seen, t.UnixMilli())
		}
	}
	return s
}

func fixtureCapacity() *CapacityReport {
	g := fixtureGrid()
	always := func(int) bool { return false }
	node := func(name, pool string, cores, memory, cpuRequest, memoryRequest, used, usedMemory float64) scopeNow {
		return scopeNow{name: name, pool: pool, cpu: amounts{at(cores), at(cores - 0.2), at(cpuRequest), at(cpuRequest * 2), at(used)},
			memory: amounts{at(memory), at(memory - gi), at(memoryRequest), at(memoryRequest * 1.5), at(usedMemory)}}
	}
	now := &picture{nodes: []scopeNow{node("worker-a", "general", 8, 32*gi, 5.5, 21*gi, 3.1, 17*gi), node("worker-b", "general", 8, 32*gi, 7.1, 12*gi, 4.4, 9*gi),
		node("worker-big-with-a-rather-long-name.eu-west-1.compute.internal", "memory", 16, 128*gi, 9, 110*gi, 6.2, 81*gi)},
		namespaces: []scopeNow{
			{name: "checkout", nodes: 3, cpu: amounts{requests: at(9), limits: at(18), used: at(6)}, memory: amounts{requests: at(60 * gi), used: at(41 * gi)}},
			{name: "search", nodes: 2, cpu: amounts{requests: at(8.5), used: at(5)}, memory: amounts{requests: at(70 * gi), used: at(50 * gi)}},
			{name: "kube-system", nodes: 3, cpu: amounts{requests: at(2.6), used: at(1.2)}, memory: amounts{requests: at(4 * gi), used: at(3 * gi)}},
			{name: `<b onmouseover="x">`, nodes: 1, cpu: amounts{used: at(0.01)}, memory: amounts{used: at(9 * mi)}},
		}}
	then := &history{
		clusters: stories{"": told(g, 1, 12, 0.45, 100*gi, 1.2*gi, func(d int) bool { return d == 4 })},
		nodes: stories{"worker-a": told(g, 2, 3, 0.1, 16*gi, 0.3*gi, always), "worker-b": told(g, 3, 4.8, 0.2, 9*gi, 0, always),
			now.nodes[2].name: told(g, 4, 5.5, 0.02, 80*gi, 2.4*gi, func(d int) bool { return d < 3 }), "worker-gone": told(g, 5, 1, 0, gi, 0, func(d int) bool { return d > 6 })},
		namespaces: stories{"checkout": told(g, 6, 6, 0.3, 40*gi, gi, always), "search": told(g, 7, 5, 0, 50*gi, 0, always), "kube-system": told(g, 8, 1.2, 0, 3*gi, 0, always)},
	}
	r := capacityOf(g, now, then, true, false)
	r.Time = fixtureEnd
	return r
}

// fixtureMachine is one machine on which nothing is requested, watched for a day.
func fixtureMachine() *CapacityReport {
	g, err := gridOf(fixtureEnd, day)
	if err != nil {
		panic(err)
	}
	now := &picture{nodes: []scopeNow{{name: "laptop", cpu: amounts{capacity: at(4), used: at(0.7)}, memory: amounts{capacity: at(16 * gi), used: at(5 * gi)}}},
		namespaces: []scopeNow{{name: "docker", nodes: 1, cpu: amounts{used: at(0.2)}, memory: amounts{used: at(gi)}}, {name: "system", nodes: 1, cpu: amounts{used: at(0.1)}, memory: amounts{used: at(gi / 2)}}}}
	s := newStory()
	for h := range 24 {
		t := g.start.Add(time.Duration(h+1) * time.Hour)
		if h < 5 || h == 9 || h == 11 {
			continue
		}
		v := 0.6 + 0.4*math.Sin(float64(h)/4)
		*s.cpu.point(t.UnixMilli()) = Point{T: t.Unix(), Avg: at(v * 0.6), P95: at(v), Max: at(v * 1.3)}
		*s.memory.point(t.UnixMilli()) = Point{T: t.Unix(), Avg: at(5 * gi), P95: at(5.2 * gi), Max: at(5.3 * gi)}
		for i := range 12 {
			s.seen = append(s.seen, t.Add(-time.Duration(11-i)*5*time.Minute).UnixMilli())
		}
	}
	s.cpu.p50, s.cpu.p95, s.memory.p50, s.memory.p95 = at(0.4), at(0.9), at(5*gi), at(5.2*gi)
	r := capacityOf(g, now, &history{clusters: stories{"": s}, nodes: stories{"laptop": s}, namespaces: stories{"docker": s}}, true, false)
	r.Time = fixtureEnd
	return r
}

// used makes the use of a container over so many hours before the end.
func used(g grid, hours int, cpu, memory float64) *usage {
	u := newUsage()
	for h := range hours {
		t := g.end.Add(-time.Duration(h) * time.Hour).UnixMilli()
		u.busy[t], u.mean[t], u.seen[t] = cpu, cpu, true
	}
	u.peak = at(memory)
	return u
}

// killed has it killed so many times in the last hour, at a limit; zero: without one.
func (u *usage) killed(g grid, times, limit float64) {
	t := g.end.UnixMilli()
	u.kills, u.limits.kills[t] = times, times
	if limit > 0 {
		u.limits.memory[t] = limit
	}
}

func fixtureRightsize() *RightsizeReport {
	g := fixtureGrid()
	key := func(ns, kind, workload, container string) id { return idOf(ns, kind, workload, "", container) }
	now, then := map[id]*running{}, usages{}
	add := func(k id, n int, s size, u *usage) *usage {
		set := func(v float64) *float64 {
			if v == 0 {
				return nil
			}
			return &v
		}
		now[k] = &running{replicas: n, cpuRequest: set(s.cpu), cpuLimit: set(s.cpuLimit), memoryRequest: set(s.memory), memoryLimit: set(s.memoryLimit)}
		then[k] = u
		return u
	}
	add(key("checkout", "Deployment", "payments", "api"), 12, size{1, 2, gi, 2 * gi}, used(g, 336, 0.21, 590*mi))
	add(key("search", "StatefulSet", "index", "index"), 3, size{2, 4, 24 * gi, 32 * gi}, used(g, 330, 1.87, 27*gi))
	oom := add(key("search", "Deployment", "suggest", "suggest"), 2, size{0.25, 0, 256 * mi, 256 * mi}, used(g, 300, 0.24, 251*mi))
	oom.killed(g, 3, 256*mi)
	slow := add(key("checkout", "Deployment", "pdf", "render"), 2, size{0.5, 0.5, 512 * mi, 0}, used(g, 200, 0.49, 444*mi))
	slow.cfs[g.end.UnixMilli()] = cfs{all: 5, throttled: 2}
	add(key("checkout", "Deployment", "web", "web"), 6, size{cpu: 0.2, memory: 128 * mi}, used(g, 336, 0.14, 108*mi))
	add(key("jobs", "CronJob", "nightly-report", "report"), 1, size{}, used(g, 20, 0.33, 90*mi))
	add(key("new", "Deployment", `<script>alert("x")</script>`, "app"), 1, size{}, newUsage())
	target := 0.7
	r := rightsizeOf(g, now, then, []cluster.Scaled{{Target: cluster.Target{Namespace: "checkout", Kind: "Deployment", Name: "web"}, Utilizations: []cluster.Utilization{{Resource: "cpu", Share: target}}}})
	r.Time = fixtureEnd
	return r
}
