package wiring

import (
	"context"
	"errors"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"plimsoll.dev/plimsoll/autoscaler"
	scalepolicies "plimsoll.dev/plimsoll/autoscaler/kube"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/kube"
	"plimsoll.dev/plimsoll/internal/serve"
	"plimsoll.dev/plimsoll/internal/turns"
)

// What the autoscaler asks of a cluster's API server: a call may take less than a lease outlives the last moment at which its holder writes, and
// all that is written is bounded: in a second so many calls, and so many of them for status and as many for Events.
const (
	clusterCall   = 2 * time.Second
	clusterWrites = 200
	clusterTold   = 50
)

// clusterScaling is what the loop over the ScalePolicies of a cluster has at hand.
type clusterScaling struct {
	of       *Kubernetes
	mode     string // "on" or "dry-run"
	known    *kube.Inventory
	observer autoscaler.Observer
	// foreign has metrics.k8s.io asked for pods that the observer does not know.
	foreign bool
	log     autoscaler.DecisionLog // nil: decisions are not kept
	live    autoscaler.Live        // nil: there is no page
	history autoscaler.History     // nil: no series are kept
	shared  bool                   // see autoscaler.Options
	every   time.Duration          // between two points of kept series
	// onFresh has the loop called after each batch of samples; nil: nothing is sent here.
	onFresh func(func(node string))
}

// newClusterAutoscaler makes it.
func newClusterAutoscaler(e *environment, o clusterScaling) error {
	config, err := o.of.config(e, "plimsoll-autoscaler")
	if err != nil {
		return err
	}
	config.QPS = -1 // what is written takes turns, raises first; in a queue of client-go's they would not
	calls := turns.New(turns.Options{Rate: clusterWrites, Burst: clusterWrites, Told: clusterTold})
	if err := e.registry.Register(calls); err != nil {
		return err
	}
	log := e.named("autoscaler")
	scales, err := kube.NewScales(config, log)
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	told, err := kube.NewTeller(kube.TellerOptions{Config: config, Name: "plimsoll.dev/autoscaler", Instance: host, Turns: calls, Logger: log, Registerer: e.registry})
	if err != nil {
		return err
	}
	meter, err := newMeter(e, config, scales)
	if err != nil {
		return err
	}
	var usage autoscaler.UsageReader
	if o.foreign {
		usage = meter
	}
	var loop *autoscaler.Loop
	policies, err := scalepolicies.New(scalepolicies.Options{DryRun: o.mode != "on", Gate: e.gate, Teller: teller{told}, Logger: log, Open: func(changed func()) (scalepolicies.Tables, error) {
		return policyTables(kube.TableOptions{Config: config, Logger: log, Changed: changed})
	},
		Apply: func(ps []autoscaler.Policy) error { return loop.Apply(ps) }})
	if err != nil {
		return err
	}
	if loop, err = autoscaler.New(autoscaler.Options{Observer: o.observer, Inventory: o.known, NoPods: noPods{o.known, meter.selectors}.of, Usage: usage, Meter: meter, Gate: e.gate, Scaler: scaler{scales}, Told: policies.Told, ToZero: policies.ToZero,
		Log: o.log, Live: o.live, History: o.history, Shared: o.shared, KeepEvery: o.every, CallTimeout: clusterCall, Turns: calls, Logger: log, Registerer: e.registry}); err != nil {
		return err
	}
	if o.onFresh != nil {
		o.onFresh(loop.Fresh)
	}
	e.life.Runs("counts", scales.Run)
	e.life.Runs("autoscaler", loop.Run)
	e.life.Runs("policies", policies.Run)
	e.life.Runs("events", told.Run)
	e.checks = append(e.checks, serve.Check{Name: "autoscaler", Stuck: func() error { return loop.Stuck(serve.StuckAfter) }, Test: loop.Health})
	e.scaled = append(e.scaled, loop.Scaled, policies.Scaled)
	e.conditions = append(e.conditions, policies.Conditions)
	return nil
}

// policyTables are what the cluster declares to be scaled.
func policyTables(o kube.TableOptions) (out scalepolicies.Tables, err error) {
	if out.Policies, err = kube.Custom(o, scalepolicies.GVR(), scalepolicies.Kind, scalepolicies.ReadPolicy); err != nil {
		return out, err
	}
	if out.Autoscalers, err = kube.Autoscalers(o, scalepolicies.ReadAutoscaler); err != nil {
		return out, err
	}
	for resource, kind := range map[string]string{"deployments": "Deployment", "statefulsets": "StatefulSet"} {
		t, err := kube.Metadata(o, schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: resource}, scalepolicies.ReadAnnotated("apps/v1", kind))
		if err != nil {
			return out, err
		}
		out.Workloads = append(out.Workloads, t)
	}
	return out, nil
}

// scaler has the loop read and write counts through the scale subresource.
type scaler struct{ scales *kube.Scales }

func (s scaler) Scale(ctx context.Context, t cluster.Target) (autoscaler.Scale, error) {
	desired, observed, err := s.scales.Scale(ctx, t)
	return autoscaler.Scale{Desired: desired, Observed: observed, Trouble: s.scales.Trouble(t)}, err
}

func (s scaler) SetScale(ctx context.Context, t cluster.Target, from, to cluster.DesiredReplicas) error {
	err := s.scales.SetScale(ctx, t, from, to)
	if errors.Is(err, kube.ErrRecounted) {
		return autoscaler.ErrConflict
	}
	return err
}

// noPods says why the cluster has no pods of a target.
type noPods struct {
	known     *kube.Inventory
	selectors *kube.Selectors
}

func (n noPods) of(ctx context.Context, t cluster.Target) string {
	selector, _ := n.selectors.Of(ctx, t) // it helps to say why
	return n.known.NoPods(t, selector)
}

// teller has people told of policies.
type teller struct{ of *kube.Teller }

func (t teller) Tell(e scalepolicies.Event) { t.of.Tell(kube.Event(e)) }

func (t teller) SetStatus(ctx context.Context, namespace, name string, patch []byte) error {
	return t.of.SetStatus(ctx, scalepolicies.GVR(), namespace, name, patch)
}
