package process

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// Scaler makes a Supervisor's services scale targets of the kind ProcessService.
type Scaler struct{ Supervisor *Supervisor }

var (
	_ autoscaler.Scaler = Scaler{}
	_ cluster.Inventory = (*Supervisor)(nil)
)

// Scale implements autoscaler.Scaler.
func (s Scaler) Scale(_ context.Context, t cluster.Target) (autoscaler.Scale, error) {
	sup := s.Supervisor
	sup.mu.Lock()
	defer sup.mu.Unlock()
	svc, err := sup.target(t)
	if err != nil {
		return autoscaler.Scale{}, err
	}
	out := autoscaler.Scale{Desired: cluster.DesiredReplicas(svc.desired)}
	for _, r := range svc.replicas {
		if !r.stopped {
			out.Observed++
		}
	}
	return out, nil
}

// SetScale implements autoscaler.Scaler.
func (s Scaler) SetScale(_ context.Context, t cluster.Target, from, to cluster.DesiredReplicas) error {
	sup := s.Supervisor
	sup.mu.Lock()
	defer sup.mu.Unlock()
	svc, err := sup.target(t)
	switch {
	case err != nil:
		return err
	case svc.desired != int32(from):
		return fmt.Errorf("cannot scale %q: %w", t, autoscaler.ErrConflict)
	}
	return sup.scale(Key{t.Namespace, t.Name}, int32(to))
}

// target finds the service that is meant. The lock is held.
func (s *Supervisor) target(t cluster.Target) (*service, error) {
	svc := s.services[Key{t.Namespace, t.Name}]
	if svc == nil || svc.gone || t.Kind != cluster.ProcessService || t.APIVersion != cluster.APIVersion {
		return nil, fmt.Errorf("%w: %s", cluster.ErrNoTarget, t)
	}
	return svc, nil
}

// Pods implements cluster.Inventory. A replica is a pod with one container, named like the service.
func (s *Supervisor) Pods(t cluster.Target) ([]*cluster.Pod, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	svc, err := s.target(t)
	if err != nil {
		return nil, err
	}
	return s.pods(nil, svc), nil
}

// All implements cluster.Inventory.
func (s *Supervisor) All() []*cluster.Pod {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*cluster.Pod
	for _, k := range slices.SortedFunc(maps.Keys(s.services), func(a, b Key) int { return cmp.Compare(a.String(), b.String()) }) {
		out = s.pods(out, s.services[k])
	}
	return out
}

// pods appends a service's replicas. The lock is held.
func (s *Supervisor) pods(out []*cluster.Pod, svc *service) []*cluster.Pod {
	for _, r := range svc.ordered() {
		out = append(out, r.pod())
	}
	return out
}

// pod is the replica as a pod. One that backs off is running but not ready, as in Kubernetes.
func (r *replica) pod() *cluster.Pod {
	n := &r.now
	p := &cluster.Pod{UID: r.uid, Namespace: r.key.Namespace, Name: n.Name, Owner: r.key.Target(), Node: r.sup.opts.Node, Phase: corev1.PodRunning,
		Ready: corev1.ConditionFalse, ReadyTransition: n.ReadyAt, StartTime: n.Created, Deleting: r.stopped,
		Status: cluster.Status{State: string(n.State), Since: n.Since, Detail: n.Detail}}
	if n.Ready {
		p.Ready = corev1.ConditionTrue
	}
	if p.ReadyTransition.IsZero() {
		p.ReadyTransition = n.Created
	}
	if n.StartTime.IsZero() {
		p.Phase = corev1.PodPending
	}
	if n.State == BackingOff {
		p.Gap, p.GapSince = n.Detail, n.Since
	}
	p.Containers = []cluster.Container{{Name: r.key.Name, Requests: r.want.Requests.of(), Limits: r.want.Limits.of(), Restarts: n.Restarts,
		Cgroup: n.Cgroup, PID: n.PID, Started: n.StartTime}}
	return p
}

// of is the amounts as everybody has them.
func (r Resources) of() (out cluster.Resources) {
	if r.CPU > 0 {
		out = append(out, cluster.Resource{Name: corev1.ResourceCPU, Milli: cluster.Milli(r.CPU)})
	}
	if r.Memory > 0 {
		out = append(out, cluster.Resource{Name: corev1.ResourceMemory, Milli: cluster.Milli(r.Memory * 1000)})
	}
	return out
}
