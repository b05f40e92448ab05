package chart

import (
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	sigs "sigs.k8s.io/yaml"
)

// templates gives what pods are made like, by the name of what makes them.
func templates(t *testing.T, values string) map[string]corev1.PodTemplateSpec {
	t.Helper()
	out := map[string]corev1.PodTemplateSpec{}
	for _, d := range must(t, values) {
		var o appsv1.Deployment // or a DaemonSet, whose template is in the same place
		if strings.Contains(d, "\nkind: Deployment\n") || strings.Contains(d, "\nkind: DaemonSet\n") {
			if err := sigs.Unmarshal([]byte(d), &o); err != nil {
				t.Fatal(err)
			}
			out[o.Name] = o.Spec.Template
		}
	}
	return out
}

// The labels by which pods are found are the chart's alone.
func TestOurLabelsAreRefused(t *testing.T) {
	ours := slices.Sorted(maps.Keys(templates(t, "")["plimsoll"].Labels))
	if len(ours) != 3 {
		t.Fatalf("pods are found by %q", ours)
	}
	f := func(of, key string) {
		t.Helper()
		values := "{" + strings.ReplaceAll(of, ".", ": {") + ": {a: b, " + key + ": x}}" + strings.Repeat("}", strings.Count(of, "."))
		if _, err := render(t, values); err == nil || !strings.Contains(err.Error(), of+" has "+key+": x, which the chart sets itself: leave it out") {
			t.Errorf("%s: got %v", values, err)
		}
	}
	for _, of := range []string{"commonLabels", "server.podLabels", "collector.podLabels", "serviceMonitor.labels", "podMonitor.labels", "boards.label"} {
		for _, key := range ours {
			f(of, key)
		}
		if !strings.HasSuffix(of, ".podLabels") { // which pods do not have of us
			f(of, "app.kubernetes.io/version")
			f(of, "app.kubernetes.io/managed-by")
			f(of, "helm.sh/chart")
		}
	}
}

// A label that is everything's and a part's own is there once, and the part's own.
func TestOwnLabelsWin(t *testing.T) {
	const values = "{commonLabels: {team: all, tier: t, app.kubernetes.io/part-of: p}, server: {podLabels: {team: s, own: '1'}}, collector: {podLabels: {team: ''}, webConfigSecret: w}, boards: {enabled: true, label: {team: b}}, serviceMonitor: {enabled: true, labels: {team: m}}, podMonitor: {enabled: true, labels: {team: q}}}"
	want := map[string]string{"ServiceMonitor": "m", "PodMonitor": "q", "ConfigMap/plimsoll-board-cluster": "b"}
	for _, d := range must(t, values) {
		var o struct {
			Kind     string
			Metadata struct {
				Name   string
				Labels map[string]string
			}
		}
		var all map[string]any
		if err := sigs.UnmarshalStrict([]byte(d), &all); err != nil { // a key that is there twice
			t.Errorf("%v\n%s", err, d)
		}
		if err := sigs.Unmarshal([]byte(d), &o); err != nil {
			t.Fatal(err)
		}
		team, ok := want[o.Kind]
		if !ok {
			if team, ok = want[o.Kind+"/"+o.Metadata.Name]; !ok {
				team = "all"
			}
		}
		if l := o.Metadata.Labels; l["team"] != team || l["tier"] != "t" || l["app.kubernetes.io/part-of"] != "p" {
			t.Errorf("%s %s has labels %v, want team %q", o.Kind, o.Metadata.Name, l, team)
		}
	}
	got := templates(t, values)
	if s, c := got["plimsoll"].Labels, got["plimsoll-collector"].Labels; s["team"] != "s" || s["own"] != "1" || s["tier"] != "t" || c["team"] != "" || c["tier"] != "t" || len(s) != 7 || len(c) != 6 {
		t.Errorf("pods have labels %v and %v", s, c)
	}
}
