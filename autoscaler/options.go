package autoscaler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/turns"
)

// ErrConflict is what a Scaler returns, and callers test for with errors.Is, when somebody else has changed the count since it was read.
var ErrConflict = errors.New("the count was changed meanwhile")

// Policy is a ScalePolicy for one target.
type Policy struct {
	Name     string                // of the policy, in the target's namespace
	By       string                // the policy as people call it: "ScalePolicy web"; "": "the policy"
	Declared []cluster.Declaration // the object that it is; none where the target's annotations are the policy
	Target   cluster.Target
	Compiled *policy.Policy
	Text     string // as YAML, for people
	// Foreign says, as a clause for people, who else sets the target's count; then it is left alone. "": nobody.
	Foreign string
	// Owner is who sets it beside this policy, as people call them: "HPA web". Without Foreign it is helped, not in the way. "": nobody.
	Owner string
	// Refused says, as a clause for people, which other declarations for the target are not in force, and why; RefusedBy are their objects. "": none.
	Refused   string
	RefusedBy []cluster.Declaration
	// Zero is what the object that it is says of a count of 0; nil: nothing.
	Zero *Zero
}

// Zero says whose a target's count of 0 is, as the status of what declares its policy has it. It outlives processes and their logs.
type Zero struct {
	Ours    bool      // it is 0 because a decision made it so: a load raises it again
	Since   time.Time // when that turned
	Another bool      // another scaler decides so, and the status is its own: it is believed at all times
}

// state says who sets the count if it is not this policy, or not alone, what keeps the count from being met (trouble, see
// Scale), and what else is declared in vain. why is the newest decision's reason; fails says that a change was refused, and none was made since.
func (p *Policy) state(why policy.Reason, trouble string, fails bool) string {
	var out []string
	switch {
	case why == policy.FailedGetScale:
		out = append(out, cmp.Or(p.By, "the policy")+" cannot be used ("+string(why)+")")
		if p.Refused != "" {
			out = append(out, p.Refused)
		}
		return strings.Join(out, ", ")
	case p.Foreign != "":
		out = append(out, cmp.Or(p.Owner, "another")+" scales it")
	case p.Owner != "":
		out = append(out, "boosts "+p.Owner)
	}
	switch {
	case why == policy.ScalingDisabled:
		out = append(out, "somebody set it to 0")
	case broke(why), fails:
		out = append(out, "its change fails ("+string(failedUpdateScale)+")")
	}
	switch p.Compiled.Mode() {
	case policy.DryRun:
		out = append(out, "dry run")
	case policy.Paused:
		out = append(out, "paused")
	}
	if trouble != "" {
		out = append(out, "replicas cannot be made: "+strings.TrimSuffix(trouble, "."))
	}
	if p.Refused != "" {
		out = append(out, p.Refused)
	}
	return strings.Join(out, ", ")
}

// Observer tells what pods use.
type Observer interface {
	// Usage returns what each of the pods used of a resource over the newest w, in their order: the mean rate of a counter, the mean
	// of a gauge. A pod without a current value is left out; a container without one is there without usage.
	Usage(now time.Time, pods []*cluster.Pod, name corev1.ResourceName, w time.Duration) []cluster.PodUsage
	// Gap says since when and why (a clause for people) a pod has no current value; "" if it does not know.
	Gap(now time.Time, pod *cluster.Pod) (why string, since time.Time)
}

// Scaler counts a target's replicas and changes their number.
type Scaler interface {
	// Scale reads the counts. The error wraps cluster.ErrNoTarget where there is no such target.
	Scale(ctx context.Context, t cluster.Target) (Scale, error)
	// SetScale asks for another number of replicas if the number asked for still is from; ErrConflict if not.
	SetScale(ctx context.Context, t cluster.Target, from, to cluster.DesiredReplicas) error
}

// Scale is a target's replicas at one moment.
type Scale struct {
	Desired  cluster.DesiredReplicas
	Observed cluster.ObservedReplicas
	Trouble  string // why there are not as many as are asked for, in the words of who makes them; "": nobody says
}

// Outcome is how a pass over a target ended.
type Outcome struct {
	Target   cluster.Target
	Time     time.Time
	Replicas cluster.ObservedReplicas
	Seen     bool             // the target is there
	Trouble  string           // see Scale
	Decision *policy.Decision // shared: nobody changes it
}

// UsageReader is a second source of usage, for pods that the Observer does not know.
type UsageReader interface {
	// PodUsage returns what metrics.k8s.io says of the pods of a target; a pod left out has no sample. It is asked at every pass that
	// lacks a pod, and answers with what it holds while that is fresh.
	PodUsage(ctx context.Context, t cluster.Target, pods []*cluster.Pod) ([]cluster.PodUsage, error)
}

// Meter reads what else a target is scaled on: metrics of custom.metrics.k8s.io and external.metrics.k8s.io.
type Meter interface {
	// Read answers a policy's questions about a target, in their order, with what it holds. It waits for the first answer alone, and not for
	// long. Values that were read before changed are to be read anew.
	Read(ctx context.Context, t cluster.Target, questions []policy.Question, pods []*cluster.Pod, changed time.Time) []policy.Reading
}

// DecisionLog keeps decisions.
type DecisionLog interface {
	AppendDecision(ctx context.Context, d cluster.Decision) error
	Decisions(ctx context.Context, q store.DecisionQuery) ([]cluster.Decision, error)
}

// Live receives series for the live picture.
type Live interface{ Apply(b *metric.Batch) error }

// History receives series to be kept.
type History interface {
	Append(ctx context.Context, b *metric.Batch) error
}

// Options are what a Loop needs.
type Options struct {
	Node     string // name of this machine, on the series
	Policies []Policy
	Observer Observer
	// Inventory knows the pods of the targets.
	Inventory cluster.Inventory
	// NoPods says, as a clause for people, why the Inventory has no pod of a target that is to have some; "" where it does not know. nil: nobody does.
	NoPods  func(ctx context.Context, t cluster.Target) string
	Scaler  Scaler
	Usage   UsageReader  // nil: the Observer knows all there is
	Meter   Meter        // nil: there are no other metrics than what pods use
	Gate    cluster.Gate // asked before each write; nil: cluster.Open
	Log     DecisionLog  // nil: decisions are not kept, and nothing is known of those before a restart
	Live    Live         // nil: no series for the page
	History History      // nil: no series are kept
	Shared  bool         // others write to the history too: series are kept while this process may write
	// Told is told how each pass over a target ended while this process may write, and must not wait; nil: nobody.
	Told func(Outcome)
	// ToZero keeps that a count of 0 is this process's decision. It is asked before the count is changed, which with an error it is not; nil: nobody keeps it.
	ToZero func(ctx context.Context, t cluster.Target) error
	// brain are the settings of the brain; nil: policy.DefaultOptions().
	brain *policy.Options

	interval    time.Duration // between two passes of a target; zero: 1 s
	KeepEvery   time.Duration // between two points of the kept series; zero: 10 s
	CallTimeout time.Duration // of one call of Scaler, Usage or Log, and of the wait for a write's turn; zero: 5 s

	// Turns has changes of counts wait for their turn, raises first; nil: none waits.
	Turns *turns.Turns

	Logger     *slog.Logger          // nil: discard
	Registerer prometheus.Registerer // nil: not registered
}

// Validate says what is missing or impossible.
func (o *Options) Validate() error {
	var errs []error
	if o.Observer == nil {
		errs = append(errs, errors.New("an autoscaler needs an Observer"))
	}
	if o.Inventory == nil {
		errs = append(errs, errors.New("an autoscaler needs an Inventory"))
	}
	if o.Scaler == nil {
		errs = append(errs, errors.New("an autoscaler needs a Scaler"))
	}
	for _, d := range []struct {
		name string
		d    time.Duration
	}{{"interval", o.interval}, {"KeepEvery", o.KeepEvery}, {"CallTimeout", o.CallTimeout}} {
		if d.d < 0 {
			errs = append(errs, fmt.Errorf("%s %q is negative", d.name, d.d))
		}
	}
	if o.brain != nil {
		errs = append(errs, o.brain.Validate())
	}
	errs = append(errs, validatePolicies(o.Policies))
	return errors.Join(errs...)
}

func validatePolicies(ps []Policy) error {
	var errs []error
	seen := map[cluster.Target]string{}
	for _, p := range ps {
		if p.Compiled == nil {
			errs = append(errs, fmt.Errorf("policy %q was not compiled", p.Name))
		}
		if other, twice := seen[p.Target]; twice {
			errs = append(errs, fmt.Errorf("policies %q and %q both scale %q", other, p.Name, p.Target))
		}
		seen[p.Target] = p.Name
	}
	return errors.Join(errs...)
}

func (o *Options) setDefaults() {
	o.interval = cmp.Or(o.interval, time.Second)
	o.KeepEvery = cmp.Or(o.KeepEvery, 10*time.Second)
	o.CallTimeout = cmp.Or(o.CallTimeout, 5*time.Second)
	o.Gate = cmp.Or(o.Gate, cluster.Gate(cluster.Open{}))
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	if o.Turns == nil {
		o.Turns = turns.New(turns.Options{})
	}
	if o.brain == nil {
		b := policy.DefaultOptions()
		o.brain = &b
	}
}
