package chart

import (
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

// What everybody who is known to the cluster is bound to is the way to Plimsoll alone, each resource of it and no other; what shows something is
// given by the right to metrics.k8s.io, which goes with "view" of a namespace.
func TestPeopleMayAsk(t *testing.T) {
	all := []string{"list capacity", "list containers", "list decisions", "list fit", "list missing", "get nodes", "list nodes", "list overview", "list pages", "get pages", "list rightsize", "list series", "list workloads", "get workloads/named", "watch stream"}
	slices.Sort(all)
	for name, values := range matrix(t) {
		roles, bound := map[string]*rbacv1.ClusterRole{}, []string{}
		for _, d := range must(t, values) {
			obj, _, err := scheme.Codecs.UniversalDeserializer().Decode([]byte(d), nil, nil)
			if err != nil {
				continue
			}
			switch o := obj.(type) {
			case *rbacv1.ClusterRole:
				roles[strings.TrimPrefix(strings.TrimPrefix(o.Name, "plimsoll"), "other")] = o
			case *rbacv1.ClusterRoleBinding:
				for _, s := range o.Subjects {
					if s.Kind != "ServiceAccount" {
						bound = append(bound, s.Kind+" "+s.Name+" to "+o.RoleRef.Name)
					}
				}
			}
		}
		view, reader := roles["-view"], roles["-metrics-reader"]
		if name == "no API" {
			if view != nil || reader != nil || len(bound) > 0 {
				t.Errorf("%s: there is %v, %v, %v", name, view, reader, bound)
			}
			continue
		}
		var has []string
		for _, r := range view.Rules {
			if !slices.Equal(r.APIGroups, []string{"view.plimsoll.dev"}) || len(r.NonResourceURLs) > 0 {
				t.Errorf("%s: everybody may %+v", name, r)
			}
			for _, res := range r.Resources {
				for _, v := range r.Verbs {
					has = append(has, v+" "+res)
				}
			}
		}
		if slices.Sort(has); !slices.Equal(has, all) || len(view.Labels["rbac.authorization.k8s.io/aggregate-to-view"]) > 0 {
			t.Errorf("%s: everybody may %q, want %q", name, has, all)
		}
		if want := name != "no door"; want != (len(bound) == 1) || want && bound[0] != "Group system:authenticated to "+view.Name {
			t.Errorf("%s: bound are %q", name, bound)
		}
		for _, to := range []string{"view", "edit", "admin"} {
			if reader.Labels["rbac.authorization.k8s.io/aggregate-to-"+to] != "true" {
				t.Errorf("%s: who has %q sees no numbers: %v", name, to, reader.Labels)
			}
		}
		if len(reader.Rules) != 1 || !slices.Equal(reader.Rules[0].APIGroups, []string{"metrics.k8s.io"}) {
			t.Errorf("%s: who may view may %+v", name, reader.Rules)
		}
	}
}
