package kube

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/autoscaler"
	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// refusals keeps what a person who looks for a target finds of policies that are not in force: one row for each target that no other policy scales (see beside for the rest),
// with the name and the sentence of each. The rows begin when they are first told.
func refusals(all []settled, was []cluster.Scaled, now time.Time) (out []cluster.Scaled) {
	inForce, at := map[object]bool{}, map[object]int{}
	for i := range all {
		if p := all[i].policy; p != nil {
			inForce[objectOf(p.Target)] = true
		}
	}
	since := map[object]*cluster.Gap{}
	for i := range was {
		since[objectOf(was[i].Target)] = was[i].Gap
	}
	for i := range all {
		s := &all[i]
		t, ok := s.target()
		o := objectOf(t)
		if s.policy != nil || !ok || inForce[o] {
			continue
		}
		state := fmt.Sprintf("%s is not in force (%s)", s.short, s.reason)
		if s.boost {
			state = fmt.Sprintf("%s scales it, its boost is not in force (%s)", s.short, s.reason)
		}
		if k, twice := at[o]; twice {
			x := &out[k]
			x.By = append(x.By, s.declarations()...)
			x.State, x.Gap.Detail, x.Policy = x.State+", "+state, x.Gap.Detail+". "+s.clause(), x.Policy+"---\n"+s.text()
			continue
		}
		gap := &cluster.Gap{Since: now, Reason: cluster.GapPolicy, Detail: s.clause()}
		if old := since[o]; old != nil {
			gap.Since = old.Since
		}
		row := cluster.Scaled{Target: t, By: s.declarations(), Mode: string(s.spec.Mode), State: state, Min: s.spec.MinReplicas, Gap: gap, Policy: s.text()}
		if row.Mode == "" {
			row.Mode = string(policy.Auto)
		}
		if row.Min == nil && s.err == nil {
			row.Min = new(int32(1))
		}
		if s.spec.MaxReplicas > 0 {
			row.Max = &s.spec.MaxReplicas
		}
		at[o], out = len(out), append(out, row)
	}
	return out
}

// beside adds to policies in force what else is declared for their targets and is not in force.
func beside(ps []autoscaler.Policy, all []settled) {
	at := make(map[object]int, len(ps))
	for i := range ps {
		at[objectOf(ps[i].Target)] = i
	}
	for i := range all {
		s := &all[i]
		t, named := s.target()
		k, ok := at[objectOf(t)]
		if s.policy != nil || !named || !ok {
			continue
		}
		p := &ps[k]
		p.RefusedBy = append(p.RefusedBy, s.declarations()...)
		if p.Refused != "" {
			p.Refused += ", "
		}
		p.Refused += s.clause()
	}
}

// clause is why a policy is not in force, with its name; who shows it ends the sentence.
func (s *settled) clause() string {
	return strings.TrimSuffix(strings.Replace(s.why, "This "+s.what, s.by, 1), ".")
}

// Scaled returns a row for each target whose policies cannot be used, beside those of the loop. The caller must not change what it points to.
func (p *Policies) Scaled(time.Time) []cluster.Scaled {
	if all := p.refused.Load(); all != nil {
		return slices.Clone(*all)
	}
	return nil
}
