package autoscaler

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/autoscaler/policy"
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
				if s := l.Scaled(time.Now())[0]; s.Max != 3 || (s.Schedule == "0 0 * * * UTC") != (name == "schedule") {
					t.Errorf("%d to %d by the schedule %q", s.Min, s.Max, s.Schedule)
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
