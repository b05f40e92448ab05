package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"plimsoll.dev/plimsoll/autoscaler/kube/convert"
	"plimsoll.dev/plimsoll/test/chart"
)

// apply gives the API server a document, and returns what kubectl said.
func apply(t *testing.T, ns, document string) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "document.yaml")
	if err := os.WriteFile(path, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	return shared.Kubectl(t.Context(), "apply", "-n", ns, "-f", path)
}

// scalePolicies has the cluster know the kind.
func scalePolicies(t *testing.T) {
	t.Helper()
	if shared.Theirs() {
		if _, err := shared.Kubectl(t.Context(), "get", "crd/scalepolicies.plimsoll.dev"); err != nil {
			t.Skip("the kind is not known there, and is not made known by a test:", err)
		}
		return
	}
	if out, err := shared.Kubectl(t.Context(), "apply", "--server-side", "--force-conflicts", "-f", "../../charts/plimsoll/crds"); err != nil {
		t.Fatal(err, out)
	}
	if out, err := shared.Kubectl(t.Context(), "wait", "--for=condition=Established", "crd/scalepolicies.plimsoll.dev", "--timeout=30s"); err != nil {
		t.Fatal(err, out)
	}
}

// scp is a ScalePolicy with the given specification, as YAML in one line.
func scp(name, spec string) string {
	return "apiVersion: plimsoll.dev/v1alpha1\nkind: ScalePolicy\nmetadata: {name: " + name + "}\nspec: " + spec + "\n"
}

const ofWeb = "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}"

// TestPoliciesAreChecked has the API server refuse what the autoscaler could not use, each with a sentence, and take what it can.
func TestPoliciesAreChecked(t *testing.T) {
	anywhere(t)
	ns := namespace(t)
	scalePolicies(t)
	const m = ofWeb + ", maxReplicas: 5, "
	for spec, want := range map[string]string{
		"{maxReplicas: 5}":                                                "scaleTargetRef",
		"{" + ofWeb + "}":                                                 "maxReplicas",
		"{" + ofWeb + ", maxReplicas: 0}":                                 "must be at least 1",
		"{" + m + "minReplicas: 6}":                                       "maxReplicas must be at least minReplicas",
		"{" + m + "minReplicas: -1}":                                      "must not be negative",
		"{" + m + "minReplicas: 0}":                                       "needs a metric of type Object or External",
		"{" + m + "mode: Sometimes}":                                      `supported values: "Auto", "DryRun", "Paused"`,
		"{" + m + "window: 500ms}":                                        "must be a duration from 1s to 5m",
		"{" + m + "window: 2h}":                                           "spec.window: Invalid value: \"2h\": must be a duration from 1s to 5m",
		"{" + m + "window: soon}":                                         "must be a duration from 1s to 5m",
		"{" + m + "window: 30s, stableWindow: 10s}":                       "stableWindow must be at least window",
		"{" + m + "stableWindow: 1h}":                                     "must be a duration from 1s to 5m",
		"{" + m + "confidence: -1}":                                       "must be a number from 0 to 100",
		"{" + m + "tolerance: '-0.1'}":                                    "spec.tolerance",
		"{" + m + "tolerance: -0.1}":                                      "greater than or equal to 0",
		"{" + m + "tolerance: much}":                                      "spec.tolerance",
		"{" + m + "tolerance: {a: 1}}":                                    "spec.tolerance",
		"{" + m + "forecast: {}}":                                         "reserved for a later version",
		"{" + m + "surprise: 1}":                                          "unknown field",
		"{" + m + "schedules: [{start: '0 8 * * *', end: '0 18 * * *'}]}": "must set minReplicas, maxReplicas, or both",
		"{" + m + "maxReplicas: 20, schedules: [{start: '0 8 * * *', end: '0 18 * * *', minReplicas: 30}]}":                                                               "minReplicas of a schedule without maxReplicas must be at most the policy's maxReplicas",
		"{" + m + "schedules: [{start: soon, end: '0 18 * * *', minReplicas: 2}]}":                                                                                        "must be a cron line of five fields",
		"{" + m + "behavior: {scaleUp: {stabilizationWindowSeconds: 4000}}}":                                                                                              "must be from 0 to 3600",
		"{" + m + "behavior: {scaleDown: {policies: [{type: Pods, value: 0, periodSeconds: 5}]}}}":                                                                        "must be more than 0",
		"{scaleTargetRef: {apiVersion: apps/v1, kind: Deploy/ment, name: web}, maxReplicas: 5}":                                                                           "must be the name of a kind",
		"{scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: ../x}, maxReplicas: 5}":                                                                           "must be the name of an object",
		"{scaleTargetRef: {apiVersion: a/b/c, kind: Deployment, name: web}, maxReplicas: 5}":                                                                              "must be a version, or a group and a version",
		"{" + m + "metrics: [{type: Resource, resource: {name: disk, target: {type: Utilization, averageUtilization: 50}}}]}":                                             `supported values: "cpu", "memory"`,
		"{" + m + "metrics: [{type: External, external: {metric: {name: q, selector: {matchExpressions: [{key: a, operator: Foo}]}}, target: {type: Value, value: 1}}}]}": `Unsupported value: "Foo"`,
		"{" + m + "metrics: [{type: External, external: {metric: {name: q, selector: {matchExpressions: [{key: a, operator: In}]}}, target: {type: Value, value: 1}}}]}":  "needs values with this operator",
		"{" + m + "metrics: [{type: Resource}]}":                                                                                                                          "goes with the section resource",
		"{" + m + "metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization}}}]}":                                                                      "give one of averageUtilization and averageValue",
		"{" + m + "metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 0}}}]}":                                               "must be at least 1 (percent of request)",
		"{" + m + "metrics: [{type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: '0'}}}]}":                                                  "must be more than 0",
		"{" + m + "metrics: [{type: Guess, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]}":                                                 "Unsupported value",
	} {
		if out, err := apply(t, ns, scp("bad", spec)); err == nil || !strings.Contains(out+err.Error(), want) {
			t.Errorf("%s: got %s %v, want a refusal with %q", spec, out, err, want)
		}
	}
	for i, spec := range []string{"{" + ofWeb + ", maxReplicas: 5}",
		"{" + m + "minReplicas: 0, metrics: [{type: External, external: {metric: {name: queue}, target: {type: AverageValue, averageValue: 10}}}]}",
		"{" + m + "mode: Paused, window: 2s, stableWindow: 1m30s, confidence: 2.5, tolerance: 0.05, raiseOnly: true, schedules: [{start: '0 8 * * 1-5', end: '0 18 * * 1-5', timeZone: Europe/Berlin, minReplicas: 3}]}",
		"{" + m + "metrics: [{type: ContainerResource, containerResource: {name: cpu, container: web, target: {type: Utilization, averageUtilization: 50}}}], behavior: {scaleUp: {tolerance: 0.2}, scaleDown: {selectPolicy: Disabled, tolerance: 50m}}}"} {
		if out, err := apply(t, ns, scp(fmt.Sprint("good-", i), spec)); err != nil {
			t.Errorf("%s: %s %v", spec, out, err)
		}
	}
	t.Run("converted", func(t *testing.T) { converted(t, ns) })
}

// converted has the API server take every policy that conversion makes of its own examples.
func converted(t *testing.T, ns string) {
	paths, err := filepath.Glob("../../autoscaler/kube/convert/testdata/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	taken := 0
	for _, path := range paths {
		in, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := convert.Read(bytes.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
			o.Metadata.Namespace = ns
			for _, k := range []convert.Kind{convert.HPA(), convert.ScaledObject()} {
				if r := k.Convert(o); k.Is(&o) && r.Err == nil {
					raw, err := yaml.Marshal(r.Policy)
					if err != nil {
						t.Fatal(err)
					}
					if out, err := apply(t, ns, string(raw)); err != nil {
						t.Errorf("%s: %s %v\n%s", r.What(), out, err, raw)
					}
					taken++
				}
			}
		}
	}
	if taken < 5 {
		t.Errorf("only %d policies were made", taken)
	}
}

// demand is a load that all pods of a Deployment share, as behind a load balancer.
type demand struct {
	ns, app string
	mu      sync.Mutex
	milli   int
	changed chan struct{} // closed by the next set; nil until somebody waits
}

func (d *demand) set(milli int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.milli = milli
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
}

// share has every ready pod use its part, until ctx ends.
func (d *demand) share(ctx context.Context) {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DialContext: shared.Dial}}
	told := map[string]int{}
	config := shared.Config()
	config.QPS = -1
	api := kubernetes.NewForConfigOrDie(config)
	for ctx.Err() == nil {
		d.mu.Lock()
		if d.changed == nil {
			d.changed = make(chan struct{})
		}
		total, changed := d.milli, d.changed
		d.mu.Unlock()
		pods, err := api.CoreV1().Pods(d.ns).List(ctx, metav1.ListOptions{LabelSelector: "app=" + d.app})
		if err != nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		ready := slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool {
			return p.DeletionTimestamp != nil || p.Status.PodIP == "" || !slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue })
		})
		for _, p := range ready {
			part := total / len(ready)
			if had, ok := told[string(p.UID)]; ok && had == part {
				continue
			}
			resp, err := client.Get(fmt.Sprintf("http://%s:8080/cpu?milli=%d", p.Status.PodIP, part))
			if err == nil {
				_ = resp.Body.Close()
				told[string(p.UID)] = part
			}
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// count is what the Deployment asks for.
func count(t *testing.T, ns, name string) int32 {
	t.Helper()
	d, err := shared.Client().AppsV1().Deployments(ns).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return *d.Spec.Replicas
}

// conditionOf is a condition of a ScalePolicy.
func conditionOf(t *testing.T, ns, name, kind string) (c metav1.Condition) {
	t.Helper()
	out, err := shared.Kubectl(t.Context(), "get", "scp", "-n", ns, name, "-o", "json")
	var p struct {
		Status struct{ Conditions []metav1.Condition }
	}
	if err := errors.Join(err, json.Unmarshal([]byte(out), &p)); err != nil {
		t.Fatal(err, out)
	}
	for _, x := range p.Status.Conditions {
		if x.Type == kind {
			c = x
		}
	}
	return c
}

// autoscaling starts a server that scales, and the collectors of both nodes, which listen 200 and 100 ports below it.
func autoscaling(t *testing.T, ns string, port int) *part {
	t.Helper()
	scalePolicies(t)
	account(t, ns, "collector", collecting...)
	s := server(t, port, "--autoscaler=on")
	collectorOn(t, ns, "node1", fmt.Sprint("127.0.0.1:", port-200), s)
	collectorOn(t, ns, "node2", fmt.Sprint("127.0.0.1:", port-100), s)
	return s
}

// TestAutoscaler has a ScalePolicy scale a Deployment whose pods share a load: within seconds, and back after.
func TestAutoscaler(t *testing.T) {
	ours(t)
	ns := namespace(t)
	s := autoscaling(t, ns, 8451)
	deploy(t, ns, "web", 2)
	load := &demand{ns: ns, app: "web", milli: 40}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { load.share(ctx); close(done) }()
	t.Cleanup(func() { stop(); <-done })
	spec := "{" + ofWeb + ", minReplicas: 2, maxReplicas: 8, stableWindow: 10s, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}], behavior: {scaleDown: {stabilizationWindowSeconds: 0}}}"
	if out, err := apply(t, ns, scp("web", spec)); err != nil {
		t.Fatal(err, out)
	}
	until(t, "the policy is not in force", func() error {
		if c := conditionOf(t, ns, "web", "ScalingActive"); c.Status != "True" {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	is := func(what string, want int32) {
		t.Helper()
		until(t, what, func() error {
			if n := count(t, ns, "web"); n != want {
				return fmt.Errorf("%d replicas, want %d", n, want)
			}
			return nil
		})
	}
	var took []time.Duration
	for range 5 {
		is("the load is small", 2)
		time.Sleep(5 * time.Second)
		began := time.Now()
		load.set(240)
		for count(t, ns, "web") == 2 && time.Since(began) < 20*time.Second {
			time.Sleep(20 * time.Millisecond)
		}
		took = append(took, time.Since(began).Round(10*time.Millisecond))
		until(t, "the load is large", func() error {
			if n := count(t, ns, "web"); n < 5 {
				return fmt.Errorf("%d replicas, want 5 or more", n)
			}
			return nil
		})
		load.set(40)
	}
	slices.Sort(took)
	t.Logf("from a step of the load to the changed count: %v", took)
	if took[len(took)/2] > 6*time.Second {
		t.Errorf("steps were answered after %v", took)
	}
	is("the load is small again", 2)
	t.Run("told", func(t *testing.T) { told(t, ns) })
	t.Run("another scaler", func(t *testing.T) { anotherScaler(t, ns, load, is) })
	t.Run("by hand", func(t *testing.T) { byHand(t, ns, is) })
	t.Run("boost", func(t *testing.T) { boost(t, ns) })
	t.Run("killed", func(t *testing.T) {
		_ = s.Process.Signal(syscall.SIGKILL)
		<-s.ended
		s.ended <- nil
		load.set(240)
		again := &part{dir: s.dir, address: s.address, client: s.client}
		again.start(t, "server", "--kubeconfig", shared.Kubeconfig(), "--lease", "kube-system/plimsoll-8451", "--listen", s.address, "--web.config.file", filepath.Join(s.dir, "web.yaml"),
			"--data", filepath.Join(s.dir, "data"), "--autoscaler=on")
		until(t, "the server that was started again does not scale", func() error {
			if n := count(t, ns, "web"); n < 5 {
				return fmt.Errorf("%d replicas", n)
			}
			return nil
		})
		load.set(40)
		is("it shrinks, too", 2)
		if err := shared.Client().AppsV1().Deployments(ns).Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		until(t, "the target's end is not told", func() error {
			if c := conditionOf(t, ns, "web", "AbleToScale"); c.Status != "False" || c.Reason != "FailedGetScale" || !strings.Contains(c.Message, `there is no Deployment "web"`) {
				return fmt.Errorf("%+v", c)
			}
			return nil
		})
	})
}

// told looks at what kubectl shows.
func told(t *testing.T, ns string) {
	for _, f := range []struct {
		args string
		want []string
	}{
		{"get scp -n " + ns, []string{"KIND", "TARGET", "MIN", "MAX", "SCHEDULE", "REPLICAS", "DESIRED", "MODE", "REASON", "AGE", "Deployment", "web", "Auto"}},
		{"get scp -o wide -n " + ns, []string{"MESSAGE", "Load "}},
		{"describe scp web -n " + ns, []string{"ScaledUp", "From 2 to ", "ScaledDown", "Valid Metric", "Observed Generation"}},
		{"explain scp.spec.stableWindow", []string{"The longest look"}},
	} {
		out, err := shared.Kubectl(t.Context(), strings.Fields(f.args)...)
		t.Logf("kubectl %s:\n%s", f.args, out)
		for _, want := range f.want {
			if err != nil || !strings.Contains(strings.ReplaceAll(out, "ValidMetric", "Valid Metric"), want) {
				t.Errorf("kubectl %s: %v, no %q", f.args, err, want)
			}
		}
	}
}

// anotherScaler puts a HorizontalPodAutoscaler beside the policy, and takes it away.
func anotherScaler(t *testing.T, ns string, load *demand, is func(string, int32)) {
	h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "rival"}, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}, MinReplicas: new(int32(2)), MaxReplicas: 3}}
	all := shared.Client().AutoscalingV2().HorizontalPodAutoscalers(ns)
	if _, err := all.Create(t.Context(), h, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the other scaler is not told of", func() error {
		if c := conditionOf(t, ns, "web", "AbleToScale"); c.Status != "False" || c.Reason != "ScaledByAnother" || !strings.Contains(c.Message, `HorizontalPodAutoscaler "rival" scales it too`) {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	load.set(240)
	time.Sleep(8 * time.Second)
	if n := count(t, ns, "web"); n != 2 {
		t.Errorf("%d replicas of a target that another scales", n)
	}
	if err := all.Delete(t.Context(), "rival", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "nothing is done once it is gone", func() error {
		if n := count(t, ns, "web"); n < 5 {
			return fmt.Errorf("%d replicas", n)
		}
		return nil
	})
	load.set(40)
	is("it shrinks", 2)
}

// byHand changes the count as people do: a number that the load does not need goes again, zero stays.
func byHand(t *testing.T, ns string, is func(string, int32)) {
	set := func(n int32) {
		t.Helper()
		if _, err := shared.Client().AppsV1().Deployments(ns).UpdateScale(t.Context(), "web", &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: ns}, Spec: autoscalingv1.ScaleSpec{Replicas: n}}, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	set(5)
	is("more than are needed", 2)
	set(12)
	is("more than are allowed", 2)
	set(0)
	until(t, "zero is not told", func() error {
		if c := conditionOf(t, ns, "web", "ScalingActive"); c.Status != "False" || c.Reason != "ScalingDisabled" {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	if n := count(t, ns, "web"); n != 0 {
		t.Errorf("%d replicas of what somebody has set to 0", n)
	}
	set(1)
	is("fewer than the minimum", 2)
}

// boost has an HPA raised that sees no metrics here itself: as far as its own maximum, and never lowered.
func boost(t *testing.T, ns string) {
	deploy(t, ns, "api", 2)
	load := &demand{ns: ns, app: "api", milli: 40}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { load.share(ctx); close(done) }()
	defer func() { stop(); <-done }()
	h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "api", Annotations: map[string]string{"plimsoll.dev/boost": "true"}}, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "api"}, MinReplicas: new(int32(2)), MaxReplicas: 4,
		Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU,
			Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: new(int32(70))}}}}}}
	if _, err := shared.Client().AutoscalingV2().HorizontalPodAutoscalers(ns).Create(t.Context(), h, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Second)
	load.set(300)
	until(t, "a boosted HPA is not raised to its maximum", func() error {
		if n := count(t, ns, "api"); n != 4 {
			return fmt.Errorf("%d replicas", n)
		}
		return nil
	})
	load.set(20)
	time.Sleep(15 * time.Second)
	if n := count(t, ns, "api"); n != 4 {
		t.Errorf("%d replicas: a boost has lowered", n)
	}
	if out, err := shared.Kubectl(t.Context(), "describe", "hpa", "api", "-n", ns); err != nil || !strings.Contains(out, "ScaledUp") || !strings.Contains(out, "plimsoll.dev/autoscaler") {
		t.Errorf("the HPA's events: %v\n%s", err, out)
	}
}

// gadgets are a kind of our own, with a scale subresource, and gizmos one without.
const gadgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.test.plimsoll.dev}
spec:
  group: test.plimsoll.dev
  scope: Namespaced
  names: {kind: Gadget, plural: gadgets}
  versions:
  - {name: v1, served: true, storage: true, subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size, labelSelectorPath: .status.selector}}, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gizmos.test.plimsoll.dev}
spec:
  group: test.plimsoll.dev
  scope: Namespaced
  names: {kind: Gizmo, plural: gizmos}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`

// found is what "lookup" finds: what the cluster has.
type found struct{ dynamic.Interface }

// GetClientFor implements Helm's ClientProvider.
func (c found) GetClientFor(apiVersion, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	gv, err := schema.ParseGroupVersion(apiVersion)
	return c.Resource(gv.WithResource(strings.ToLower(kind) + "s")), kind != "APIService", err
}

// rights are those that the chart gives the server.
func rights(t *testing.T, ns string, values chart.Values) (rules []rbacv1.PolicyRule) {
	t.Helper()
	client, err := dynamic.NewForConfig(shared.Config())
	if err != nil {
		t.Fatal(err)
	}
	texts, err := chart.Source{Dir: "../../charts/plimsoll"}.Render(chart.Release{Name: "plimsoll", Namespace: ns, Cluster: found{client}}, values)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range chart.Documents(texts) {
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal([]byte(d), &role); err == nil && strings.HasSuffix(role.Kind, "Role") && (role.Name == "plimsoll-server" || role.Name == "plimsoll-autoscaler") {
			rules = append(rules, role.Rules...)
		}
	}
	if len(rules) < 10 {
		t.Fatalf("only %d rules: %v", len(rules), rules)
	}
	return rules
}

// kubeconfigOf is the file by which an account reaches the API server.
func kubeconfigOf(t *testing.T, ns, account string) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: "https://10.99.0.1:6443", CertificateAuthorityData: shared.Config().CAData}
	config.AuthInfos["c"] = &clientcmdapi.AuthInfo{Token: token(t, ns, account, "", nil)}
	config.Contexts["c"], config.CurrentContext = &clientcmdapi.Context{Cluster: "c", AuthInfo: "c"}, "c"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTargets scales kinds of every sort to their minimum, with the rights that the chart gives, and says of others why it cannot.
func TestTargets(t *testing.T) {
	ours(t)
	ns := namespace(t)
	scalePolicies(t)
	if out, err := apply(t, ns, gadgets); err != nil {
		t.Fatal(err, out)
	}
	t.Cleanup(func() {
		_, _ = shared.Kubectl(context.Background(), "delete", "crd", "gadgets.test.plimsoll.dev", "gizmos.test.plimsoll.dev")
	})
	for _, crd := range []string{"gadgets", "gizmos"} {
		if out, err := shared.Kubectl(t.Context(), "wait", "--for=condition=Established", "crd/"+crd+".test.plimsoll.dev"); err != nil {
			t.Fatal(err, out)
		}
	}
	deploy(t, ns, "web", 1)
	objects := "apiVersion: test.plimsoll.dev/v1\nkind: Gadget\nmetadata: {name: g}\nspec: {size: 1}\n---\napiVersion: test.plimsoll.dev/v1\nkind: Gadget\nmetadata: {name: lone}\nspec: {size: 1}\n---\napiVersion: test.plimsoll.dev/v1\nkind: Gizmo\nmetadata: {name: g}\nspec: {size: 1}\n"
	for name, ref := range map[string]string{"deployment": "{apiVersion: apps/v1, kind: Deployment, name: web}", "gadget": "{apiVersion: test.plimsoll.dev/v1, kind: Gadget, name: g}", "lone": "{apiVersion: test.plimsoll.dev/v1, kind: Gadget, name: lone}",
		"gizmo": "{apiVersion: test.plimsoll.dev/v1, kind: Gizmo, name: g}", "gone": "{apiVersion: apps/v1, kind: StatefulSet, name: gone}", "young": "{apiVersion: apps/v1, kind: Deployment, name: young}"} {
		objects += "---\n" + scp(name, "{scaleTargetRef: "+ref+", minReplicas: 3, maxReplicas: 5}")
	}
	if out, err := apply(t, ns, objects); err != nil {
		t.Fatal(err, out)
	}
	of := rights(t, ns, chart.Values{"autoscaler": chart.Values{"mode": "on", "targets": []any{map[string]any{"apiGroup": "test.plimsoll.dev", "resource": "gadgets"}, map[string]any{"apiGroup": "test.plimsoll.dev", "resource": "gizmos"}}}})
	account(t, ns, "server", append(of, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"extension-apiserver-authentication"}, Verbs: []string{"get", "list", "watch"}})...)
	if _, err := shared.Client().CoordinationV1().Leases(ns).Create(t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "plimsoll"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s := server(t, 8452, "--autoscaler=on", "--kubeconfig", kubeconfigOf(t, ns, "server"), "--lease", ns+"/plimsoll")
	until(t, "a Deployment", func() error {
		if n := count(t, ns, "web"); n != 3 {
			return fmt.Errorf("%d replicas", n)
		}
		return nil
	})
	until(t, "no event of a change", func() error {
		out, err := shared.Kubectl(t.Context(), "get", "events", "-n", ns)
		if err == nil && !strings.Contains(out, "From 1 to 3.") {
			err = errors.New(out)
		}
		return err
	})
	deploy(t, ns, "plain", 1)
	if _, err := shared.Kubectl(t.Context(), "annotate", "deployment", "plain", "-n", ns, "plimsoll.dev/min=2", "plimsoll.dev/max=3"); err != nil {
		t.Fatal(err)
	}
	until(t, "a Deployment with annotations", func() error {
		if n := count(t, ns, "plain"); n != 2 {
			return fmt.Errorf("%d replicas", n)
		}
		return nil
	})
	until(t, "a kind of our own", func() error {
		out, err := shared.Kubectl(t.Context(), "get", "gadget", "g", "-n", ns, "-o", "jsonpath={.spec.size}")
		if err == nil && out != "3" {
			err = errors.New(out)
		}
		return err
	})
	for name, want := range map[string]string{"gizmo": `gizmos of "test.plimsoll.dev/v1" have no scale subresource`, "gone": `there is no StatefulSet "gone" in namespace`} {
		until(t, name, func() error {
			if c := conditionOf(t, ns, name, "AbleToScale"); c.Status != "False" || c.Reason != "FailedGetScale" || !strings.Contains(c.Message, want) {
				return fmt.Errorf("%+v", c)
			}
			return nil
		})
	}
	t.Run("told", func(t *testing.T) { toldToPeople(t, s, ns) })
	if out, err := apply(t, ns, scp("second", "{scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, maxReplicas: 2}")); err != nil {
		t.Fatal(err, out)
	}
	until(t, "the younger of two", func() error {
		if c := conditionOf(t, ns, "second", "AbleToScale"); c.Reason != "ScaledByAnother" || !strings.Contains(c.Message, `ScalePolicy "deployment" scales Deployment "web" already`) {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
}

// owned gives the Gadget and the Gizmo of a namespace a Deployment each, as operators do.
func owned(t *testing.T, ns string) {
	t.Helper()
	for kind, name := range map[string]string{"Gadget": "made", "Gizmo": "unmade"} {
		deploy(t, ns, name, 2)
		uid, err := shared.Kubectl(t.Context(), "get", strings.ToLower(kind), "g", "-n", ns, "-o", "jsonpath={.metadata.uid}")
		if err != nil {
			t.Fatal(err, uid)
		}
		patch := fmt.Sprintf(`{"metadata": {"ownerReferences": [{"apiVersion": "test.plimsoll.dev/v1", "kind": %q, "name": "g", "uid": %q, "controller": true}]}}`, kind, uid)
		if out, err := shared.Kubectl(t.Context(), "patch", "deployment", name, "-n", ns, "-p", patch); err != nil {
			t.Fatal(err, out)
		}
	}
	if out, err := shared.Kubectl(t.Context(), "patch", "gadget", "lone", "-n", ns, "--type=merge", "--subresource=status", "-p", `{"status": {"selector": "app=unmade"}}`); err != nil {
		t.Fatal(err, out)
	}
	until(t, "the pods of a Deployment that a kind of our own has", func() error {
		if c := conditionOf(t, ns, "gadget", "ScalingActive"); c.Status != "True" && !strings.Contains(c.Message, "made-") {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	until(t, "why there are no pods", func() error {
		if c := conditionOf(t, ns, "lone", "ScalingActive"); !regexp.MustCompile(`no pod of the selector "app=unmade" belongs to Gadget ` + ns + `/lone by its controllers: unmade-\S+ is owned by ReplicaSet unmade-\w+, owned by Deployment unmade, owned by Gizmo g, whose own controller is not known`).MatchString(c.Message) {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
}

// toldToPeople has the commands name a policy that cannot be used, a count that somebody set to 0, why pods do not start, and the pods of a target above their workload.
func toldToPeople(t *testing.T, s *part, ns string) {
	binary, err := plimsoll()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(adminToken(t, ns)), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(want string, args ...string) {
		t.Helper()
		args = append(args, "--server", "https://"+s.address, "--server-ca-file", filepath.Join(s.dir, "ca.crt"), "--server-token-file", file)
		pattern := regexp.MustCompile(want)
		until(t, strings.Join(args[:2], " "), func() error {
			out, err := shared.Command(t.Context(), binary, args...).CombinedOutput()
			if err == nil && !pattern.Match(out) {
				err = fmt.Errorf("want %s, got\n%s", want, out)
			}
			return err
		})
	}
	f(`StatefulSet +gone +- +- +0 +not known \(3-5\), ScalePolicy gone cannot be used \(FailedGetScale\) +no pods; scale not known since .*: The target's scale cannot be used: there is no StatefulSet "gone" in namespace "`+ns+`"\n`, "top", "workloads", "-n", ns)
	f(`Of .*StatefulSet/gone now: ScalePolicy gone cannot be used \(FailedGetScale\)\.\n(.*\n)*.*/gone  count not known, held  \(FailedGetScale\)`, "explain", "gone", "-n", ns)
	if _, err := shared.Kubectl(t.Context(), "scale", "deployment", "plain", "-n", ns, "--replicas=0"); err != nil {
		t.Fatal(err)
	}
	f(`Deployment +plain +- +- +0 +0 \(2-3\), somebody set it to 0 +no pods\n`, "top", "workloads", "-n", ns)
	pod := "---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: %s, resources: {requests: {cpu: %s}}}]}\n"
	if out, err := apply(t, ns, fmt.Sprintf(pod, "badimage", "127.0.0.1:1/nowhere:1", "1m")+fmt.Sprintf(pod, "toobig", image, "1000")); err != nil {
		t.Fatal(err, out)
	}
	f(`/badimage .* its containers have not started on "node\d" yet: (ErrImagePull|ImagePullBackOff): .*127\.0\.0\.1:1/nowhere:1`, "explain", "--missing")
	f(`/toobig .* no machine was found for it yet: 0/\d nodes are available: .*Insufficient cpu`, "explain", "--missing")
	owned(t, ns)
	f(`Gadget +g +- +- +2 .*what its pods use is told of each, and of Deployment made\n`, "top", "workloads", "-n", ns)
}
