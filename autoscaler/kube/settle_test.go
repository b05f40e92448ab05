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

// annotated is a Deployment with these annotations, older than every policy.
func annotated(given map[string]string) *Declared {
	return ReadAnnotated("apps/v1", "Deployment")(&metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "d", Annotations: given}})
}

// TestSame keeps what has not changed, so that no pass is disturbed, and nothing else.
func TestSame(t *testing.T) {
	read := func(spec string) []*Declared { return []*Declared{scp(t, "one", 5, spec)} }
	first := settle(read("{"+ofWeb+"}"), nil, false, nil)[0]
	was := map[types.UID]settled{"one": first}
	if again := settle(read("{"+ofWeb+"}"), nil, false, was)[0]; again.policy != first.policy {
		t.Error("the same policy is another one")
	}
	if other := settle(read("{"+ofWeb+", minReplicas: 2}"), nil, false, was)[0]; other.policy == first.policy {
		t.Error("a policy that was changed is the same")
	}
	if other := settle(read("{"+ofWeb+"}"), []*Declared{hpa("h", false, "")}, false, was)[0]; other.policy == first.policy {
		t.Error("a policy whose target another scales is the same")
	}
	if annotated(map[string]string{"other": "1", Mode: "Auto"}) != nil {
		t.Error("a workload without annotations is a policy")
	}
}

// TestSettle says who scales what, one line for each declaration.
func TestSettle(t *testing.T) {
	f := func(what string, policies, hpas []*Declared, dryRun bool, want ...string) {
		t.Helper()
		var got []string
		for _, s := range settle(policies, hpas, dryRun, nil) {
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
	f("two, of which the second could not be used alone", []*Declared{scp(t, "young", 1, "{"+ofWeb+", minReplicas: 9}"), one}, nil, false,
		"one: Auto Deployment/web to 5", `young: InvalidPolicy This ScalePolicy cannot be used: spec.maxReplicas "5" must be at least minReplicas, which is 9.`)
	f("an HPA", []*Declared{one}, []*Declared{hpa("h", false, "")}, false,
		`one: Auto Deployment/web to 5 HorizontalPodAutoscaler "h" scales it too: delete one of the two, or annotate the HorizontalPodAutoscaler with plimsoll.dev/boost=true and delete the ScalePolicy`)
	f("KEDA", []*Declared{one}, []*Declared{hpa("keda-hpa-q", false, "q")}, false,
		`one: Auto Deployment/web to 5 ScaledObject "q", by HorizontalPodAutoscaler "keda-hpa-q", scales it too: delete one of the two, or annotate the HorizontalPodAutoscaler with plimsoll.dev/boost=true and delete the ScalePolicy`)
	f("an HPA of no one", nil, []*Declared{hpa("h", false, "")}, false)
	f("boost", []*Declared{one}, []*Declared{hpa("h", true, "")}, false, "h: Auto Deployment/web to 7", `one: ScaledByAnother This ScalePolicy is not in force: HorizontalPodAutoscaler "h" scales Deployment "web" already.`)
	f("boost twice", nil, []*Declared{hpa("i", true, ""), hpa("h", true, "")}, false, `i: ScaledByAnother This HorizontalPodAutoscaler is not in force: HorizontalPodAutoscaler "h" scales Deployment "web" already.`, "h: Auto Deployment/web to 7")
	invalid := hpa("i", true, "")
	invalid.spec.MinReplicas = new(int32(9))
	f("boost twice, of which the second could not be used alone", nil, []*Declared{invalid, hpa("h", true, "")}, false, `i: InvalidPolicy This HorizontalPodAutoscaler cannot be boosted, its own controller goes on: spec.maxReplicas "7" must be at least minReplicas, which is 9.`, "h: Auto Deployment/web to 7")
	f("beside a boost", []*Declared{scp(t, "bad", 1, "{"+ofWeb+", minReplicas: 9}")}, []*Declared{hpa("h", true, "")}, false, "h: Auto Deployment/web to 7", `bad: InvalidPolicy This ScalePolicy cannot be used: spec.maxReplicas "5" must be at least minReplicas, which is 9.`)
	moded := hpa("h", true, "")
	moded.mode(map[string]string{Mode: "Paused"})
	f("a boost that is paused", []*Declared{one}, []*Declared{moded}, false, "h: Paused Deployment/web to 7", `one: ScaledByAnother This ScalePolicy is not in force: HorizontalPodAutoscaler "h" scales Deployment "web" already.`)
	moded.mode(map[string]string{Mode: "Off"})
	yes := hpa("h", true, "")
	yes = ReadAutoscaler(&autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "h", UID: "h", Annotations: map[string]string{Boost: "yes"}},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: *yes.spec.ScaleTargetRef, MaxReplicas: 7}})
	f("a boost of no value", nil, []*Declared{yes}, false, `h: InvalidPolicy This HorizontalPodAutoscaler cannot be boosted, its own controller goes on: plimsoll.dev/boost "yes" must be true or false.`)
	f("a boost of no mode", []*Declared{one}, []*Declared{moded}, false, `h: InvalidPolicy This HorizontalPodAutoscaler cannot be boosted, its own controller goes on: plimsoll.dev/mode "Off" must be Auto, DryRun or Paused.`,
		`one: Auto Deployment/web to 5 HorizontalPodAutoscaler "h" scales it too: delete one of the two, or annotate the HorizontalPodAutoscaler with plimsoll.dev/boost=true and delete the ScalePolicy`)
	f("an older one that cannot be used claims nothing", []*Declared{scp(t, "bad", 9, "{"+ofWeb+", minReplicas: 9}"), one}, nil, false,
		`bad: InvalidPolicy This ScalePolicy cannot be used: spec.maxReplicas "5" must be at least minReplicas, which is 9.`, "one: Auto Deployment/web to 5")
	f("what CEL cannot say", []*Declared{scp(t, "one", 5, "{"+ofWeb+", schedules: [{start: '0 25 * * *', end: '0 1 * * *', minReplicas: 2}]}")}, nil, false,
		`one: InvalidPolicy This ScalePolicy cannot be used: spec.schedules[0].start "0 25 * * *" cannot be read: cron line "0 25 * * *": hour "25": "25" is not a value from 0 to 23.`)
	f("no target", []*Declared{scp(t, "one", 5, "{maxReplicas: 5}")}, nil, false, "one: InvalidPolicy This ScalePolicy cannot be used: spec.scaleTargetRef must be there.")
	f("another type", []*Declared{scp(t, "one", 5, "{"+ofWeb+", minReplicas: many}")}, nil, false,
		"one: InvalidPolicy This ScalePolicy cannot be used: json: cannot unmarshal string into Go struct field Spec.minReplicas of type int32.")
	web := map[string]string{"plimsoll.dev/cpu": "70", "plimsoll.dev/min": "2", "plimsoll.dev/max": "20"}
	f("annotations", []*Declared{annotated(web)}, nil, false, "web: Auto Deployment/web to 20")
	for mode, want := range map[string]string{"DryRun": "web: DryRun Deployment/web to 20", "Paused": "web: Paused Deployment/web to 20", "Auto": "web: Auto Deployment/web to 20",
		"": `web: InvalidPolicy This annotation cannot be used: plimsoll.dev/mode "" must be Auto, DryRun or Paused.`} {
		f("annotations and a mode", []*Declared{annotated(map[string]string{"plimsoll.dev/max": "20", Mode: mode})}, nil, false, want)
	}
	f("annotations and a policy", []*Declared{annotated(web), one}, nil, false, "one: Auto Deployment/web to 5", `web: ScaledByAnother This annotation is not in force: ScalePolicy "one" scales Deployment "web" already.`)
	f("annotations without a maximum", []*Declared{annotated(map[string]string{"plimsoll.dev/cpu": "70"})}, nil, false, "web: InvalidPolicy This annotation cannot be used: plimsoll.dev/max must be there.")
	f("annotations that are no numbers", []*Declared{annotated(map[string]string{"plimsoll.dev/cpu": "70%", "plimsoll.dev/max": "3"})}, nil, false,
		`web: InvalidPolicy This annotation cannot be used: plimsoll.dev/cpu "70%" is not a whole number.`)
	f("annotations that cannot be", []*Declared{annotated(map[string]string{"plimsoll.dev/min": "4", "plimsoll.dev/max": "3"})}, nil, false,
		`web: InvalidPolicy This annotation cannot be used: maxReplicas "3" must be at least minReplicas, which is 4.`)
}

// TestQuantities refuses a policy whose quantity is none, or would keep its reader busy for hours, wherever in it that is, and names the field.
func TestQuantities(t *testing.T) {
	f := func(spec, want string) {
		t.Helper()
		d := scp(t, "x", 1, spec)
		if d.err == nil || !strings.Contains(d.err.Error(), want) {
			t.Errorf("%s: got %v, want %q", spec, d.err, want)
		}
	}
	f(`{`+ofWeb+`, "tolerance": "1e-700000000"}`, `tolerance: "1e-700000000" has an exponent that is out of reach`)
	f(`{`+ofWeb+`, "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "9E-700000000"}}}]}`, "averageValue")
	for _, value := range []string{`true`, `[]`, `{}`, `"abc"`, `""`} {
		f(`{`+ofWeb+`, "tolerance": `+value+`}`, "tolerance: "+value+" is no quantity")
	}
	for _, fine := range []string{`"tolerance": 0.1`, `"tolerance": "50m"`, `"tolerance": null`, `"metrics": [{"type": "Pods", "pods": {"metric": {"name": "x", "selector": {"matchLabels": {"value": "up"}}}, "target": {"type": "AverageValue", "averageValue": 3}}}]`} {
		if d := scp(t, "x", 1, `{`+ofWeb+`, `+fine+`}`); d.err != nil {
			t.Errorf("%s: got %v", fine, d.err)
		}
	}
	f(`{`+ofWeb+`, "behavior": {"scaleUp": {"tolerance": "9E-700000000"}}}`, "behavior: scaleUp: tolerance")
}
