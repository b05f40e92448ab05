package certificates

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plimsoll.dev/plimsoll/internal/condition"
)

// askForRights asks now and then whether what will be needed is allowed: a right that is missing is told a year before it is missed.
func (r *Renewer) askForRights(ctx context.Context) {
	now := time.Now()
	if now.Sub(r.asked) < rightsEvery && r.lacks == "" {
		return
	}
	r.asked = now
	var lacks []string
	for _, x := range r.rights() {
		resource, group, _ := strings.Cut(x.resource, ".")
		q := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: x.namespace, Verb: x.verb, Group: group, Resource: resource, Name: x.name}}}
		a, err := call(ctx, x, func(ctx context.Context) (*authorizationv1.SelfSubjectAccessReview, error) {
			return r.client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, q, metav1.CreateOptions{})
		})
		if err != nil || a == nil {
			return // nobody says; what is refused is told when it is
		}
		if !a.Status.Allowed {
			lacks = append(lacks, x.String())
		}
	}
	if r.lacks = ""; len(lacks) > 0 {
		r.lacks = (&missing{rights: lacks}).Error()
	}
}

// tell puts what was found into conditions and metrics.
func (r *Renewer) tell(f *found, err error) {
	say := func(holds bool, reason, message string) {
		if !holds {
			r.conditions.Clear(reason)
		} else if r.conditions.Say(reason, message) {
			r.log.Warn("certificates need to be looked at", "reason", reason, "message", message)
		}
	}
	say(r.lacks != "", forbidden, r.lacks+": without it the servers' certificates are not renewed")
	say(r.fails >= patience, failing, fmt.Sprintf("the servers' certificates cannot be looked at or renewed, %d times in a row: %v", r.fails, err))
	if f == nil {
		return
	}
	now := time.Now()
	ends := r.rules.ending(&f.seen, now)
	say(ends != "", ending, strings.TrimSuffix(ends+": "+cmp.Or(r.lacks, r.strangers(f), reason(err)), ": "))
	strange := r.strangers(f)
	say(strange != "", notOurs, strange)
	for what, p := range map[string]*pair{"authority": f.seen.authority.now, "server": f.seen.server.now} {
		if p != nil {
			r.end.WithLabelValues(what).Set(float64(p.cert.NotAfter.Unix()))
		} else {
			r.end.DeleteLabelValues(what)
		}
	}
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// strangers says what is left alone.
func (r *Renewer) strangers(f *found) string {
	var out []string
	add := func(kind, name, why string) {
		if why != "" {
			out = append(out, fmt.Sprintf("%s %q is left alone, as %s", kind, name, why))
		}
	}
	add("Secret", r.authority(), f.seen.authority.foreign)
	add("Secret", r.server(), f.seen.server.foreign)
	for i, t := range f.trusts {
		if i == 0 {
			add("ConfigMap", r.authority(), t.foreign)
		} else {
			add("APIService", r.apiServices[i-1], t.foreign)
		}
	}
	return strings.Join(out, "; ")
}

// Conditions are what a person should know.
func (r *Renewer) Conditions(time.Time) []condition.Condition { return r.conditions.List() }

// Health says what keeps certificates from being renewed.
func (r *Renewer) Health() error {
	all := r.conditions.List()
	if len(all) == 0 || !slices.Contains(r.conditions.Blocks, all[0].Reason) {
		return nil
	}
	return errors.New(all[0].Message)
}
