package api

import (
	stdcmp "cmp"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// What names a workload in a group that has no such kind is told beside the workload, whose row is that of the policy that scales it; what two groups have is told apart
// by KIND.GROUP.
func TestTargetsOfAKindAndName(t *testing.T) {
	row := func(apiVersion, by string) cluster.Scaled {
		return cluster.Scaled{Target: cluster.Target{APIVersion: apiVersion, Kind: "Deployment", Namespace: "shop", Name: "web"}, By: []cluster.Declaration{{Kind: "ScalePolicy", Name: by}}}
	}
	scales := func(apiVersion, by string) cluster.Scaled {
		s := row(apiVersion, by)
		s.Updated, s.Replicas, s.Desired, s.Min, s.Max = &noon, 4, 4, ptr(int32(1)), ptr(int32(6))
		return s
	}
	vain := func(apiVersion, by string) cluster.Scaled {
		s := row(apiVersion, by)
		s.Updated, s.State = &noon, "ScalePolicy "+by+" cannot be used (FailedGetScale)"
		s.Gap = &cluster.Gap{Since: noon, Reason: cluster.GapScale, Detail: "the cluster has no such kind"}
		return s
	}
	refused := func(apiVersion, by string) cluster.Scaled {
		s := row(apiVersion, by)
		s.Gap = &cluster.Gap{Since: noon, Reason: cluster.GapPolicy, Detail: `ScalePolicy "` + by + `" cannot be used: nonsense`}
		return s
	}
	away := scales("apps/v1", "good") // its scale could be read before
	away.Gap = &cluster.Gap{Since: noon, Reason: cluster.GapScale, Detail: "the API server does not answer"}
	const said = "ScalePolicy bad cannot be used (FailedGetScale): the cluster has no such kind"
	one := []string{"Deployment apps/v1 4 (1-6): " + said}
	now := time.Now().UTC()
	good := cluster.Decision{Time: now, Target: scales("apps/v1", "").Target, Action: "Hold", Reason: "AtTarget"}
	bad := cluster.Decision{Time: now, Target: vain("v1", "").Target, Action: "Hold", Reason: "FailedGetScale"}
	other := cluster.Decision{Time: now, Target: scales("b.example/v1", "").Target, Action: "Hold", Reason: "AtTarget"}
	limit := func(n *int32) int32 {
		if n == nil {
			return 0
		}
		return *n
	}
	for name, c := range map[string]struct {
		rows  []cluster.Scaled
		want  []string
		kind  string
		of    []string // the decisions' API versions
		notes []string
		name  string // "": web
	}{
		"of the core":                 {rows: []cluster.Scaled{vain("v1", "bad"), scales("apps/v1", "good")}, want: one, of: []string{"apps/v1"}, notes: []string{"Of shop/Deployment/web now: " + said + "."}},
		"of a group":                  {rows: []cluster.Scaled{scales("apps/v1", "good"), vain("extensions/v1beta1", "bad")}, want: one, of: []string{"apps/v1"}, notes: []string{"Of shop/Deployment/web now: " + said + "."}},
		"not looked for yet":          {rows: []cluster.Scaled{scales("apps/v1", "good"), row("v1", "bad")}, want: []string{"Deployment apps/v1 4 (1-6): "}, of: []string{"apps/v1"}},
		"invalid":                     {rows: []cluster.Scaled{scales("apps/v1", "good"), refused("v1", "bad")}, want: []string{`Deployment apps/v1 4 (1-6): ScalePolicy "bad" cannot be used: nonsense`}, of: []string{"apps/v1"}, notes: []string{`Of shop/Deployment/web now: ScalePolicy "bad" cannot be used: nonsense.`}},
		"gone again":                  {rows: []cluster.Scaled{scales("apps/v1", "good")}, want: []string{"Deployment apps/v1 4 (1-6): "}, of: []string{"apps/v1"}},
		"by the policy":               {rows: []cluster.Scaled{scales("apps/v1", "good"), vain("v1", "bad")}, want: one, kind: "ScalePolicy", of: []string{"apps/v1"}, notes: []string{"ScalePolicy bad is of shop/Deployment/web.", "Of shop/Deployment/web now: " + said + "."}, name: "bad"},
		"what it came to":             {rows: []cluster.Scaled{scales("apps/v1", "good"), vain("v1", "bad")}, want: one, kind: "Deployment.core", of: []string{"v1"}},
		"cannot be read now":          {rows: []cluster.Scaled{away, vain("v1", "bad")}, want: one, of: []string{"apps/v1"}, notes: []string{"Of shop/Deployment/web now: the API server does not answer."}},
		"of a group that comes later": {rows: []cluster.Scaled{vain("a.example/v1", "bad"), away}, want: one, of: []string{"apps/v1"}, notes: []string{"Of shop/Deployment/web now: the API server does not answer."}},
		"alone":                       {rows: []cluster.Scaled{vain("v1", "bad")}, want: []string{"Deployment v1 0 (0-0): ScalePolicy bad cannot be used (FailedGetScale)"}, of: []string{"v1"}, notes: []string{"Of shop/Deployment/web now: the cluster has no such kind."}},
		"both are there":              {rows: []cluster.Scaled{scales("b.example/v1", "b"), scales("apps/v1", "good")}, want: []string{"Deployment.apps apps/v1 4 (1-6): ", "Deployment.b.example b.example/v1 4 (1-6): "}, of: []string{"apps/v1", "v1", "b.example/v1"}, notes: []string{"Several targets have that name: Deployment.apps, Deployment.b.example; shop/KIND/web asks for one."}},
		"one of both":                 {rows: []cluster.Scaled{scales("b.example/v1", "b"), scales("apps/v1", "good")}, want: []string{"Deployment.apps apps/v1 4 (1-6): ", "Deployment.b.example b.example/v1 4 (1-6): "}, kind: "Deployment.b.example", of: []string{"b.example/v1"}},
		"with a group anyhow":         {rows: []cluster.Scaled{scales("apps/v1", "good")}, want: []string{"Deployment apps/v1 4 (1-6): "}, kind: "Deployment.apps", of: []string{"apps/v1"}},
	} {
		a := newAPI(t, func(o *Options) { o.Scaled, o.Decisions = scaled(c.rows...), entries(good, bad, other) })
		h := served(a)
		var list WorkloadList
		if rec := get(h, "/plimsoll/v1/workloads"); json.Unmarshal(rec.Body.Bytes(), &list) != nil {
			t.Fatal(rec.Body)
		}
		var rows []string
		for _, w := range list.Items {
			if s := w.Scaled; w.Namespace == "shop" && w.Name == "web" {
				rows = append(rows, fmt.Sprintf("%s %s %d (%d-%d): %s", w.Kind, s.APIVersion, s.Replicas, limit(s.Min), limit(s.Max), s.State))
				var one Workload
				if rec := get(h, "/plimsoll/v1/workloads/shop/"+w.Kind+"/web"); json.Unmarshal(rec.Body.Bytes(), &one) != nil || one.Scaled == nil || one.Scaled.APIVersion != s.APIVersion {
					t.Errorf("%s: %s", name, rec.Body)
				} else if len(one.Decisions) != 1 || one.Decisions[0].APIVersion != s.APIVersion {
					t.Errorf("%s: its view has the decisions %v", name, one.Decisions)
				}
			}
		}
		if diff := cmp.Diff(c.want, rows); diff != "" {
			t.Errorf("%s: workloads (-want +got):\n%s", name, diff)
		}
		var got DecisionList
		if rec := get(h, "/plimsoll/v1/decisions?namespace=shop&name="+stdcmp.Or(c.name, "web")+"&kind="+c.kind); json.Unmarshal(rec.Body.Bytes(), &got) != nil {
			t.Fatal(rec.Body)
		}
		var of []string
		for _, d := range got.Items {
			of = append(of, d.APIVersion)
		}
		if diff := cmp.Diff(c.of, of); diff != "" {
			t.Errorf("%s: decisions (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(c.notes, got.Notes); diff != "" {
			t.Errorf("%s: notes (-want +got):\n%s", name, diff)
		}
	}
}
