package kube

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"plimsoll.dev/plimsoll/autoscaler"
	"plimsoll.dev/plimsoll/autoscaler/policy"
)

// Reasons why a policy is not in force, beside the brain's.
const scaledByAnother policy.Reason = "ScaledByAnother"

// settled is what becomes of a declaration.
type settled struct {
	*Declared
	policy *autoscaler.Policy // nil: it is not in force,
	reason policy.Reason      // because of this,
	why    string             // in a sentence
	// retargeted is the generation that named another target than the one before it, as far as this process has seen; 0: none did.
	retargeted int64
}

// settle says which policies are in force. Of two for one target the older one is. An HPA that is boosted is in charge of its target, and so
// is one that is not: a ScalePolicy beside it is observed and left alone. What cannot be used claims nothing, and of an HPA that cannot be boosted its own controller
// makes use all the same. dryRun makes every policy that would act one that tells what it would do.
// What has not changed since was is taken from there.
func settle(policies, hpas []*Declared, dryRun bool, was map[types.UID]settled) (out []settled) {
	order(policies)
	order(hpas)
	boosted, plain := map[object]*Declared{}, map[object]*Declared{}
	for _, h := range hpas {
		t, ok := h.target()
		if !ok {
			continue
		}
		owner := plain
		helps := h.boost && h.err == nil
		if helps {
			owner = boosted
		}
		if first := owner[objectOf(t)]; first == nil {
			owner[objectOf(t)] = h
		} else if helps {
			out = append(out, second(h, first, dryRun))
		}
	}
	scaled := map[object]*Declared{}
	for _, h := range hpas {
		t, ok := h.target()
		switch {
		case ok && h.boost && h.err != nil:
			out = append(out, unboosted(h, h.err))
		case !ok || boosted[objectOf(t)] != h:
		default:
			s := compile(h, "", h.short, dryRun, was[h.ref.UID])
			if s.policy == nil {
				delete(boosted, objectOf(t))
				plain[objectOf(t)] = cmp.Or(plain[objectOf(t)], h)
			}
			out = append(out, s)
		}
	}
	for _, d := range policies {
		t, ok := d.target()
		o := objectOf(t)
		first, hpa := cmp.Or(boosted[o], scaled[o]), plain[o]
		switch {
		case !ok || d.err != nil:
			out = append(out, invalid(d, cmp.Or(d.err, errors.New("spec.scaleTargetRef must be there"))))
			continue
		case first != nil:
			out = append(out, second(d, first, dryRun))
			continue
		}
		foreign, owner := "", ""
		if hpa != nil {
			owner = hpa.short
			foreign = fmt.Sprintf("%s scales it too: delete one of the two, or annotate the %s with %s=true and delete the %s", hpa.by, hpaKind, Boost, d.what)
		}
		s := compile(d, foreign, owner, dryRun, was[d.ref.UID])
		if s.policy != nil {
			scaled[o] = d
		}
		out = append(out, s)
	}
	return out
}

// order sorts declarations: ScalePolicies before annotations, the oldest first.
func order(ds []*Declared) {
	slices.SortFunc(ds, func(a, b *Declared) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), a.created.Compare(b.created), cmp.Compare(a.ref.Namespace, b.ref.Namespace), cmp.Compare(a.ref.Name, b.ref.Name))
	})
}

// zero is what a declaration's status says of a count of 0, unless it says it of an earlier target.
func (s *settled) zero() *autoscaler.Zero {
	c := s.zeroed
	if c.Status == "" || c.ObservedGeneration < s.retargeted {
		return nil
	}
	return &autoscaler.Zero{Ours: c.Status == metav1.ConditionTrue, Since: c.LastTransitionTime.Time, Another: s.boost}
}

// second is a declaration for a target that first scales already; one that could not be used alone says that.
func second(d, first *Declared, dryRun bool) settled {
	if s := compile(d, "", "", dryRun, settled{}); s.policy == nil {
		return s
	}
	return settled{Declared: d, reason: scaledByAnother, why: fmt.Sprintf("This %s is not in force: %s scales %s %q already.", d.what, first.by, d.spec.ScaleTargetRef.Kind, d.spec.ScaleTargetRef.Name)}
}

func invalid(d *Declared, err error) settled {
	return settled{Declared: d, reason: policy.InvalidPolicy, why: fmt.Sprintf("This %s cannot be used: %v.", d.what, err)}
}

// unboosted is an HPA that is to be boosted and cannot be.
func unboosted(h *Declared, err error) settled {
	return settled{Declared: h, reason: policy.InvalidPolicy, why: fmt.Sprintf("This %s cannot be boosted, its own controller goes on: %v.", h.what, err)}
}

// compile puts a declaration in force; owner, "" for nobody, sets the count beside it.
func compile(d *Declared, foreign, owner string, dryRun bool, was settled) settled {
	if p := was.policy; p != nil && p.Foreign == foreign && p.Owner == owner && was.same(d) {
		return settled{Declared: d, policy: p}
	}
	spec := d.spec
	if dryRun && (spec.Mode == "" || spec.Mode == policy.Auto) {
		spec.Mode = policy.DryRun
	}
	c, err := policy.Compile(spec)
	if err != nil {
		if d.what != annotation {
			err = fmt.Errorf("spec.%w", err)
		}
		if d.boost {
			return unboosted(d, err)
		}
		return invalid(d, err)
	}
	t, _ := d.target()
	return settled{Declared: d, policy: &autoscaler.Policy{Name: d.ref.Name, Declared: d.declarations(), By: d.short, Target: t, Compiled: c, Text: d.text(), Foreign: foreign, Owner: owner}}
}
