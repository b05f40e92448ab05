package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/cmd/plimsoll/wiring"
	"plimsoll.dev/plimsoll/collector/doctor"
	"plimsoll.dev/plimsoll/internal/kube"
)

// examineAPIs asks a cluster who answers for the API groups that Plimsoll may serve, with a person's rights.
func examineAPIs(ctx context.Context, o personOptions) ([]doctor.Finding, error) {
	person, err := o.person()
	if err != nil {
		return nil, err
	}
	all, err := person.APIServices()
	if err != nil {
		return nil, wrongUsage(err)
	}
	var groups []string
	versions := map[string][]string{}
	for _, name := range wiring.Claimed() {
		_, group, _ := strings.Cut(name, ".")
		if versions[group] == nil {
			groups = append(groups, group)
		}
		versions[group] = append(versions[group], name)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var out []doctor.Finding
	for _, group := range groups {
		out = append(out, examineAPI(ctx, all, group, versions[group]))
	}
	return out, nil
}

// examineAPI looks at the versions of one group.
func examineAPI(ctx context.Context, all *kube.APIServices, group string, names []string) doctor.Finding {
	f := doctor.Finding{Check: group, Status: doctor.OK}
	var found, owners []string
	for _, name := range names {
		s, err := all.Get(ctx, name)
		switch {
		case errors.Is(err, kube.ErrNoAPIService):
			continue
		case err != nil:
			return doctor.Finding{Check: group, Status: doctor.Warn, Found: err.Error(), Fix: "does 'kubectl get apiservice " + name + "' show it?"}
		}
		owner := "the API server itself"
		if s.Service != "" {
			owner = "Service " + s.Service
		}
		told := name + " leads to " + owner
		if !s.Available {
			f.Status, f.Fix = doctor.Warn, "are the pods of that Service ready?"
			told += fmt.Sprintf(", which is not available: %s", s.Why)
		}
		found = append(found, told)
		if !slices.Contains(owners, owner) {
			owners = append(owners, owner)
		}
	}
	if f.Found = strings.Join(found, "; "); len(found) == 0 {
		f.Found = "nobody answers for it in this cluster"
	}
	if len(owners) > 1 {
		f.Status, f.Fix = doctor.Warn, "what asks for one version has another answer than what asks for the other: delete the APIService that is not to be, then 'helm upgrade' the release that is"
	}
	return f
}
