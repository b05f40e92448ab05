package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plimsoll.dev/plimsoll/autoscaler"
	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// people are told, and may refuse to listen.
type people struct {
	mu     sync.Mutex
	events []string
	writes []string
	fail   error
	closed error // the gate
}

func (p *people) MayWrite() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

func (p *people) set(closed, fail error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.fail = closed, fail
}

func (p *people) Tell(e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, fmt.Sprintf("%v %s: %s", e.Warning, e.Reason, e.Note))
}

func (p *people) SetStatus(_ context.Context, _, name string, patch []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes = append(p.writes, name+" "+string(patch))
	return p.fail
}

// since returns what was written since the last time.
func (p *people) since() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, p.writes = len(p.writes), nil
	return n
}

func outcome(d policy.Decision) autoscaler.Outcome {
	return autoscaler.Outcome{Target: cluster.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}, Time: time.Now(), Replicas: 2, Seen: true, Decision: &d}
}

func held(reason policy.Reason, message string) policy.Decision {
	return policy.Decision{Action: policy.Hold, Current: 2, Desired: 2, Reason: reason, Message: message, Conditions: []policy.Condition{{Type: "AbleToScale", Status: "True", Reason: policy.ReadyForNewScale}, {Type: "ScalingActive", Status: "True", Reason: policy.ValidMetricFound}}}
}

// writing is a book that writes until it is stopped, which waits for its end.
func writing(t *testing.T, p *people) (b *book, stop func()) {
	b = newBook(p, p)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.run(ctx) }()
	return b, func() {
		cancel()
		<-done
	}
}

// TestBook tells of what changes, and not of what changes all the time.
func TestBook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &people{}
		b, stop := writing(t, p)
		b.open(settle([]*Declared{scp(t, "one", 1, "{"+ofWeb+"}")}, nil, false, nil), time.Now())
		pass := func(n int, d func(i int) policy.Decision) {
			for i := range n {
				b.told(outcome(d(i)))
				time.Sleep(time.Second)
			}
		}
		pass(5, func(int) policy.Decision { return held(policy.AtTarget, "It is fine.") })
		if n := p.since(); n != 1 {
			t.Errorf("%d writes of the first status", n)
		}
		pass(600, func(i int) policy.Decision { return held(policy.AtTarget, fmt.Sprintf("Load is %d %%.", i)) })
		if n := p.since(); n < 9 || n > 11 {
			t.Errorf("%d writes in ten minutes of sentences alone, want one a minute", n)
		}
		pass(120, func(i int) policy.Decision {
			return held([]policy.Reason{policy.AtTarget, policy.WithinTolerance}[i%2], "It is fine.")
		})
		if n := p.since(); n > 13 {
			t.Errorf("%d writes in two minutes of reasons that change each second", n)
		}
		up := held(policy.CPUAboveTarget, "Load stood at 99 %.")
		up.Action, up.Desired = policy.Up, 4
		pass(2, func(i int) policy.Decision {
			if i == 0 {
				return up
			}
			return held(policy.AtTarget, "It is fine.")
		})
		if n := p.since(); n != 2 || len(p.events) != 1 || p.events[0] != "false ScaledUp: From 2 to 4. Load stood at 99 %." {
			t.Errorf("%d writes of a change, events %q", n, p.events)
		}
		bad := held(policy.FailedResourceMetric, "No sample from web-1.")
		bad.Conditions = []policy.Condition{{Type: "ScalingActive", Status: "False", Reason: policy.FailedResourceMetric}}
		p.events = nil
		pass(400, func(i int) policy.Decision {
			if i%2 == 0 {
				return bad
			}
			return held(policy.AtTarget, "It is fine.")
		})
		if n := len(p.events); n < 20 || n > 61 || p.events[0] != "true FailedGetResourceMetric: No sample from web-1." || p.events[1] != "false ValidMetricFound: The metrics say how many replicas are needed. It is fine." {
			t.Errorf("%d events of a condition that flaps for 400 s: %q", n, p.events[:2])
		}
		p.set(errors.New("another leads"), nil)
		time.Sleep(2 * time.Second)
		p.since()
		p.events = nil
		pass(3, func(int) policy.Decision { return up })
		if n := p.since(); n != 0 || len(p.events) != 0 {
			t.Errorf("who does not lead tells: %d writes, events %q", n, p.events)
		}
		p.set(nil, errors.New("refused"))
		pass(10, func(int) policy.Decision { return bad })
		if n := p.since(); n < 5 || n > 11 {
			t.Errorf("%d tries in ten seconds of a status that is refused", n)
		}
		stop()
	})
}

// Of a metric that fails beside others the condition and the decision tell. Where its API says something else each time, nothing is told each time.
func TestMetricThatFailsBesideOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &people{}
		b, stop := writing(t, p)
		b.open(settle([]*Declared{scp(t, "one", 1, "{"+ofWeb+"}")}, nil, false, nil), time.Now())
		bad := held(policy.FailedExternalMetric, "The metric received failed: refused.")
		bad.Conditions = []policy.Condition{{Type: "ScalingActive", Status: "False", Reason: policy.FailedExternalMetric}}
		b.told(outcome(bad))
		time.Sleep(2 * time.Second)
		p.since()
		const failed, words = "The metric received failed: request %d is refused.", "The metrics that did not fail say how many replicas are needed. "
		for i := range 600 {
			d := held(policy.AtTarget, "It is fine. "+fmt.Sprintf(failed, i))
			d.Conditions[1].Message = words + fmt.Sprintf(failed, i)
			b.told(outcome(d))
			time.Sleep(time.Second)
		}
		want := []string{"true FailedGetExternalMetric: " + bad.Message, "false ValidMetricFound: " + words + fmt.Sprintf(failed, 0)}
		if n, c := p.since(), b.stories["one"].now.get("ScalingActive"); n < 9 || n > 12 || !slices.Equal(p.events, want) || c.Status != "True" || c.Message != words+fmt.Sprintf(failed, 599) {
			t.Errorf("%d writes in ten minutes, want about one a minute; events %q, want %q; %+v", n, p.events, want, c)
		}
		stop()
	})
}

// TestRefused tells of a policy that is not in force, and of nothing once it is gone.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &people{}
		b, stop := writing(t, p)
		both := []*Declared{scp(t, "one", 2, "{"+ofWeb+"}"), scp(t, "two", 1, "{"+ofWeb+"}")}
		for range 5 {
			b.open(settle(both, nil, false, nil), time.Now())
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if len(p.writes) != 1 || !strings.Contains(p.writes[0], `"type":"AbleToScale","status":"False"`) || len(p.events) != 1 ||
			p.events[0] != `true ScaledByAnother: This ScalePolicy is not in force: ScalePolicy "one" scales Deployment "web" already.` {
			t.Errorf("writes %q, events %q", p.writes, p.events)
		}
		stale := scp(t, "one", 2, "{"+ofWeb+"}")
		stale.was = status{CurrentReplicas: new(int32(0)), DesiredReplicas: new(int32(0)), Mode: "Auto"}
		p.since()
		for _, d := range []*Declared{scp(t, "long", 1, "{"+ofWeb+", window: 2h}"), stale} {
			b.open(settle([]*Declared{d}, []*Declared{hpa("h", true, "")}, false, nil), time.Now())
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if n := len(p.writes); n == 0 || !strings.Contains(p.writes[n-1], `"currentReplicas":null,"desiredReplicas":null`) {
				t.Errorf("a policy that is not in force has counts: %q", p.writes)
			}
		}
		b.open(nil, time.Now())
		if b.told(outcome(held(policy.AtTarget, "x"))); len(b.stories)+len(b.targets) != 0 {
			t.Error("what is gone has a story")
		}
		stop()
	})
}

// TestLastWrites writes what the last passes changed, a change that was begun before the end included, once and not for ever.
func TestLastWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, fail := range []error{nil, errors.New("the API server is away")} {
			p := &people{}
			b, stop := writing(t, p)
			b.open(settle([]*Declared{scp(t, "one", 1, "{"+ofWeb+"}")}, nil, false, nil), time.Now())
			b.told(outcome(held(policy.AtTarget, "It is fine.")))
			time.Sleep(2*time.Second - bookEvery/2)
			p.set(nil, fail)
			p.since()
			zero := held(policy.AllBelowTarget, "Nobody is needed.")
			zero.Conditions = append(zero.Conditions, policy.Condition{Type: "ScaledToZero", Status: "True", Reason: policy.ScaledToZero})
			zero.Action, zero.Desired = policy.Down, 0
			b.told(outcome(zero))
			go func() {
				time.Sleep(bookEvery / 4)
				b.told(outcome(held(policy.AtTarget, "Nobody is there.")))
			}()
			stop()
			if len(p.writes) != 1 || !strings.Contains(p.writes[0], `"type":"ScaledToZero","status":"True"`) || !strings.Contains(p.writes[0], "Nobody is there.") {
				t.Errorf("with %v: %q", fail, p.writes)
			}
		}
	})
}

// TestTakeover goes on from what the last leader wrote into a policy's status: nothing is told twice, nothing is forgotten.
func TestTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &people{closed: errors.New("another leads")}
		b := newBook(p, p)
		one := scp(t, "one", 1, "{"+ofWeb+"}")
		b.open(settle([]*Declared{one}, nil, false, nil), time.Now())
		bad := held(policy.FailedResourceMetric, "No sample from web-1.")
		bad.Conditions = []policy.Condition{{Type: "ScalingActive", Status: "False", Reason: policy.FailedResourceMetric}}
		scaled := metav1.NewTime(born)
		later := scp(t, "one", 1, "{"+ofWeb+"}")
		later.was = status{CurrentReplicas: new(int32(2)), LastScaleTime: &scaled, Conditions: []metav1.Condition{{Type: "ScalingActive", Status: "False", Reason: string(policy.FailedResourceMetric), LastTransitionTime: scaled}}}
		b.open(settle([]*Declared{later}, nil, false, nil), time.Now())
		p.set(nil, nil)
		b.told(outcome(bad))
		now := b.stories["one"].now
		if len(p.events) != 0 || now.LastScaleTime == nil || !now.LastScaleTime.Equal(&scaled) || !now.get("ScalingActive").LastTransitionTime.Time.Equal(born) {
			t.Errorf("events %q, status %+v", p.events, now)
		}
	})
}

// Whose a count of 0 is, is in the status before the count is, and is taken back at once where it comes otherwise. One that is refused is tried once a second.
func TestZeroIsWrittenFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &people{}
		b, stop := writing(t, p)
		b.open(settle([]*Declared{scp(t, "one", 1, "{"+ofWeb+"}")}, nil, false, nil), time.Now())
		of := outcome(held(policy.AtTarget, "It is fine."))
		b.told(of)
		time.Sleep(time.Second - bookEvery/2)
		synctest.Wait()
		p.since()
		if err := b.toZero(t.Context(), of.Target); err != nil || len(p.writes) != 1 || !strings.Contains(p.writes[0], `"target":"Deployment.apps/web"`) || !strings.Contains(p.writes[0], `"type":"ScaledToZero","status":"True"`) {
			t.Errorf("%v, wrote %q", err, p.writes)
		}
		still := held(policy.AtTarget, "It is fine.")
		still.Conditions = append(still.Conditions, policy.Condition{Type: "ScaledToZero", Status: "False", Reason: policy.NotScaledToZero})
		again := outcome(still)
		b.told(again)
		time.Sleep(bookEvery)
		synctest.Wait()
		if len(p.writes) != 2 || !strings.Contains(p.writes[1], `"type":"ScaledToZero","status":"False"`) {
			t.Errorf("it came otherwise, and %v later there is %q", bookEvery, p.writes)
		}
		p.set(nil, errors.New("refused"))
		p.since()
		if err := b.toZero(t.Context(), of.Target); err == nil {
			t.Error("a status that is refused counts as written")
		}
		time.Sleep(5 * time.Second)
		if n := p.since(); n < 4 || n > 7 {
			t.Errorf("%d tries in five seconds", n)
		}
		stop()
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		b.stories["one"].writes <- struct{}{}
		if err := b.toZero(gone, of.Target); !errors.Is(err, context.Canceled) {
			t.Errorf("behind a writing that hangs: %v", err)
		}
	})
}

// Of a thousand statuses that are due at once, those that people look for go first, and none is written as it was before it had its turn.
func TestManyStatuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &people{}
		b := newBook(p, p)
		var all []*Declared
		for i := range 1000 {
			d := scp(t, fmt.Sprint("p", i), 1, fmt.Sprintf("{scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web%d}, maxReplicas: 5}", i))
			all = append(all, d)
		}
		b.open(settle(all, nil, false, nil), time.Now())
		pass := func(d policy.Decision, which ...int) {
			for _, i := range which {
				o := outcome(d)
				o.Target.Name = fmt.Sprint("web", i)
				b.told(o)
			}
		}
		every := make([]int, 1000)
		for i := range every {
			every[i] = i
		}
		flush := func() (rounds int) {
			for ; ; rounds++ {
				due := b.due(time.Now())
				if len(due) == 0 {
					return rounds
				}
				if len(due) > statusesAtOnce {
					t.Errorf("%d at once", len(due))
				}
				for _, x := range due {
					_ = b.write(t.Context(), x)
				}
			}
		}
		pass(held(policy.AtTarget, "It is fine."), every...)
		if n := flush(); n != 32 || p.since() != 1000 {
			t.Errorf("a thousand new statuses in %d rounds", n)
		}
		time.Sleep(2 * time.Minute)
		pass(held(policy.AtTarget, "It is fine, too."), every...)
		up := held(policy.CPUAboveTarget, "Load stood at 99 %.")
		up.Action, up.Desired = policy.Up, 4
		pass(up, 700)
		first := b.due(time.Now())
		pass(held(policy.AtTarget, "It is calm."), 700)
		_ = b.write(t.Context(), first[0])
		if len(p.writes) != 1 || !strings.HasPrefix(p.writes[0], "p700 ") || !strings.Contains(p.writes[0], "It is calm.") {
			t.Errorf("the first of a thousand is %q", p.writes)
		}
	})
}

// Replicas that cannot be made are a condition, with the sentence of who makes them, and one Event; its words may change at every try.
func TestReplicasThatCannotBeMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &people{}
		b := newBook(p, p)
		b.open(settle([]*Declared{scp(t, "one", 1, "{"+ofWeb+"}")}, nil, false, nil), time.Now())
		pass := func(trouble string) metav1.Condition {
			o := outcome(held(policy.AtTarget, "It is fine."))
			o.Trouble = trouble
			b.told(o)
			time.Sleep(time.Second)
			return b.stories["one"].now.get("ReplicasMade")
		}
		if c := pass(""); c.Status != "" || len(p.events) != 0 {
			t.Errorf("of what is well there is %+v, %q", c, p.events)
		}
		for i := range 20 {
			const want = "The replicas that are asked for cannot be made: pods %q is forbidden: exceeded quota"
			first, newest := fmt.Sprintf(want, "web-0"), fmt.Sprintf(want, fmt.Sprint("web-", i))
			if c := pass(fmt.Sprintf("pods %q is forbidden: exceeded quota", fmt.Sprint("web-", i))); c.Status != "False" || c.Reason != "FailedCreate" || c.Message != newest || len(p.events) != 1 || p.events[0] != "true FailedCreate: "+first {
				t.Errorf("after %d s: %+v, %q", i, c, p.events)
			}
		}
		gone := outcome(held(policy.FailedGetScale, "The target's scale cannot be used: there is none."))
		gone.Seen = false
		b.told(gone)
		if c := b.stories["one"].now.get("ReplicasMade"); c.Status != "False" {
			t.Errorf("of a target that is not seen: %+v", c)
		}
		if c := pass(""); c.Status != "True" || len(p.events) != 2 {
			t.Errorf("once they can be made: %+v, %q", c, p.events)
		}
	})
}

// Conditions tell of one look: once the metrics are there again, no other condition says that they failed.
func TestConditionsAreOfOneLook(t *testing.T) {
	look := func(active string, reason policy.Reason, message string) *autoscaler.Outcome {
		d := held("ScaledByAnother", "The count is left alone: HPA web scales it. "+message)
		d.Conditions = []policy.Condition{{Type: "AbleToScale", Status: "False", Reason: "ScaledByAnother"}, {Type: "ScalingActive", Status: active, Reason: reason}}
		o := outcome(d)
		return &o
	}
	s := (&status{}).after(&Declared{}, "Auto", look("False", policy.FailedResourceMetric, "The metric cpu failed."))
	s = s.after(&Declared{}, "Auto", look("True", policy.ValidMetricFound, "Load at 41 %."))
	if c := s.get("AbleToScale"); strings.Contains(c.Message, "failed") || !strings.Contains(c.Message, "41 %") {
		t.Errorf("beside metrics that are there: %+v", c)
	}
}

// A target whose scale cannot be read has no counts, also where it had some before, and explain says so.
func TestNoCountWithoutAScale(t *testing.T) {
	o := outcome(held(policy.AtTarget, "It is fine."))
	s := (&status{}).after(&Declared{}, "Auto", &o)
	gone := outcome(held(policy.FailedGetScale, "The target's scale cannot be used: there is none."))
	gone.Seen = false
	s = s.after(&Declared{}, "Auto", &gone)
	told := gone.Decision.Lines("shop/web")[0]
	if s.CurrentReplicas != nil || s.DesiredReplicas != nil || told != "shop/web  count not known, held  (FailedGetScale)" {
		t.Errorf("status %+v, explain %q", s, told)
	}
}

// TestStatusSaysWhatExplainDoes: 'kubectl get scp' and 'plimsoll explain' tell of a decision in the same words and numbers.
func TestStatusSaysWhatExplainDoes(t *testing.T) {
	for _, d := range []policy.Decision{
		{Action: policy.Up, Current: 3, Desired: 5, Reason: policy.CPUAboveTarget, Message: "Load stood at 104 %; 5 replicas bring it to 70 %."},
		{Action: policy.Hold, Current: 3, Desired: 3, Reason: policy.ModeDryRun, Message: "Dry run: would go from 3 to 5. Load stood at 104 %."},
	} {
		o := outcome(d)
		o.Replicas = cluster.ObservedReplicas(d.Current)
		s := (&status{}).after(&Declared{}, "Auto", &o)
		told := strings.Join(d.Lines("shop/web"), "\n")
		counts := fmt.Sprintf("%d -> %d", *s.CurrentReplicas, *s.DesiredReplicas)
		if *s.CurrentReplicas == *s.DesiredReplicas {
			counts = fmt.Sprintf("%d, held", *s.CurrentReplicas)
		}
		for _, want := range []string{counts, "(" + s.LastDecision.Reason + ")", s.LastDecision.Message} {
			if !strings.Contains(told, want) {
				t.Errorf("explain says\n%s\nand not %q, which the status does", told, want)
			}
		}
		if !s.LastDecision.Time.Time.Equal(o.Time) || (s.LastScaleTime != nil) != (d.Action != policy.Hold) {
			t.Errorf("%s: %+v, scaled at %v", d.Action, s.LastDecision, s.LastScaleTime)
		}
	}
}

// A decision that goes without a metric is written soon, and one that has it again; one that lacks pods, or has them again, as soon as one with another reason; one that has another figure alone waits.
func TestStatusHasWhatFailed(t *testing.T) {
	of := func(failed, message string, missing ...string) *status {
		d := held(policy.AtTarget, message)
		d.Metrics = []policy.MetricReport{{Type: "Resource", Name: "cpu", Error: failed}, {Type: "Resource", Name: "memory", Pods: policy.PodGroups{Missing: missing}}}
		o := outcome(d)
		s := (&status{}).after(&Declared{}, "Auto", &o)
		return &s
	}
	for _, c := range []struct {
		was, is *status
		want    time.Duration
	}{
		{of("no pod has a sample that counts", "Memory is. The metric cpu failed."), of("", "Load is."), changeWait},
		{of("", "Load is."), of("no pod has a sample that counts", "Memory is. The metric cpu failed."), changeWait},
		{of("no pod has a sample", "Memory is. The metric cpu failed: no."), of("its API is away", "Memory is. The metric cpu failed: away."), sentenceWait},
		{of("", "Load is."), of("", "Load was."), sentenceWait},
		{of("", "Load is."), of("", "Load is, with 1 without a sample.", "one"), reasonWait},
		{of("", "Load is, with 1 without a sample.", "one"), of("", "Load is."), reasonWait},
		{of("", "Load is, with 1 without a sample.", "one"), of("", "Load is, with 2 without a sample.", "one", "two"), sentenceWait},
	} {
		if got := c.is.wait(c.was); got != c.want {
			t.Errorf("%q after %q waits %v, want %v", c.is.LastDecision.Message, c.was.LastDecision.Message, got, c.want)
		}
	}
}

// While a schedule holds, the status says so with its limits and its start; that it does not any more is a change, too.
func TestStatusHasTheSchedule(t *testing.T) {
	p := &people{}
	b := newBook(p, p)
	b.open(settle([]*Declared{scp(t, "one", 1, `{`+ofWeb+`, schedules: [{start: "0 8 * * *", end: "0 9 * * *", minReplicas: 4, maxReplicas: 9}]}`)}, nil, false, nil), born)
	x := b.stories["one"]
	var was status
	for _, c := range []struct{ at, want string }{
		{"2026-01-01T07:59:59Z", "null"}, {"2026-01-01T08:00:00Z", `"4 to 9 since 0 8 * * * UTC"`}, {"2026-01-01T08:59:59Z", `"4 to 9 since 0 8 * * * UTC"`}, {"2026-01-01T09:00:00Z", "null"},
	} {
		o := outcome(held(policy.AtTarget, "It is fine."))
		var err error
		if o.Time, err = time.Parse(time.RFC3339, c.at); err != nil {
			t.Fatal(err)
		}
		b.told(o)
		raw, _ := json.Marshal(x.now.Schedule)
		if string(raw) != c.want {
			t.Errorf("at %s: %s, want %s", c.at, raw, c.want)
		}
		changed := was.LastDecision == nil || (was.Schedule == nil) != (c.want == "null")
		if got := x.now.wait(&was) == changeWait; got != changed {
			t.Errorf("at %s: to be written soon %v, want %v", c.at, got, changed)
		}
		was = x.now
	}
	if next := x.now.refused(&x.settled, born); next.Schedule != nil {
		t.Errorf("of one that is not in force: %q", *next.Schedule)
	}
}
