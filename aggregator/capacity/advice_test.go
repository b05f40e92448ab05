package capacity

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAdvice(t *testing.T) {
	g := fixtureGrid()
	f := func(what string, s size, u *usage, to goal, cpu, memory float64, reason string) {
		t.Helper()
		set := func(v float64) *float64 {
			if v == 0 {
				return nil
			}
			return &v
		}
		a := adviseOn(g, idOf("ns", "Deployment", "w", "", "c"), &running{replicas: 2, cpuRequest: set(s.cpu), cpuLimit: set(s.cpuLimit), memoryRequest: set(s.memory), memoryLimit: set(s.memoryLimit)}, u, to)
		if math.Abs(value(a.CPU.Advised)-cpu) > 1e-9 || value(a.Memory.Advised) != memory || a.Reason != reason {
			t.Errorf("%s: %g and %g, %q\nwant %g and %g, %q", what, value(a.CPU.Advised), value(a.Memory.Advised), a.Reason, cpu, memory, reason)
		}
	}
	f("set", size{}, used(g, 336, 0.123, 100*mi), goal{}, 0.13, 115*mi, "Set CPU to 130m: p95 123m. Set memory to 115Mi: max 100Mi + 15 %.")
	f("lower", size{cpu: 1, memory: gi}, used(g, 336, 0.123, 100*mi), goal{}, 0.13, 115*mi,
		"Lower CPU from 1 to 130m: p95 123m. Lower memory from 1Gi to 115Mi: max 100Mi + 15 %.")
	f("raise over the limit", size{cpu: 0.1, cpuLimit: 0.1, memory: 90 * mi, memoryLimit: 100 * mi}, used(g, 336, 0.123, 100*mi), goal{}, 0.13, 115*mi,
		"Raise CPU from 100m to 130m: p95 123m; its limit of 100m should be 130m. Raise memory from 90Mi to 115Mi: max 100Mi + 15 %; its limit of 100Mi should be 115Mi.")
	f("keep", size{cpu: 0.135, memory: 125 * mi}, used(g, 336, 0.123, 100*mi), goal{}, 0.135, 125*mi, "Keep CPU at 135m: p95 123m. Keep memory at 125Mi: max 100Mi + 15 %.")
	f("keep is not for too little", size{cpu: 0.122, memory: 114 * mi}, used(g, 336, 0.123, 100*mi), goal{}, 0.13, 115*mi,
		"Raise CPU from 122m to 130m: p95 123m. Raise memory from 114Mi to 115Mi: max 100Mi + 15 %.")
	f("raise by little", size{cpu: 1, memory: 6*gi - 20*mi}, used(g, 336, 1, 6*gi/memoryMargin), goal{}, 1, 6*gi,
		"Keep CPU at 1: p95 1. Raise memory from 6Gi by 20Mi: max 5.2Gi + 15 %.")
	f("floor", size{cpu: 0.1}, used(g, 336, 0.001, mi), goal{}, 0.01, 16*mi,
		"Lower CPU from 100m to 10m: p95 1.0m, which is under the floor of 10m. Set memory to 16Mi: max 1Mi + 15 %, which is under the floor of 16Mi.")
	f("scaled", size{cpu: 0.2}, used(g, 336, 0.14, 100*mi), goal{cpu: at(0.7)}, 0.2, 115*mi,
		"Keep CPU at 200m: p95 of a replica 140m at its target of 70 %. Set memory to 115Mi: max 100Mi + 15 %.")
	oom := used(g, 336, 0.1, 100*mi)
	oom.killed(g, 1, 128*mi)
	f("killed", size{memory: 100 * mi, memoryLimit: 128 * mi}, oom, goal{}, 0.1, 160*mi,
		"Set CPU to 100m: p95 100m. Raise memory from 100Mi to 160Mi: killed for memory once, and a quarter above the limit it hit (128Mi); its limit of 128Mi should be 160Mi.")
	oom = used(g, 336, 0.1, 100*mi)
	oom.killed(g, 1, 0)
	f("killed without a limit", size{}, oom, goal{}, 0.1, 125*mi,
		"Set CPU to 100m: p95 100m. Set memory to 125Mi: killed for memory once, and a quarter above what it used (100Mi).")
	slow := used(g, 336, 0.2, 100*mi)
	slow.cfs[g.end.UnixMilli()] = cfs{all: 4, throttled: 1}
	f("throttled", size{cpu: 0.1, cpuLimit: 0.2}, slow, goal{}, 0.25, 115*mi,
		"Raise CPU from 100m to 250m: p95 200m, more because it is throttled in 25 % of periods; its limit of 200m should be 250m. Set memory to 115Mi: max 100Mi + 15 %.")
	f("nothing", size{}, newUsage(), goal{}, -1, -1, "No advice: it takes an hour of data; so far there is none.")
}

// TestEndedSavesNothingNow: a workload that has ended has its advice, and neither the totals nor the notes say that nothing was requested, or that nothing of
// nothing can be given back.
func TestEndedSavesNothingNow(t *testing.T) {
	g := fixtureGrid()
	asks, mem := 0.5, float64(gi)
	u := used(g, 336, 0.3, 100*mi)
	u.cpuRequest, u.memoryRequest = &asks, &mem
	then := usages{idOf("wk", "Deployment", "web", "", "c"): u}
	f := func(now map[id]*running, sentence string, notes ...string) {
		t.Helper()
		r := rightsizeOf(g, now, then, nil)
		if got := r.Totals.sentence(); got != sentence || !slices.Equal(r.Notes, notes) {
			t.Errorf("%q and the notes %q\nwant %q and %q", got, r.Notes, sentence, notes)
		}
	}
	f(nil, "1 of 1 container with advice.", "What requests something does not run now, so there is nothing to save at present; the advice is for when it runs again.")
	then[idOf("wk", "Deployment", "plain", "", "c")] = used(g, 336, 0.3, 100*mi)
	f(map[id]*running{idOf("wk", "Deployment", "plain", "", "c"): {replicas: 1}}, "2 of 2 containers with advice.",
		"What requests something does not run now, so there is nothing to save at present; the advice is for when it runs again.")
	f(map[id]*running{idOf("wk", "Deployment", "plain", "", "c"): {replicas: 1, cpuRequest: &asks}}, "2 of 2 containers with advice. In all, 200m CPU of 500m requested can be given back.")
	delete(then, idOf("wk", "Deployment", "web", "", "c"))
	f(map[id]*running{idOf("wk", "Deployment", "plain", "", "c"): {replicas: 1}}, "1 of 1 container with advice.", "No container requests anything, so there is nothing to save; the advice is what to set.")
}

func TestConfidence(t *testing.T) {
	g := fixtureGrid()
	f := func(u *usage, restarts int, level, why string) {
		t.Helper()
		a := adviseOn(g, id{}, &running{replicas: 1, restarts: &restarts}, u, goal{})
		if a.Confidence != level || a.ConfidenceReason != why {
			t.Errorf("%s: %q, want %s: %q", a.Confidence, a.ConfidenceReason, level, why)
		}
	}
	f(used(g, 336, 1, gi), 0, High, "14 days of data")
	f(used(g, 336, 1, gi), 20, Medium, "14 days of data, but 20 restarts")
	f(used(g, 100, 1, gi), 0, Medium, "4.2 days of data, less than a week")
	f(used(g, 23, 1, gi), 0, Low, "23 hours of data only")
	holes := used(g, 336, 1, gi)
	for h := range 336 {
		if h%3 > 0 {
			delete(holes.seen, g.end.Add(-time.Duration(h)*time.Hour).UnixMilli())
		}
	}
	f(holes, 0, Low, "4.7 days of data, with gaps for 66 % of the time")
	f(newUsage(), 0, None, "too little data")
}

// TestAdviceIsEnough holds for whatever is used and asked for.
func TestAdviceIsEnough(t *testing.T) {
	g := fixtureGrid()
	rapid.Check(t, func(t *rapid.T) {
		number := func(what string, high float64) *float64 {
			if rapid.Bool().Draw(t, what+"?") {
				return nil
			}
			return at(rapid.Float64Range(1e-6, high).Draw(t, what))
		}
		u := used(g, rapid.IntRange(1, 336).Draw(t, "hours"), rapid.Float64Range(0, 64).Draw(t, "cpu"), rapid.Float64Range(0, 512*gi).Draw(t, "memory"))
		if rapid.Bool().Draw(t, "killed") {
			u.kills = 1
		}
		u.cfs[g.end.UnixMilli()] = cfs{throttled: rapid.Float64Range(0, 20).Draw(t, "throttled"), all: rapid.Float64Range(0, 10).Draw(t, "periods")}
		now := &running{replicas: rapid.IntRange(0, 50).Draw(t, "replicas"), cpuRequest: number("CPU request", 64), cpuLimit: number("CPU limit", 64),
			memoryRequest: number("memory request", 512*gi), memoryLimit: number("memory limit", 512*gi)}
		if u.kills > 0 {
			u.killed(g, 1, or(now.memoryLimit, 0))
		}
		if now.cpuLimit != nil {
			u.limits.cpu[g.end.UnixMilli()] = *now.cpuLimit
		}
		to := goal{cpu: number("target", 1), memory: number("memory target", 1)}
		a := adviseOn(g, id{}, now, u, to)
		for _, x := range []struct {
			r     *ResourceAdvice
			used  *float64
			least float64
		}{{&a.CPU, a.CPU.P95, floorCPU}, {&a.Memory, a.Memory.Max, floorMemory}} {
			if x.r.Advised == nil || x.r.Reason == "" || x.r.Action == "" {
				t.Fatalf("no advice: %+v", x.r)
			}
			if got := *x.r.Advised; got < *x.used*(1-1e-6) || got < x.least {
				t.Fatalf("advised %g, used %g, floor %g", got, *x.used, x.least)
			}
			if l := x.r.Limit; l != nil && or(x.r.AdvisedLimit, *l) < *x.r.Advised {
				t.Fatalf("advised %g over the limit %g (advised %g)", *x.r.Advised, *l, or(x.r.AdvisedLimit, -1))
			}
			if s := x.r.Saving; (s == nil) != (x.r.Request == nil) || s != nil && math.Abs(*s-(*x.r.Request-*x.r.Advised)*float64(now.replicas)) > 1e-6 {
				t.Fatalf("saving %v of %+v", s, x.r)
			}
		}
		if a.OOMKills > 0 && a.Memory.Limit != nil && to.memory == nil && *a.Memory.Advised < *a.Memory.Limit*oomMargin*(1-1e-9) {
			t.Fatalf("killed at %g, advised %g", *a.Memory.Limit, *a.Memory.Advised)
		}
		if a.Confidence == None || a.ConfidenceReason == "" || strings.Contains(a.Reason, "%!") {
			t.Fatalf("%s (%s): %s", a.Confidence, a.ConfidenceReason, a.Reason)
		}
		// Taken, the advice is kept.
		now.cpuRequest, now.memoryRequest = a.CPU.Advised, a.Memory.Advised
		now.cpuLimit, now.memoryLimit = cmp.Or(a.CPU.AdvisedLimit, now.cpuLimit), cmp.Or(a.Memory.AdvisedLimit, now.memoryLimit)
		if b := adviseOn(g, id{}, now, u, to); b.CPU.Action != Keep || b.Memory.Action != Keep || b.CPU.AdvisedLimit != nil || b.Memory.AdvisedLimit != nil {
			t.Fatalf("the advice taken is to %s and %s: %s", b.CPU.Action, b.Memory.Action, b.Reason)
		}
	})
}
