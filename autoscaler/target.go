package autoscaler

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// target is what the loop knows of one target. The worker that makes a pass over it holds it until the pass ends, its timer in between;
// the first fields and shown are under the loop's lock.
type target struct {
	policy Policy
	gone   bool        // it has no policy any more
	busy   bool        // somebody has it in hand
	timer  *time.Timer // of the next pass

	key     cluster.Target
	entity  *metric.Entity
	due     time.Time // of the next pass
	began   time.Time // the last pass
	second  time.Time // what the last pass saw is of this second
	follow  string    // the node whose batch the next pass waits for, see pacer; under the loop's lock
	trouble string    // Scale.Trouble of the last pass
	on      []onNode  // where its ready pods were at the last pass
	leave   func()    // gives back the worker or the slow place that the pass holds
	blind   time.Time // since when its pods are not known; zero: they are
	late    bool      // a call of this pass ran into its deadline
	hung    int       // passes in a row of which one did

	histories map[corev1.ResourceName]*history
	others    map[string]*view        // of the metrics that are not what pods use
	left      departures              // of the pods that no collector tells of
	counted   cluster.DesiredReplicas // as last read; -1: never
	changed   time.Time               // when it was seen to be another one
	made      cluster.DesiredReplicas // by this process, since it was read; 0: nothing was
	state     *policy.State           // nil: never seen before
	restored  bool                    // the log was asked
	unread    error                   // why it could not be read; nil: it could
	recalls   time.Time               // when it is asked again
	leads     bool                    // this process could write when the last pass began
	took      time.Time               // since when it can
	of        *policy.Policy          // that state's Looked is of
	awake     time.Time               // since when the count is not 0; zero: it is

	lost    *policy.Decision        // whose change got no answer: it may have been made; nil: there is none
	tries   int                     // changes that failed in a row
	retry   time.Time               // no change before
	refusal string                  // why the last change that failed did
	sought  cluster.DesiredReplicas // what that change asked for
	failed  string                  // the sentence of the last one that did; "" once one has succeeded
	asked   time.Time               // since when a change waits for its turn; zero if none does
	logged  struct {
		at      time.Time
		reason  string
		cause   string // the same, and of a change that is refused why
		desired int32
	}
	kept  time.Time      // newest point of the kept series
	shown cluster.Scaled // under the loop's lock
	lacks string         // the trouble that shown.State tells of, likewise
	fails bool           // a change was refused and none was made since, likewise
	whole *detail        // of shown.Last, likewise
}

// detail is a decision as JSON, written when somebody asks for it: most are never asked for.
type detail struct {
	of   *policy.Decision
	once sync.Once
	json []byte
}

func (d *detail) text() []byte {
	d.once.Do(func() {
		if raw, err := json.Marshal(d.of); err == nil {
			d.json = raw
		}
	})
	return d.json
}

// history is what one resource of a target was used, second by second.
type history struct {
	*policy.History
	view
	windows []time.Duration
	at      time.Time // of the newest second
	left    departures
}

func newTarget(node string, key cluster.Target) *target {
	return &target{
		key: key, histories: map[corev1.ResourceName]*history{}, others: map[string]*view{}, counted: -1,
		entity: &metric.Entity{Level: metric.Workload, Node: node, Namespace: key.Namespace, WorkloadKind: key.Kind, Workload: key.Name},
	}
}

// adopt puts a policy in force. The loop's lock is held.
func (t *target) adopt(p Policy) {
	t.policy, t.gone = p, false
	t.shown.Target, t.shown.By, t.shown.Policy, t.shown.Mode = t.key, slices.Concat(p.Declared, p.RefusedBy), p.Text, string(p.Compiled.Mode())
	last := policy.Reason("")
	if t.shown.Last != nil {
		last = policy.Reason(t.shown.Last.Reason)
	}
	t.fails = t.fails && p.Compiled.Mode() == policy.Auto
	t.shown.State = p.state(last, t.lacks, t.fails)
	t.shown.Utilizations = p.Compiled.Utilizations()
	t.limits(time.Now())
}

// limits shows those that are in force. The loop's lock is held.
func (t *target) limits(now time.Time) {
	least, most, since := t.policy.Compiled.Limits(now)
	t.shown.Min, t.shown.Max, t.shown.Schedule = new(int32(least)), new(int32(most)), since
}

// history returns the history of a resource for windows of these lengths, a new one if the lengths have changed.
func (t *target) history(name corev1.ResourceName, windows []time.Duration) *history {
	h := t.histories[name]
	if h == nil || !slices.Equal(h.windows, windows) {
		old := h
		h = &history{History: policy.NewHistory(windows), windows: windows}
		if old != nil {
			h.view, h.at, h.left = old.view, old.at, old.left
			for i, x := range old.Series() {
				h.Add(old.at.Add(time.Duration(i-len(old.Series())+1)*time.Second), x)
			}
		}
		t.histories[name] = h
	}
	return h
}

// Scaled returns the state of all targets, by namespace, kind and name. The caller must not change what it points to.
func (l *Loop) Scaled(time.Time) []cluster.Scaled {
	l.mu.Lock()
	out, details := make([]cluster.Scaled, len(l.order)), make([]*detail, len(l.order))
	for i, t := range l.order {
		out[i], details[i] = t.shown, t.whole
	}
	l.mu.Unlock()
	for i, d := range details {
		if last := out[i].Last; d != nil && last.Detail == nil {
			whole := *last
			whole.Detail = d.text()
			out[i].Last = &whole
		}
	}
	return out
}
