package autoscaler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// Errors that a Scaler returns and that callers can test for with errors.Is.
var (
	// ErrNoTarget is a target that does not exist, or not any more.
	ErrNoTarget = errors.New("no such target")
	// ErrConflict is a count that somebody else has changed since it was read.
	ErrConflict = errors.New("the count was changed meanwhile")
)

// Target names what is scaled.
type Target struct{ Namespace, Kind, Name string }

// String returns "namespace/kind/name".
func (t Target) String() string { return t.Namespace + "/" + t.Kind + "/" + t.Name }

// Policy is a ScalePolicy for one target.
type Policy struct {
	Name     string // of the policy, in the target's namespace
	Target   Target
	Compiled *policy.Policy
	Text     string // as YAML, for people
}

// Observer tells what a target's pods use.
type Observer interface {
	// Look returns what each pod used over the newest w: the mean rate of a counter, the mean of a gauge. A pod
	// without a current value is left out.
	Look(now time.Time, t Target, id metric.ID, w time.Duration) []PodUsage
	// Gap says since when and why (a clause for people) a pod has no current value; "" if it does not know.
	Gap(now time.Time, t Target, pod string) (why string, since time.Time)
}

// PodUsage is what one pod used, as the live picture tells it.
type PodUsage struct {
	Pod        string
	Timestamp  time.Time     // of the newest sample
	Window     time.Duration // what the look really covers
	Containers []ContainerUsage
}

// ContainerUsage is one container's part in the row's unit: cores, bytes.
type ContainerUsage struct {
	Name  string
	Value float64
}

// Scaler counts a target's replicas and changes their number.
type Scaler interface {
	Scale(ctx context.Context, t Target) (Scale, error)
	// SetScale asks for another number of replicas if the number asked for still is from; ErrConflict if not.
	SetScale(ctx context.Context, t Target, from, to policy.WishedReplicas) error
}

// Scale is a target's replicas at one moment.
type Scale struct {
	Wished   policy.WishedReplicas
	Observed policy.ObservedReplicas
	Pods     []policy.Pod
	Members  []Member
}

// Member is one replica as the page shows it.
type Member struct {
	Name     string
	State    string // starting, ready, draining, backing-off, dead
	Ready    bool
	Since    time.Time
	Restarts int
	PID      int    // 0 if there is none
	Cgroup   string // path below the mount point; "" if there is none
	Detail   string
}

// DecisionLog keeps decisions.
type DecisionLog interface {
	AppendDecision(ctx context.Context, d store.Decision) error
	Decisions(ctx context.Context, q store.DecisionQuery) ([]store.Decision, error)
}

// Live takes series for the live picture.
type Live interface{ Apply(b *metric.Batch) error }

// History takes series to be kept.
type History interface {
	Append(ctx context.Context, b *metric.Batch) error
}

// Options are what a Loop needs.
type Options struct {
	Node     string // name of this machine, on the series
	Policies []Policy
	Observer Observer
	Scaler   Scaler
	Log      DecisionLog // nil: decisions are not kept, and nothing is known of those before a restart
	Live     Live        // nil: no series for the page
	History  History     // nil: no series are kept
	// Brain are the settings of the brain; nil: policy.DefaultOptions().
	Brain *policy.Options

	Interval    time.Duration // between two passes of a target; zero: 1 s
	KeepEvery   time.Duration // between two points of the kept series; zero: 10 s
	CallTimeout time.Duration // of one call of Scaler or Log; zero: 5 s

	Logger     *slog.Logger          // nil: discard
	Registerer prometheus.Registerer // nil: not registered
}

// Validate says what is missing or impossible.
func (o *Options) Validate() error {
	var errs []error
	if o.Observer == nil {
		errs = append(errs, errors.New("an autoscaler needs an Observer"))
	}
	if o.Scaler == nil {
		errs = append(errs, errors.New("an autoscaler needs a Scaler"))
	}
	for _, d := range []struct {
		name string
		d    time.Duration
	}{{"Interval", o.Interval}, {"KeepEvery", o.KeepEvery}, {"CallTimeout", o.CallTimeout}} {
		if d.d < 0 {
			errs = append(errs, fmt.Errorf("%s %q is negative", d.name, d.d))
		}
	}
	if o.Brain != nil {
		errs = append(errs, o.Brain.Validate())
	}
	errs = append(errs, validatePolicies(o.Policies))
	return errors.Join(errs...)
}

func validatePolicies(ps []Policy) error {
	var errs []error
	seen := map[Target]string{}
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
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&o.Interval, time.Second)
	set(&o.KeepEvery, 10*time.Second)
	set(&o.CallTimeout, 5*time.Second)
	if o.Brain == nil {
		b := policy.DefaultOptions()
		o.Brain = &b
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}
