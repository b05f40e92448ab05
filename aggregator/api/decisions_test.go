package api

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// A target is found by its own name and by its policy's; what has a name that others have, too, is told.
func TestDecisionsOfAPolicy(t *testing.T) {
	row := func(kind, name, by, policy string) cluster.Scaled {
		return cluster.Scaled{Target: cluster.Target{Kind: kind, Namespace: "shop", Name: name}, By: []cluster.Declaration{{Kind: by, Name: policy}}}
	}
	all := []cluster.Scaled{
		row("Rollout", "web", "ScalePolicy", "web-fast"),
		row("Deployment", "cart", "ScalePolicy", "cart"), row("StatefulSet", "cart", "HorizontalPodAutoscaler", "pay"),
		row("Deployment", "pay", "ScalePolicy", "other"),
		row("Deployment", "blind", "ScalePolicy", "blind"),
		row("Deployment", "a", "ScalePolicy", "both"), row("Deployment", "b", "HorizontalPodAutoscaler", "both"),
	}
	all[4].Gap = &cluster.Gap{Since: noon, Reason: "target", Detail: "nothing is decided, as its pods are not known yet"}
	var log []cluster.Decision
	for _, s := range all {
		log = append(log, cluster.Decision{Time: noon, Target: s.Target, Action: "Hold", Reason: "AtTarget"})
	}
	h := served(newAPI(t, func(o *Options) { o.Scaled, o.Decisions = scaled(all...), entries(log...) }))
	for query, want := range map[string]struct {
		of    []string
		notes []string
	}{
		"name=web":                           {of: []string{"shop/Rollout/web"}},
		"name=web-fast":                      {[]string{"shop/Rollout/web"}, []string{"ScalePolicy web-fast is of shop/Rollout/web."}},
		"name=web-fast&kind=ScalePolicy":     {[]string{"shop/Rollout/web"}, []string{"ScalePolicy web-fast is of shop/Rollout/web."}},
		"name=web&kind=ScalePolicy":          {},
		"name=cart":                          {[]string{"shop/Deployment/cart", "shop/StatefulSet/cart"}, []string{"Several targets have that name: Deployment, StatefulSet; shop/KIND/cart asks for one."}},
		"name=cart&kind=ScalePolicy":         {[]string{"shop/Deployment/cart"}, []string{"ScalePolicy cart is of shop/Deployment/cart."}},
		"name=pay":                           {[]string{"shop/Deployment/pay"}, []string{"A policy of that name is another target's: HorizontalPodAutoscaler pay is of shop/StatefulSet/cart; shop/KIND/pay asks for one."}},
		"name=blind":                         {[]string{"shop/Deployment/blind"}, []string{"Of shop/Deployment/blind now: nothing is decided, as its pods are not known yet."}},
		"name=pay&kind=Deployment":           {of: []string{"shop/Deployment/pay"}},
		"name=both":                          {nil, []string{"A policy of that name is another target's: ScalePolicy both is of shop/Deployment/a, HorizontalPodAutoscaler both is of shop/Deployment/b; shop/KIND/both asks for one."}},
		"name=both&kind=ScalePolicy&limit=9": {[]string{"shop/Deployment/a"}, []string{"ScalePolicy both is of shop/Deployment/a."}},
	} {
		var got DecisionList
		if rec := get(h, "/plimsoll/v1/decisions?namespace=shop&end="+noon.Format(time.RFC3339)+"&"+query); json.Unmarshal(rec.Body.Bytes(), &got) != nil {
			t.Fatalf("%s: %d %s", query, rec.Code, rec.Body)
		}
		var of []string
		for _, d := range got.Items {
			of = append(of, d.Target.String())
		}
		if diff := cmp.Diff(want.of, of); diff != "" {
			t.Errorf("%s: decisions of (-want +got):\n%s", query, diff)
		}
		if diff := cmp.Diff(want.notes, got.Notes); diff != "" {
			t.Errorf("%s: notes (-want +got):\n%s", query, diff)
		}
	}
}

// gate lets write, or says why not.
type gate struct{ closed error }

func (g gate) MayWrite() error { return g.closed }

// Where each server keeps its own decisions, one that makes none says which one does.
func TestDecisionsOfAnotherServer(t *testing.T) {
	for _, c := range []struct {
		autoscaler string
		gate       cluster.Gate
		want       []string
	}{
		{"on", gate{errors.New("plimsoll-1 holds the lease")}, []string{"Decisions are in the log of the server that makes them: plimsoll-1 holds the lease."}},
		{"off", gate{errors.New("plimsoll-1 holds the lease")}, []string{"The autoscaler is off: nothing that is declared is read."}},
		{"on", gate{}, nil},
		{"on", nil, nil},
	} {
		h := served(newAPI(t, func(o *Options) { o.Scaled, o.Autoscaler, o.Decides = scaled(), c.autoscaler, c.gate }))
		var got DecisionList
		if rec := get(h, "/plimsoll/v1/decisions?namespace=shop&name=web"); json.Unmarshal(rec.Body.Bytes(), &got) != nil {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		if diff := cmp.Diff(c.want, got.Notes); diff != "" {
			t.Errorf("%s, %v: notes (-want +got):\n%s", c.autoscaler, c.gate, diff)
		}
	}
}

// By a pod's name there are no decisions, but whose it is, and, of one that has just been made, also anew under its name, since when and why it has no values.
func TestDecisionsOfAPod(t *testing.T) {
	old := container("shop", "StatefulSet", "db", "db-0", "containerd", "/old")
	old.Gap, old.Ended = &cluster.Gap{Since: noon.Add(-time.Minute), Reason: metric.GapGone, Detail: "it has ended"}, true
	s := snapshotOf([]*live.Item{item(metric.Entity{Level: metric.Node, Node: "n1"}, val{metric.CPUUsage, "", 1, 1})}, []*live.Item{old})
	for _, it := range s.Pods {
		it.Gap, it.Ended = old.Gap, true
	}
	fresh := func(name string, owner cluster.Target) live.Known {
		return live.Known{Pod: &cluster.Pod{UID: "new", Namespace: "shop", Name: name, Node: "n1", Phase: "Pending", StartTime: noon.Add(-time.Second), Owner: owner}}
	}
	s.Known = []live.Known{fresh("db-0", cluster.Target{Kind: "StatefulSet", Namespace: "shop", Name: "db"}), fresh("bare", cluster.Target{})}
	h := served(newAPI(t, func(o *Options) { o.Pictures, o.Scaled = pictures(func(time.Time) *live.Snapshot { return s }), nil }))
	const starting, of = `starting since 2026-03-01T11:59:59Z: its containers have not started on "n1" yet.`, "It is a pod of shop/StatefulSet/db, by whose name decisions are told; "
	for query, want := range map[string][]string{
		"name=db-0":                 {of + starting, of + "gone since 2026-03-01T11:59:00Z: it has ended."},
		"name=db-0&kind=Pod":        {of + starting, of + "gone since 2026-03-01T11:59:00Z: it has ended."},
		"name=bare":                 {"It is a pod that nothing owns; " + starting},
		"name=db-0&kind=Deployment": nil,
		"name=db-1":                 nil,
	} {
		var got DecisionList
		if rec := get(h, "/plimsoll/v1/decisions?namespace=shop&"+query); json.Unmarshal(rec.Body.Bytes(), &got) != nil {
			t.Fatalf("%s: %d %s", query, rec.Code, rec.Body)
		}
		if diff := cmp.Diff(want, got.Notes); diff != "" || strings.Contains(query, "Pod") && len(got.Items) > 0 {
			t.Errorf("%s: %d decisions, notes (-want +got):\n%s", query, len(got.Items), diff)
		}
	}
}
