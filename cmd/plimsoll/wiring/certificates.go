package wiring

import (
	"fmt"
	"time"

	"plimsoll.dev/plimsoll/internal/kube/certificates"
	"plimsoll.dev/plimsoll/internal/serve"
)

// Certificates are those of the servers of a cluster, which the one that holds the lease renews.
type Certificates struct {
	// Of is the servers' Service, NAMESPACE/NAME, or NAME in this pod's namespace; "": nothing is renewed.
	Of string
	// APIServices are those that lead to it.
	APIServices []string
	// Lifetime is how long a certificate lasts, Authority how long who signs it.
	Lifetime, Authority time.Duration
}

// renew has certificates renewed for as long as this process holds the lease.
func (o *Kubernetes) renew(e *environment, c Certificates) error {
	if c.Of == "" {
		return nil
	}
	namespace, name, err := namespaced("--certificates", c.Of)
	if err != nil {
		return err
	}
	config, err := o.config(e, "plimsoll-certificates")
	if err != nil {
		return err
	}
	r, err := certificates.New(certificates.Options{Config: config, Namespace: namespace, Name: name, APIServices: c.APIServices, Lifetime: c.Lifetime, Authority: c.Authority,
		Gate: e.gate, Logger: e.named("certificates"), Registerer: e.registry})
	if err != nil {
		return &UsageError{fmt.Errorf("--certificate-lifetime %v, --authority-lifetime %v: %w", c.Lifetime, c.Authority, err)}
	}
	e.life.Runs("certificates", r.Run)
	e.checks = append(e.checks, serve.Check{Name: "certificates", Warns: true, Test: r.Health})
	e.conditions = append(e.conditions, r.Conditions)
	return nil
}
