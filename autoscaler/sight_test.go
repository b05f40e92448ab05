package autoscaler

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// A lowered maximum is a limit, not what the load asks for: it acts at once, also in the first stable window of a new process, whether
// the policy has it or a schedule.
func TestLimitsActAtOnce(t *testing.T) {
	for name, limits := range map[string]string{
		"policy":   "{maxReplicas: 3, metrics: ",
		"schedule": `{maxReplicas: 8, schedules: [{start: "0 0 * * *", end: "0 1 * * *", maxReplicas: 3}], metrics: `,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(8, steps(map[time.Duration]float64{0: 9})) // 320 % of what 8 are for
				time.Sleep(23*time.Hour + 59*time.Minute + 40*time.Second)
				w.began = time.Now()
				l, end := begin(t, w, Options{Policies: []Policy{compiled(t, strings.Replace(plain, "maxReplicas: 20", "maxReplicas: 8", 1))}})
				time.Sleep(15 * time.Second)
				if err := l.Apply([]Policy{compiled(t, strings.Replace(plain, "{minReplicas: 1, maxReplicas: 20, metrics: ", limits, 1))}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(7 * time.Second) // of the day the first two
				if w.count() != 3 {
					t.Errorf("%d replicas: %s", w.count(), l.Scaled(time.Now())[0].Last.Message)
				}
				if s := l.Scaled(time.Now())[0]; *s.Max != 3 || (s.Schedule == "0 0 * * * UTC") != (name == "schedule") {
					t.Errorf("%d to %d by the schedule %q", *s.Min, *s.Max, s.Schedule)
				}
				end()
			})
		})
	}
}

// A target that is not seen at first is held for five minutes from when it is seen, as if that was the first pass.
func TestUnseenAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(10, steps(map[time.Duration]float64{0: 0.7}))
		w.gone = true
		_, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}})
		time.Sleep(2 * time.Minute)
		w.set(func() { w.gone = false })
		time.Sleep(8 * time.Minute)
		end()
		if made := w.made(); len(made) == 0 || made[0].at < 7*time.Minute-time.Second {
			t.Errorf("changes %v, want the first five minutes after the scale could be read at 2m", made)
		}
	})
}

// That a target is out of sight is told once each time, and what is written down of it is the count that it had.
func TestOutOfSightIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, log := newWorld(4, steps(map[time.Duration]float64{0: 1.4})), &memory{}
		var text bytes.Buffer
		run := func() (*Loop, func()) {
			return begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Log: log, Logger: slog.New(slog.NewTextHandler(&text, nil))})
		}
		_, end := run()
		told := func(want int) {
			t.Helper()
			synctest.Wait()
			if got := strings.Count(text.String(), "cannot see target"); got != want {
				t.Errorf("told %d times, want %d:\n%s", got, want, text.String())
			}
		}
		time.Sleep(2 * time.Second) // a decision has just been written down
		told(0)
		w.set(func() { w.gone = true })
		time.Sleep(5 * time.Minute)
		told(1)
		w.set(func() { w.gone = false })
		time.Sleep(time.Minute)
		w.set(func() { w.gone = true })
		time.Sleep(time.Minute)
		told(2)
		end()
		_, end = run()
		time.Sleep(time.Minute)
		end()
		told(3)
		if i := slices.IndexFunc(log.reasons(), func(r string) bool { return r == "Hold "+string(policy.FailedGetScale) }); i < 0 {
			t.Errorf("not in the log: %v", log.reasons())
		}
		for _, d := range log.ds {
			if d.To != 4 {
				t.Errorf("an entry says %d replicas, want 4: %+v", d.To, d)
			}
		}
	})
}

// veiled is an observer that does not see some pods for some time.
type veiled struct {
	*world
	hides func(pod int, at time.Duration) bool // of the pod's place among those of the beginning, and the time since then
}

func (v veiled) Usage(now time.Time, pods []*cluster.Pod, name corev1.ResourceName, d time.Duration) []cluster.PodUsage {
	return slices.DeleteFunc(v.world.Usage(now, pods, name, d), func(u cluster.PodUsage) bool {
		return v.hides(int(u.Pod[len(u.Pod)-1]-'1'), now.Sub(v.began))
	})
}

// falling is a policy that lowers as soon as it may, one whose stable window is a minute.
const falling = `{minReplicas: 1, maxReplicas: 20, stableWindow: 60s, behavior: {scaleDown: {stabilizationWindowSeconds: 0}}, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]}`

// lowered says when a target of five pods that were there before was first lowered; 0: never.
func lowered(t *testing.T, length time.Duration, o Options, hides func(pod int, at time.Duration) bool) (at time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(5, steps(map[time.Duration]float64{0: 0.2})) // 8 % of what five ask for
		for _, p := range w.pods {
			p.start = p.start.Add(-time.Hour)
		}
		if o.Policies == nil {
			o.Policies = []Policy{compiled(t, falling)}
		}
		o.Observer = veiled{w, hides}
		_, end := begin(t, w, o)
		time.Sleep(length)
		end()
		for _, c := range w.made() {
			if c.to < c.from {
				at = c.at
				break
			}
		}
	})
	return at
}

// However little is seen of a target, it is not lowered before that has been seen for a whole stable window.
func TestLessDataLowersNoSooner(t *testing.T) {
	for _, f := range []struct {
		name   string
		hides  func(pod int, at time.Duration) bool
		usage  UsageReader
		policy string
		from   time.Duration // not lowered before
		to     time.Duration // lowered by then
	}{
		{name: "all are measured", hides: func(int, time.Duration) bool { return false }, from: time.Minute, to: 80 * time.Second},
		{name: "one never is", hides: func(pod int, _ time.Duration) bool { return pod == 4 }, from: time.Minute, to: 80 * time.Second},
		{name: "one is from 40 s on", hides: func(pod int, at time.Duration) bool { return pod == 4 && at < 40*time.Second }, from: 100 * time.Second, to: 120 * time.Second},
		{name: "one is until 40 s", hides: func(pod int, at time.Duration) bool { return pod == 4 && at > 40*time.Second }, from: time.Minute, to: 80 * time.Second},
		{name: "one is for moments", hides: func(pod int, at time.Duration) bool { return pod == 4 && int(at.Seconds())%10 != 0 }, from: time.Minute, to: 80 * time.Second},
		{name: "none is for 20 s", hides: func(_ int, at time.Duration) bool { return at > 30*time.Second && at < 50*time.Second }, from: 110 * time.Second, to: 130 * time.Second},
		{name: "none is for 12 s", hides: func(_ int, at time.Duration) bool { return at > 30*time.Second && at < 42*time.Second }, from: time.Minute, to: 90 * time.Second},
		{name: "four are from 40 s on", hides: func(pod int, at time.Duration) bool { return pod > 0 && at < 40*time.Second }, from: 100 * time.Second, to: 120 * time.Second},
		{name: "another source has two", hides: func(pod int, _ time.Duration) bool { return pod > 2 }, usage: &fakeUsage{each: 40}, from: time.Minute, to: 80 * time.Second},
		{name: "another source has one of two", hides: func(pod int, _ time.Duration) bool { return pod > 2 }, usage: only{"web-4", &fakeUsage{each: 40}}, from: time.Minute, to: 80 * time.Second},
		{name: "the plain rule", hides: func(pod int, _ time.Duration) bool { return pod == 4 }, policy: strings.Replace(falling, "{", "{confidence: 0, ", 1), from: time.Minute, to: 80 * time.Second},
	} {
		t.Run(f.name, func(t *testing.T) {
			o := Options{Usage: f.usage}
			if f.policy != "" {
				o.Policies = []Policy{compiled(t, f.policy)}
			}
			if at := lowered(t, 4*time.Minute, o, f.hides); at < f.from-2*time.Second || at > f.to {
				t.Errorf("lowered after %s, want %s to %s", at, f.from, f.to)
			}
		})
	}
}

// only is a second source that knows one pod.
type only struct {
	pod string
	UsageReader
}

func (o only) PodUsage(ctx context.Context, t cluster.Target, pods []*cluster.Pod) ([]cluster.PodUsage, error) {
	us, err := o.UsageReader.PodUsage(ctx, t, pods)
	return slices.DeleteFunc(us, func(u cluster.PodUsage) bool { return u.Pod != o.pod }), err
}

// Whichever pods are seen when, at the first lowering each one that is seen has been so for a stable window without a gap of more than 15 s.
func TestLoweringRestsOnAWholeWindow(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 3))
		const length = 5 * time.Minute
		hidden := make([][]bool, 5)
		for i := range hidden {
			hide, longest := rng.IntN(2) == 0, 5+rng.IntN(60)
			for len(hidden[i]) <= int(length.Seconds()) {
				for range 1 + rng.IntN(longest) {
					hidden[i] = append(hidden[i], hide)
				}
				hide = !hide
			}
		}
		at := lowered(t, length, Options{}, func(pod int, at time.Duration) bool { return hidden[pod][int(at.Seconds())] })
		if at == 0 {
			continue
		}
		last := int(at.Seconds())
		if last < 58 {
			t.Fatalf("seed %d: lowered after %s", seed, at)
		}
		for i := range hidden {
			if hidden[i][last] {
				continue
			}
			run := 0
			for s := last - 57; s <= last; s++ {
				if run++; !hidden[i][s] {
					run = 0
				}
				if run > 15 {
					t.Fatalf("seed %d: lowered after %s, pod %d was not seen until %d s", seed, at, i, s)
				}
			}
		}
	}
}

// What held a fall before the load was not seen for a while is not told after that, as if it held it still.
func TestWhatHeldBeforeAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.2, 3 * time.Minute: 0.3}))
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, strings.Replace(plain, "minReplicas: 1", "minReplicas: 1, behavior: {scaleDown: {stabilizationWindowSeconds: 120}}", 1))}})
		waited := 0
		for s := range 400 {
			time.Sleep(time.Second)
			w.set(func() { w.blind = s >= 280 && s < 320 })
			if s < 325 {
				continue
			}
			switch last := l.Scaled(time.Now())[0].Last; {
			case last.Reason == string(policy.AwaitingLook):
				waited++
			case last.Reason == string(policy.ScaleDownStabilized):
				t.Fatalf("after %d s: %s", s, last.Message)
			}
		}
		if end(); waited < 50 {
			t.Errorf("it waited for %d s alone", waited)
		}
	})
}
