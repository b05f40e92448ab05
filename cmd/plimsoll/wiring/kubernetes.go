package wiring

import (
	"errors"
	"fmt"
	"time"

	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/kube"
	"plimsoll.dev/plimsoll/internal/quiet"
	"plimsoll.dev/plimsoll/internal/serve"
)

// Kubernetes says which cluster a process is part of, or looks at.
type Kubernetes struct {
	// Kubeconfig says how to reach the API server; "": as the service account of the pod that this runs in.
	Kubeconfig string
}

// config says how to reach the API server; agent is who asks, for its log.
func (o *Kubernetes) config(e *environment, agent string) (*kube.API, error) {
	quiet.Klog(e.named("client-go"))
	config, err := kube.Config(o.Kubeconfig, agent+"/"+e.version)
	if err != nil {
		return nil, &UsageError{err}
	}
	return config, nil
}

// inventory makes the inventory of the cluster, or of one node of it, which runs as a part of the process, with the pods of all targets where there is
// an autoscaler (targets); agent is who asks, for the API server's log. That the API server is away is told and no reason to stop.
func (o *Kubernetes) inventory(e *environment, agent, node string, targets bool) (*kube.Inventory, error) {
	config, err := o.config(e, agent)
	if err != nil {
		return nil, err
	}
	v, err := kube.New(kube.Options{Config: config, Node: node, Targets: targets, Logger: e.named("cluster")})
	if err != nil {
		return nil, err
	}
	e.life.Runs("cluster", v.Run)
	// Once all was told, what is known stays, and whoever asks is better off with it than with nobody who is ready.
	e.checks = append(e.checks, serve.Check{Name: "cluster", Test: func() error {
		if c := clusterKnown(v, node, e.began); c.Reason != "APIServerAway" || v.NotYet() != nil {
			return illness(c)
		}
		return nil
	}}, serve.Check{Name: "api-server", Warns: true, Test: func() error { return illness(clusterKnown(v, node, e.began)) }})
	e.conditions = append(e.conditions, func(time.Time) []condition.Condition {
		if c := clusterKnown(v, node, e.began); !c.OK() {
			return []condition.Condition{c}
		}
		return nil
	})
	return v, nil
}

// illness is what is wrong, nil where all is well.
func illness(c condition.Condition) error {
	if c.OK() {
		return nil
	}
	return errors.New(c.Message)
}

// clusterKnown says since when and why less than all is known of the cluster, or of one node of it.
func clusterKnown(v *kube.Inventory, node string, began time.Time) condition.Condition {
	const kind = "ClusterKnown"
	since, err := v.Since()
	switch {
	case errors.Is(err, kube.ErrNotSynced):
		return condition.Ill(kind, "NotSynced", err.Error(), began)
	case err != nil:
		return condition.Ill(kind, "APIServerAway", fmt.Sprintf("%v; what was known stays", err), since)
	case node != "" && len(v.Nodes()) == 0:
		return condition.Ill(kind, "NoSuchNode", fmt.Sprintf("the cluster has no node %q: give the name that 'kubectl get nodes' shows in --node, or in NODE_NAME", node), began)
	}
	return condition.Well(kind)
}
