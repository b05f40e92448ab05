package policy

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// TestCompileErrors: an impossible policy is refused, and the error names the field and the value.
func TestCompileErrors(t *testing.T) {
	f := func(spec, want string) {
		t.Helper()
		var s Spec
		if err := yaml.UnmarshalStrict([]byte(spec), &s); err != nil {
			t.Fatal(err)
		}
		_, err := Compile(s)
		var fe *FieldError
		if !errors.As(err, &fe) || !strings.Contains(err.Error(), want) {
			t.Errorf("Compile(%s) = %v, want an error with %s", spec, err, want)
		}
	}
	resource := func(target string) string {
		return "{maxReplicas: 5, metrics: [{type: Resource, resource: {name: cpu, target: " + target + "}}]}"
	}
	f(`{}`, `maxReplicas "0" must be at least 1`)
	f(`{maxReplicas: 3, minReplicas: 4}`, `maxReplicas "3" must be at least minReplicas, which is 4`)
	f(`{maxReplicas: 3, minReplicas: -1}`, `minReplicas "-1" must not be negative`)
	f(`{maxReplicas: 3, minReplicas: 0}`, `minReplicas "0" needs a metric of type Object or External`)
	f(`{maxReplicas: 3, mode: "Off"}`, `mode "Off" must be Auto, DryRun or Paused`)
	f(`{maxReplicas: 3, window: 0s}`, `window "0s" must be at least 1s`)
	f(`{maxReplicas: 3, window: -3s}`, `window "-3s" must be at least 1s`)
	f(`{maxReplicas: 3, window: 2h}`, `window "2h0m0s" must be at most 5m0s`)
	f(`{maxReplicas: 3, window: 10m, stableWindow: 10m}`, `window "10m0s" must be at most 5m0s`)
	f(`{maxReplicas: 3, window: 30s, stableWindow: 20s}`, `stableWindow "20s" must be at least window, which is 30s`)
	f(`{maxReplicas: 3, stableWindow: 1h}`, `stableWindow "1h0m0s" must be at most 5m0s`)
	f(`{maxReplicas: 3, confidence: -1}`, `confidence "-1" must be`)
	f(`{maxReplicas: 3, tolerance: "-0.1"}`, `tolerance "-100m" must be a ratio`)
	f(`{maxReplicas: 3, forecast: {}}`, `forecast "" is reserved`)
	f(resource(`{type: Utilization, averageUtilization: 0}`), `metrics[0].resource.target.averageUtilization "0" must be at least 1`)
	f(resource(`{type: Utilization}`), `metrics[0].resource.target.averageUtilization "" is needed`)
	f(resource(`{type: Value, value: 3}`), `metrics[0].resource.target.averageUtilization "" is needed, or averageValue`)
	f(resource(`{type: AverageValue, averageValue: 0}`), `metrics[0].resource.target.averageValue "0" must be more than 0`)
	f(resource(`{type: AverageValue, averageValue: 1, averageUtilization: 3}`), `metrics[0].resource.target.averageValue "1" does not go with averageUtilization`)
	f(resource(`{averageUtilization: 70}`), `metrics[0].resource.target.type "" must be Utilization, Value or AverageValue`)
	f(resource(`{type: Utilization, averageUtilization: 70, value: 0}`), `metrics[0].resource.target.value "0" must be more than 0`)
	f(`{maxReplicas: 3, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}, pods: {metric: {name: qps}, target: {type: AverageValue, averageValue: 1}}}]}`, `metrics[0].pods "" does not go with the type Resource`)
	f(`{maxReplicas: 3, metrics: [{type: External, external: {metric: {name: a/b}, target: {type: Value, value: 1}}}]}`, `metrics[0].external.metric.name "a/b" must not contain / or %`)
	f(`{maxReplicas: 3, metrics: [{type: External, external: {metric: {name: ..}, target: {type: Value, value: 1}}}]}`, `metrics[0].external.metric.name ".." must not be . or ..`)
	f(`{maxReplicas: 3, metrics: [{type: External, external: {metric: {name: a}, target: {type: Value, value: 1, averageValue: 1}}}]}`, `external.target.value "1" does not go with averageValue`)
	f(`{maxReplicas: 3, metrics: [{type: Pods, pods: {metric: {name: a}, target: {type: Value, value: 1}}}]}`, `pods.target.averageValue "" is needed`)
	f(`{maxReplicas: 3, metrics: [{type: Object, object: {metric: {name: a}, describedObject: {kind: Service}, target: {type: Value, value: 1}}}]}`, `object.describedObject.name "" must be there`)
	f(`{maxReplicas: 3, metrics: [{type: Object, object: {metric: {name: a}, describedObject: {kind: Service, name: web, apiVersion: a/b/c}, target: {type: Value, value: 1}}}]}`, `object.describedObject.apiVersion "a/b/c" must be`)
	f(`{maxReplicas: 3, metrics: [{type: ContainerResource, containerResource: {name: cpu, container: Web, target: {type: Utilization, averageUtilization: 3}}}]}`, `containerResource.container "Web" is not the name of a container`)
	f(`{maxReplicas: 3, metrics: [{type: ContainerResource, containerResource: {name: CPU, container: web, target: {type: Utilization, averageUtilization: 3}}}]}`, `containerResource.name "CPU" must be a resource of containers`)
	f(`{maxReplicas: 3, metrics: [{type: Resource}]}`, `metrics[0].type "Resource" needs the section "resource"`)
	f(`{maxReplicas: 3, metrics: [{type: Weather}]}`, `metrics[0].type "Weather" must be Resource,`)
	f(`{maxReplicas: 3, metrics: [{type: Pods, pods: {metric: {name: ""}, target: {type: AverageValue, averageValue: 1}}}]}`, `metrics[0].pods.metric.name "" must name the metric`)
	f(`{maxReplicas: 3, metrics: [{type: ContainerResource, containerResource: {name: cpu, container: "", target: {type: Utilization, averageUtilization: 3}}}]}`, `containerResource.container "" must name a container`)
	f(`{maxReplicas: 3, behavior: {scaleUp: {policies: []}}}`, `behavior.scaleUp.policies "[]" must have at least one policy`)
	f(`{maxReplicas: 3, behavior: {scaleUp: {policies: [{type: Pods, value: 0, periodSeconds: 1}]}}}`, `behavior.scaleUp.policies[0].value "0" must be more than 0`)
	f(`{maxReplicas: 3, behavior: {scaleUp: {policies: [{type: Cats, value: 1, periodSeconds: 1}]}}}`, `policies[0].type "Cats" must be Pods or Percent`)
	f(`{maxReplicas: 3, behavior: {scaleDown: {stabilizationWindowSeconds: 3601}}}`, `scaleDown.stabilizationWindowSeconds "3601" must be from 0 to 3600`)
	f(`{maxReplicas: 3, behavior: {scaleDown: {selectPolicy: Most}}}`, `scaleDown.selectPolicy "Most" must be Max, Min or Disabled`)
	f(`{maxReplicas: 3, behavior: {scaleDown: {tolerance: "-1"}}}`, `behavior.scaleDown.tolerance "-1" must be a ratio`)
	f(`{maxReplicas: 3, schedules: [{start: "0 8 * *", end: "0 9 * * *", minReplicas: 2}]}`, `schedules[0].start "0 8 * *" cannot be read`)
	f(`{maxReplicas: 3, schedules: [{start: "0 8 * * *", end: "0 9 * * *", timeZone: Mars, minReplicas: 2}]}`, `schedules[0].timeZone "Mars" is not a known time zone`)
	f(`{maxReplicas: 3, schedules: [{start: "0 8 * * *", end: "0 8 * * *", minReplicas: 2}]}`, `schedules[0].end "0 8 * * *" comes whenever the start does, which is "0 8 * * *"`)
	f(`{maxReplicas: 3, schedules: [{start: "0 8 * * 1-5", end: "0 8 * * MON,tue-fri", minReplicas: 2}]}`, `schedules[0].end "0 8 * * MON,tue-fri" comes whenever the start does`)
	f(`{maxReplicas: 3, schedules: [{start: "0 8 * * 1", end: "0 8 * * *", minReplicas: 2}]}`, `schedules[0].end "0 8 * * *" comes whenever the start does`)
	f(`{maxReplicas: 3, schedules: [{start: "0 8 * * *", end: "0 9 * * *"}]}`, `schedules[0] "" must set minReplicas, maxReplicas, or both`)
	f(`{maxReplicas: 3, schedules: [{start: "0 8 * * *", end: "0 9 * * *", minReplicas: 4, maxReplicas: 2}]}`, `schedules[0].maxReplicas "2" must be at least minReplicas, which is 4`)
	// What a schedule leaves out is the policy's.
	f(`{maxReplicas: 20, schedules: [{start: "0 8 * * *", end: "0 9 * * *", minReplicas: 30}]}`, `schedules[0].minReplicas "30" must be at most the policy's maxReplicas, which is 20, as the schedule has no maxReplicas of its own`)
	f(`{minReplicas: 5, maxReplicas: 10, schedules: [{start: "0 8 * * *", end: "0 9 * * *", maxReplicas: 4}]}`, `schedules[0].maxReplicas "4" must be at least the policy's minReplicas, which is 5, as the schedule has no minReplicas of its own`)
}

// TestCompileTargets: the API server accepts a target of any type with the value that its source needs, and the controller uses that
// value; of both values of an Object metric it uses the one that the type names. What is written is read back as "kind value".
func TestCompileTargets(t *testing.T) {
	f := func(metric, want string) {
		t.Helper()
		var s Spec
		if err := yaml.UnmarshalStrict([]byte("{maxReplicas: 5, metrics: ["+metric+"]}"), &s); err != nil {
			t.Fatal(err)
		}
		p, err := Compile(s)
		if err != nil {
			t.Errorf("Compile(%s): %v", metric, err)
			return
		}
		m := &p.metrics[0]
		got := string(m.target) + " " + m.goal()
		if m.broken != "" {
			got = m.broken
		}
		if got != want {
			t.Errorf("Compile(%s) keeps %s, want %s", metric, got, want)
		}
	}
	for _, kind := range []string{"Utilization", "Value", "AverageValue"} {
		target := func(values string) string { return "{type: " + kind + ", " + values + "}" }
		for _, source := range []string{"{type: Resource, resource: {name: cpu, target: %s}}", "{type: ContainerResource, containerResource: {name: cpu, container: c, target: %s}}"} {
			f(fmt.Sprintf(source, target("averageUtilization: 70")), "Utilization 70 %")
			f(fmt.Sprintf(source, target(`averageUtilization: 70, value: "3"`)), "Utilization 70 %")
			f(fmt.Sprintf(source, target(`averageValue: 100m`)), "AverageValue 100m")
		}
		f("{type: Pods, pods: {metric: {name: qps}, target: "+target(`averageValue: "20"`)+"}}", "AverageValue 20")
		f("{type: Pods, pods: {metric: {name: qps}, target: "+target(`averageValue: "20", value: "3", averageUtilization: 5`)+"}}", "AverageValue 20")
		f("{type: External, external: {metric: {name: qps}, target: "+target(`averageValue: "20"`)+"}}", "AverageValue 20")
		f("{type: External, external: {metric: {name: qps}, target: "+target(`value: "20", averageUtilization: 5`)+"}}", "Value 20")
	}
	object := func(target string) string {
		return "{type: Object, object: {metric: {name: qps}, describedObject: {kind: Service, name: web}, target: " + target + "}}"
	}
	f(object(`{type: Value, value: "20", averageValue: "5"}`), "Value 20")
	f(object(`{type: AverageValue, value: "20", averageValue: "5"}`), "AverageValue 5")
	f(object(`{type: Value, averageValue: "5"}`), "invalid object metric source: a target of type Value has no such value")
}

// TestCompileDefaults: what is left out is filled in.
func TestCompileDefaults(t *testing.T) {
	p, err := Compile(Spec{MaxReplicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	if p.Min() != 1 || p.Max() != 3 || p.Mode() != Auto || p.Window() != 3*time.Second || p.StableWindow() != time.Minute || p.confidence != 4 {
		t.Errorf("defaults: %+v", p)
	}
	if m := p.metrics[0]; len(p.metrics) != 1 || m.name != "cpu" || m.percent != 80 {
		t.Errorf("default metric: %+v", p.metrics)
	}
	if rs := p.Resources(); len(rs) != 1 || rs[0] != "cpu" {
		t.Errorf("resources: %v", rs)
	}
}

// TestMilliOf: thousandths are rounded up, and what is beyond the range is held at its end.
func TestMilliOf(t *testing.T) {
	f := func(q string, want cluster.Milli) {
		t.Helper()
		if got := cluster.MilliOf(resource.MustParse(q)); got != want {
			t.Errorf("MilliOf(%s) = %d, want %d", q, got, want)
		}
	}
	f("150m", 150)
	f("123456789n", 124)
	f("2", 2000)
	f("64Mi", 64<<20*1000)
	f("0", 0)
	f("1e30", math.MaxInt64)
	f("-1e30", math.MinInt64)
	f("9E", math.MaxInt64) // 9e18 units are 9e21 thousandths
}

// TestMulDiv: the division is cut toward zero and held at the ends of the range.
func TestMulDiv(t *testing.T) {
	f := func(a, b, c, want int64) {
		t.Helper()
		if got := mulDiv(a, b, c); got != want {
			t.Errorf("mulDiv(%d, %d, %d) = %d, want %d", a, b, c, got, want)
		}
	}
	f(7, 100, 3, 233)
	f(-7, 100, 3, -233)
	f(math.MaxInt64, 100, 100, math.MaxInt64)
	f(math.MaxInt64, 100, 1, math.MaxInt64)
	f(math.MinInt64, 100, 1, math.MinInt64)
	f(math.MinInt64, 1, 1, math.MinInt64)
	f(math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64)
	f(0, 5, 9, 0)
}
