package wiring

import (
	"fmt"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/aggregator/metricsapi"
	"plimsoll.dev/plimsoll/aggregator/metricsapi/custom"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/kube"
	"plimsoll.dev/plimsoll/internal/view"
)

// Claimed are the versions of API groups that the API server may pass on to servers.
func Claimed() (out []string) {
	all := groupsOf(CustomMetrics{Custom: true, External: true})
	for _, group := range []string{metricsapi.Group, custom.Group, custom.ExternalGroup, view.Group} {
		for _, version := range slices.Sorted(slices.Values(all[group])) {
			out = append(out, version+"."+group)
		}
	}
	return out
}

// claims has it told which of them were given to a Service, NAMESPACE/NAME, and lead elsewhere. What another has is left to them.
func (o *Kubernetes) claims(e *environment, service string) error {
	config, err := o.config(e, "plimsoll-server")
	if err != nil {
		return err
	}
	c, err := kube.NewClaims(kube.ClaimsOptions{Config: config, Service: service, Names: Claimed(), Logger: e.named("apis")})
	if err != nil {
		return err
	}
	e.life.Runs("APIs", c.Run)
	e.conditions = append(e.conditions, func(now time.Time) (out []condition.Condition) {
		for _, l := range c.Lost(now) {
			out = append(out, lost(l, service))
		}
		return out
	})
	return nil
}

// lost says of an API whose it is, and what gives it back.
func lost(l kube.Lost, service string) condition.Condition {
	const kind = "APIsOurs"
	if l.To == "" {
		return condition.Ill(kind, "Gone", fmt.Sprintf("the APIService %s, which led to Service %s, is gone: nobody answers for it; 'helm upgrade' of the release makes it again", l.Name, service), l.Since)
	}
	return condition.Ill(kind, "TakenOver", fmt.Sprintf("the APIService %s, which led to Service %s, leads to %s: that answers for it, and it is left so; 'kubectl delete apiservice %s' and 'helm upgrade' of the release give it back",
		l.Name, service, l.To, l.Name), l.Since)
}
