package policy

import (
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// A lowering waits until half the stable window has been seen with all replicas ready, for those that were just made, and for its turn, and says for which.
func TestWhatALoweringWaitsFor(t *testing.T) {
	of := func(ready time.Duration, change func(*Input)) *Decision {
		in := tenPods(4, 30)
		in.State = &State{Recommendations: []Recommendation{{At: in.Now.Add(-20 * time.Second), Replicas: 2}}}
		in.Looks = in.Looks[:0]
		for _, w := range []time.Duration{3 * time.Second, 30 * time.Second, time.Minute} {
			l := Look{Metric: "cpu", Window: w, Noise: 0.005, NoiseKnown: true, Usage: usageOf(in.Pods, w, 30)}
			for i := range l.Usage {
				if own := &l.Usage[i]; i > 1 && ready < w { // two were ready for so long alone
					own.Window = ready
				}
			}
			in.Looks = append(in.Looks, l)
		}
		if change != nil {
			change(&in)
		}
		d := Decide(in)
		return &d
	}
	starting := func(started, made time.Duration) func(*Input) {
		return func(in *Input) {
			p := &in.Pods[3]
			p.Phase, p.Ready, p.StartTime = "Pending", "False", time.Time{}
			if started > 0 {
				p.StartTime = in.Now.Add(-started)
			}
			p.Status = cluster.Status{Since: in.Now.Add(-made)}
		}
	}
	const none = time.Hour
	for name, c := range map[string]struct {
		d    *Decision
		want string // "": it is lowered
	}{
		"all is seen":                  {of(none, nil), ""},
		"ready for 4 s":                {of(4*time.Second, nil), "shrinking rests on a look of 30 s in which all were ready, which there is not yet."},
		"ready for 31 s":               {of(31*time.Second, nil), ""},
		"one has just been started":    {of(none, starting(20*time.Second, 21*time.Second)), "nothing is lowered while a replica that was just started is not ready."},
		"one has no machine yet":       {of(none, starting(0, 20*time.Second)), "nothing is lowered while a replica that was just started is not ready."},
		"one had none for ten minutes": {of(none, starting(0, 10*time.Minute)), ""},
		"no look of the whole window":  {of(none, func(in *Input) { in.Looks = in.Looks[:2] }), "shrinking rests on a look of 60 s, which there is not yet."},
		"a look was just taken":        {of(none, func(in *Input) { in.State.Recommendations[0].At = in.Now.Add(-5 * time.Second) }), "the next look at shrinking is due in 10 s."},
	} {
		if lowered := c.d.Action == Down; lowered != (c.want == "") || !lowered && (c.d.Reason != AwaitingLook || !strings.HasSuffix(c.d.Message, c.want)) {
			t.Errorf("%s: %s to %d, %s: %q, want %q", name, c.d.Action, c.d.Desired, c.d.Reason, c.d.Message, c.want)
		}
	}
}
