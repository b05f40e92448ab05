package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"

	"plimsoll.dev/plimsoll/autoscaler"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/condition"
)

// settleEvery is how long changes are gathered before they are put in force.
const settleEvery = 200 * time.Millisecond

// Table is all objects of a kind, as the API server tells of them.
type Table interface {
	Run(ctx context.Context) error
	All() []*Declared
	// Synced says whether all have been told of once, Since since when nothing is told, and why.
	Synced() bool
	Since() (time.Time, error)
}

// Tables are what the cluster declares: ScalePolicies, HorizontalPodAutoscalers, and workloads with annotations.
type Tables struct {
	Policies, Autoscalers Table
	Workloads             []Table
}

// Options are what Policies need.
type Options struct {
	// Open makes the tables, which call changed after each change of theirs.
	Open func(changed func()) (Tables, error)
	// DryRun has every policy tell what it would do, and nothing be done.
	DryRun bool
	// Apply puts policies in force: the loop's Apply.
	Apply func([]autoscaler.Policy) error
	// Gate says whether this process may tell people of what it decides.
	Gate   cluster.Gate
	Teller Teller
	Logger *slog.Logger // nil discards
}

// Policies keeps in force what the cluster declares, and tells what comes of it.
type Policies struct {
	opts    Options
	log     *slog.Logger
	tables  Tables
	changed chan struct{} // a message: something has
	book    *book
	inForce map[types.UID]settled // Run's alone
	began   time.Time
	refused atomic.Pointer[[]cluster.Scaled] // see refusals
}

// New makes Policies; nothing is asked before Run.
func New(o Options) (*Policies, error) {
	if o.Open == nil || o.Apply == nil || o.Gate == nil || o.Teller == nil {
		return nil, errors.New("policies need an API server, a loop, a gate, and who tells of them")
	}
	p := &Policies{opts: o, log: cmp.Or(o.Logger, slog.New(slog.DiscardHandler)), changed: make(chan struct{}, 1), inForce: map[types.UID]settled{}, began: time.Now()}
	p.book = newBook(o.Gate, o.Teller)
	var err error
	p.tables, err = o.Open(p.wake)
	return p, err
}

func (p *Policies) wake() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// Run follows the cluster until ctx ends.
func (p *Policies) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, t := range append([]Table{p.tables.Policies, p.tables.Autoscalers}, p.tables.Workloads...) {
		g.Go(func() error { return t.Run(ctx) })
	}
	g.Go(func() error { return p.book.run(ctx) })
	g.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-p.changed:
			}
			if p.tables.Policies.Synced() && p.tables.Autoscalers.Synced() { // else another scaler could be unknown
				if err := p.settle(); err != nil {
					p.log.Error("cannot put policies in force", "err", err)
				}
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(settleEvery):
			}
		}
	})
	return g.Wait()
}

// settle puts in force what is declared now. What has not changed stays the very same, so that no pass is disturbed.
func (p *Policies) settle() error {
	declared := p.tables.Policies.All()
	for _, t := range p.tables.Workloads {
		for _, d := range t.All() {
			if d != nil {
				declared = append(declared, d)
			}
		}
	}
	all := settle(declared, p.tables.Autoscalers.All(), p.opts.DryRun, p.inForce)
	next := make(map[types.UID]settled, len(all))
	var ps []autoscaler.Policy
	for i := range all {
		s := &all[i]
		was, ok := p.inForce[s.ref.UID]
		if s.policy != nil {
			ps = append(ps, *s.policy)
			if s.retargeted = was.retargeted; was.policy != nil && was.policy.Target != s.policy.Target {
				s.retargeted = s.version
			}
			ps[len(ps)-1].Zero = s.zero()
		}
		if !ok || was.policy != s.policy || was.why != s.why {
			p.log.Info("a policy has changed", "kind", s.ref.Kind, "policy", s.ref.Namespace+"/"+s.ref.Name, "in_force", s.policy != nil, "why", s.why)
		}
		next[s.ref.UID] = *s
	}
	for id, s := range p.inForce {
		if _, ok := next[id]; !ok {
			p.log.Info("a policy is gone", "kind", s.ref.Kind, "policy", s.ref.Namespace+"/"+s.ref.Name)
		}
	}
	beside(ps, all)
	if err := p.opts.Apply(ps); err != nil {
		return err
	}
	p.inForce = next
	refused := refusals(all, p.Scaled(time.Now()), time.Now())
	p.refused.Store(&refused)
	p.book.open(all, time.Now())
	return nil
}

// Told is for the loop, which tells so how each pass ended.
func (p *Policies) Told(o autoscaler.Outcome) { p.book.told(o) }

// ToZero is for the loop, which so has it kept that a count of 0 is a decision before it makes it so.
func (p *Policies) ToZero(ctx context.Context, t cluster.Target) error { return p.book.toZero(ctx, t) }

// Conditions tell people while the API server does not tell of policies.
func (p *Policies) Conditions(time.Time) []condition.Condition {
	for _, t := range append([]Table{p.tables.Policies, p.tables.Autoscalers}, p.tables.Workloads...) {
		since, err := t.Since()
		if err != nil && !t.Synced() {
			since = p.began
		}
		if err != nil {
			what := "ScalePolicies (is their CustomResourceDefinition there?)"
			switch t {
			case p.tables.Policies:
			case p.tables.Autoscalers:
				what = "HorizontalPodAutoscalers, and nothing is scaled that they may scale"
			default:
				what = "workloads with annotations"
			}
			return []condition.Condition{condition.Ill("PoliciesKnown", "NotTold", fmt.Sprintf("the API server does not tell of %s: %v", what, err), since)}
		}
	}
	return nil
}
