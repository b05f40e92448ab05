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

// Who has "view" of a namespace sees its ScalePolicies, who has "edit" or "admin" changes them, as Kubernetes has it for HPAs: nobody writes their status, and nothing of
// it is there where the release has no autoscaler.
func TestPeopleMayHavePolicies(t *testing.T) {
	for name, values := range matrix(t) {
		got := map[string][]string{}
		for _, d := range must(t, values) {
			obj, _, err := scheme.Codecs.UniversalDeserializer().Decode([]byte(d), nil, nil)
			role, ok := obj.(*rbacv1.ClusterRole)
			if err != nil || !ok {
				continue
			}
			for _, to := range []string{"view", "edit", "admin"} {
				if role.Labels["rbac.authorization.k8s.io/aggregate-to-"+to] != "true" {
					continue
				}
				for _, r := range role.Rules {
					for _, res := range r.Resources {
						for _, v := range r.Verbs {
							got[to] = append(got[to], strings.Join(r.APIGroups, ",")+" "+res+" "+v)
						}
					}
				}
			}
		}
		want := func(verbs map[string][]string) (out []string) {
			for res, vs := range verbs {
				for _, v := range vs {
					out = append(out, "plimsoll.dev "+res+" "+v)
				}
			}
			return out
		}
		read := []string{"get", "list", "watch"}
		view := want(map[string][]string{"scalepolicies": read, "scalepolicies/status": read})
		edit := append(want(map[string][]string{"scalepolicies": {"create", "update", "patch", "delete", "deletecollection"}}), view...)
		if name == "no scaling" || name == "profile metrics" {
			view, edit = nil, nil
		}
		for to, want := range map[string][]string{"view": view, "edit": edit, "admin": edit} {
			has := slices.DeleteFunc(got[to], func(s string) bool { return strings.HasPrefix(s, "metrics.k8s.io ") })
			slices.Sort(has)
			if slices.Sort(want); !slices.Equal(has, want) {
				t.Errorf("%s: who has %q may %q, want %q", name, to, has, want)
			}
		}
	}
}
