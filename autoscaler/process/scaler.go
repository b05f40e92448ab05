package process

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler"
	"plimsoll.dev/plimsoll/autoscaler/policy"
)

// Kind is the kind of a process service as a scale target.
const Kind = "Service"

// Scaler makes a Supervisor's services scale targets of the kind Service.
type Scaler struct{ Supervisor *Supervisor }

var _ autoscaler.Scaler = Scaler{}

// Scale implements autoscaler.Scaler. A replica is a pod with one container, named like the service.
func (s Scaler) Scale(_ context.Context, t autoscaler.Target) (autoscaler.Scale, error) {
	sup := s.Supervisor
	sup.mu.Lock()
	defer sup.mu.Unlock()
	svc, err := sup.target(t)
	if err != nil {
		return autoscaler.Scale{}, err
	}
	out := autoscaler.Scale{Wished: policy.WishedReplicas(svc.wished)}
	for _, r := range svc.ordered() {
		out.Pods = append(out.Pods, r.pod())
		out.Members = append(out.Members, autoscaler.Member{Name: r.now.Name, State: string(r.now.State), Ready: r.now.Ready, Since: r.now.Since,
			Restarts: r.now.Restarts, PID: r.now.PID, Cgroup: r.now.Cgroup, Detail: r.now.Detail})
		if !r.stopped {
			out.Observed++
		}
	}
	return out, nil
}

// SetScale implements autoscaler.Scaler.
func (s Scaler) SetScale(ctx context.Context, t autoscaler.Target, from, to policy.WishedReplicas) error {
	sup := s.Supervisor
	sup.mu.Lock()
	svc, err := sup.target(t)
	if err == nil && svc.wished != int32(from) {
		err = fmt.Errorf("cannot scale %q: %w", t, autoscaler.ErrConflict)
	}
	sup.mu.Unlock()
	if err != nil {
		return err
	}
	err = sup.Scale(ctx, Key{t.Namespace, t.Name}, int32(to))
	if errors.Is(err, ErrUnknownService) {
		return fmt.Errorf("%w: %w", autoscaler.ErrNoTarget, err)
	}
	return err
}

// target finds the service that is meant. The lock is held.
func (s *Supervisor) target(t autoscaler.Target) (*service, error) {
	svc := s.services[Key{t.Namespace, t.Name}]
	if t.Kind != Kind || svc == nil || svc.gone {
		return nil, fmt.Errorf("%w: %s", autoscaler.ErrNoTarget, t)
	}
	return svc, nil
}

// pod is the replica as the brain sees it. One that backs off is running but not ready, as in Kubernetes.
func (r *replica) pod() policy.Pod {
	p := policy.Pod{Name: r.now.Name, Phase: corev1.PodRunning, Ready: corev1.ConditionFalse, ReadyTransition: r.now.ReadyAt,
		StartTime: r.now.Created, Deleting: r.stopped}
	if r.now.Ready {
		p.Ready = corev1.ConditionTrue
	}
	if p.ReadyTransition.IsZero() {
		p.ReadyTransition = r.now.Created
	}
	if r.now.StartTime.IsZero() {
		p.Phase = corev1.PodPending
	}
	if r.now.State == BackingOff {
		p.Gap, p.GapSince = r.now.Detail, r.now.Since
	}
	c := policy.Container{Name: r.key.Name}
	if q := r.want.Requests; q.CPU > 0 {
		c.Requests = append(c.Requests, policy.Resource{Name: corev1.ResourceCPU, Milli: policy.Milli(q.CPU)})
	}
	if q := r.want.Requests; q.Memory > 0 {
		c.Requests = append(c.Requests, policy.Resource{Name: corev1.ResourceMemory, Milli: policy.Milli(q.Memory * 1000)})
	}
	p.Containers = []policy.Container{c}
	return p
}
