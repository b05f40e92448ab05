package kube

import (
	"fmt"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

var born = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// scp makes a ScalePolicy as the API server tells of it, so many minutes old.
func scp(t *testing.T, name string, age int, spec string) *Declared {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte("apiVersion: plimsoll.dev/v1alpha1\nkind: ScalePolicy\nspec: "+spec), &u.Object); err != nil {
		t.Fatal(err)
	}
	u.SetNamespace("shop")
	u.SetName(name)
	u.SetUID(types.UID(name))
	u.SetGeneration(1)
	u.SetCreationTimestamp(metav1.NewTime(born.Add(-time.Duration(age) * time.Minute)))
	return ReadPolicy(u)
}

func hpa(name string, boost bool, owner string) *Declared {
	h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name), Annotations: map[string]string{Boost: fmt.Sprint(boost)}},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1beta1", Kind: "Deployment", Name: "web"}, MaxReplicas: 7}}
	if owner != "" {
		h.OwnerReferences = []metav1.OwnerReference{{Kind: "ScaledObject", Name: owner, Controller: new(true)}}
	}
	return ReadAutoscaler(h)
}

const ofWeb = `scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, maxReplicas: 5`

// TestSettle says who scales what, one line for each declaration.
func TestSettle(t *testing.T) {
	f := func(what string, policies, hpas []*Declared, dryRun bool, want ...string) {
		t.Helper()
		var got []string
		for _, s := range settle(policies, hpas, dryRun) {
			line := s.ref.Name + ": " + string(s.reason) + " " + s.why
			if p := s.policy; p != nil {
				line = fmt.Sprintf("%s: %s %s/%s to %d %s", s.ref.Name, p.Compiled.Mode(), p.Target.Kind, p.Target.Name, p.Compiled.Max(), p.Foreign)
			}
			got = append(got, strings.TrimSpace(line))
		}
		if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
			t.Errorf("%s:\n%s\nwant:\n%s", what, g, w)
		}
	}
	one := scp(t, "one", 5, "{"+ofWeb+"}")
	f("alone", []*Declared{one}, nil, false, "one: Auto Deployment/web to 5")
	f("a dry run", []*Declared{one, scp(t, "paused", 1, `{mode: Paused, maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: other}}`)}, nil, true,
		"one: DryRun Deployment/web to 5", "paused: Paused Deployment/other to 5")
	f("two", []*Declared{scp(t, "young", 1, "{"+ofWeb+"}"), one}, nil, false, "one: Auto Deployment/web to 5", `young: ScaledByAnother This ScalePolicy is not in force: ScalePolicy "one" scales Deployment "web" already.`)
	f("an HPA", []*Declared{one}, []*Declared{hpa("h", false, "")}, false,
		`one: Auto Deployment/web to 5 HorizontalPodAutoscaler "h" scales it too: delete one of the two, or annotate the HorizontalPodAutoscaler with plimsoll.dev/boost=true and delete the ScalePolicy`)
	f("KEDA", []*Declared{one}, []*Declared{hpa("keda-hpa-q", false, "q")}, false,
		`one: Auto Deployment/web to 5 ScaledObject "q", by HorizontalPodAutoscaler "keda-hpa-q", scales it too: delete one of the two, or annotate the HorizontalPodAutoscaler with plimsoll.dev/boost=true and delete the ScalePolicy`)
	f("an HPA of no one", nil, []*Declared{hpa("h", false, "")}, false)
	f("boost", []*Declared{one}, []*Declared{hpa("h", true, "")}, false, "h: Auto Deployment/web to 7", `one: ScaledByAnother This ScalePolicy is not in force: HorizontalPodAutoscaler "h" scales Deployment "web" already.`)
	f("boost twice", nil, []*Declared{hpa("i", true, ""), hpa("h", true, "")}, false, `i: ScaledByAnother This HorizontalPodAutoscaler is not in force: HorizontalPodAutoscaler "h" scales Deployment "web" already.`, "h: Auto Deployment/web to 7")
	f("what CEL cannot say", []*Declared{scp(t, "one", 5, "{"+ofWeb+", schedules: [{start: '0 25 * * *', end: '0 1 * * *', minReplicas: 2}]}")}, nil, false,
		`one: InvalidPolicy This ScalePolicy cannot be used: spec.schedules[0].start "0 25 * * *" cannot be read: cron line "0 25 * * *": hour "25": "25" is not a value from 0 to 23.`)
	f("no target", []*Declared{scp(t, "one", 5, "{maxReplicas: 5}")}, nil, false, "one: InvalidPolicy This ScalePolicy cannot be used: spec.scaleTargetRef must be there.")
	f("another type", []*Declared{scp(t, "one", 5, "{"+ofWeb+", minReplicas: many}")}, nil, false,
		"one: InvalidPolicy This ScalePolicy cannot be used: json: cannot unmarshal string into Go struct field Spec.minReplicas of type int32.")
}
