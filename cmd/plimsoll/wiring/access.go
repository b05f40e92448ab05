package wiring

import (
	"fmt"
	"os"
	"strings"

	"plimsoll.dev/plimsoll/internal/kube"
	"plimsoll.dev/plimsoll/internal/kube/access"
)

// guard has the API server asked who comes in and what they may do.
func (o *Kubernetes) guard(e *environment) error {
	config, err := o.config(e, "plimsoll-access")
	if err != nil {
		return err
	}
	who, may, err := access.New(config)
	if err != nil {
		return err
	}
	e.who, e.may = who, may
	e.life.Runs("access", who.Run)
	return nil
}

// namespaced reads NAMESPACE/NAME, or NAME in the namespace of this pod, of a flag.
func namespaced(flag, value string) (namespace, name string, err error) {
	namespace, name, both := strings.Cut(value, "/")
	if !both {
		namespace, name = kube.Namespace(), value
	}
	if namespace == "" || name == "" {
		return "", "", &UsageError{fmt.Errorf("cannot tell the namespace of %s %q, as this is no pod: give NAMESPACE/NAME", flag, value)}
	}
	return namespace, name, nil
}

// lease has this process ask for the lease of those that may write, NAMESPACE/NAME, or NAME in the namespace of this pod.
func (o *Kubernetes) lease(e *environment, lease string) error {
	namespace, name, err := namespaced("--lease", lease)
	if err != nil {
		return err
	}
	config, err := o.config(e, "plimsoll-lease")
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	l, err := kube.NewLease(kube.LeaseOptions{Config: config, Namespace: namespace, Name: name, Identity: host + "_" + e.source[:8], Logger: e.named("lease"), Registerer: e.registry})
	if err != nil {
		return err
	}
	e.life.Runs("lease", l.Run)
	e.gate = l
	e.conditions = append(e.conditions, l.Conditions)
	return nil
}
