package hpa

import (
	"os"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// checks are what an API server checks of a ScalePolicy, by its own code.
type checks struct {
	form  *schema.Structural
	shape validation.SchemaValidator
	rules *cel.Validator
}

// policyChecks makes them of the chart's CustomResourceDefinition, which an API server must take.
func policyChecks(t *testing.T) *checks {
	t.Helper()
	raw, err := os.ReadFile("../../charts/plimsoll/crds/scalepolicies.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var v1 apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(raw, &v1); err != nil {
		t.Fatal(err)
	}
	apiextensionsv1.SetDefaults_CustomResourceDefinition(&v1)
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&v1.Spec)
	v1.Status.StoredVersions = []string{v1.Spec.Versions[0].Name}
	var crd apiextensions.CustomResourceDefinition
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&v1, &crd, nil); err != nil {
		t.Fatal(err)
	}
	for _, err := range crdvalidation.ValidateCustomResourceDefinition(t.Context(), &crd) {
		t.Error(err)
	}
	of, err := apiextensions.GetSchemaForVersion(&crd, v1.Spec.Versions[0].Name)
	if err != nil {
		t.Fatal(err)
	}
	c := &checks{}
	if c.form, err = schema.NewStructural(of.OpenAPIV3Schema); err != nil {
		t.Fatal(err)
	}
	if c.shape, _, err = validation.NewSchemaValidator(of.OpenAPIV3Schema); err != nil {
		t.Fatal(err)
	}
	c.rules = cel.NewValidator(c.form, true, celconfig.PerCallLimit)
	return c
}

// of says what an API server has against a policy of this specification; "" if it takes it.
func (c *checks) of(t *testing.T, spec string) string {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte("{apiVersion: plimsoll.dev/v1alpha1, kind: ScalePolicy, metadata: {name: web}, spec: " + spec + "}"))
	if err != nil {
		t.Fatal(err)
	}
	var o map[string]any
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	defaulting.Default(o, c.form)
	errs := validation.ValidateCustomResource(nil, o, c.shape)
	if len(errs) == 0 {
		errs, _ = c.rules.Validate(t.Context(), field.NewPath(""), c.form, o, nil, celconfig.RuntimeCELCostBudget)
	}
	if len(errs) == 0 {
		return ""
	}
	return errs.ToAggregate().Error()
}

const ofWeb = "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, maxReplicas: 5"

// TestPoliciesThatCannotWork: an API server refuses them, and says why.
func TestPoliciesThatCannotWork(t *testing.T) {
	c := policyChecks(t)
	of := func(apiVersion, kind, name string) string {
		return "{scaleTargetRef: {apiVersion: " + apiVersion + ", kind: " + kind + ", name: " + name + "}, maxReplicas: 5}"
	}
	selected := func(selector string) string {
		return "{" + ofWeb + ", metrics: [{type: External, external: {metric: {name: queue, selector: " + selector + "}, target: {type: Value, value: 1}}}]}"
	}
	resource := func(target string) string {
		return "{" + ofWeb + ", metrics: [{type: Resource, resource: {name: cpu, target: {type: AverageValue, " + target + "}}}]}"
	}
	for spec, want := range map[string]string{
		of("apps/v1", "Deploy/ment", "web"):                               `spec.scaleTargetRef.kind: Invalid value: "Deploy/ment": must be the name of a kind, such as Deployment`,
		of("apps/v1", "''", "web"):                                        `spec.scaleTargetRef.kind: Invalid value: "": must be the name of a kind`,
		of("apps/v1", "Deployment", "../x"):                               `spec.scaleTargetRef.name: Invalid value: "../x": must be the name of an object: lower case letters, digits, hyphens and dots`,
		of("apps/v1", "Deployment", "Web"):                                `spec.scaleTargetRef.name: Invalid value: "Web": must be the name of an object`,
		of("a/b/c", "Deployment", "web"):                                  `spec.scaleTargetRef.apiVersion: Invalid value: "a/b/c": must be a version, or a group and a version, such as apps/v1`,
		of("''", "Deployment", "web"):                                     `spec.scaleTargetRef.apiVersion: Invalid value: "": must be a version`,
		"{scaleTargetRef: {kind: Deployment, name: web}, maxReplicas: 5}": `spec.scaleTargetRef.apiVersion: Required value`,
		"{" + ofWeb + ", metrics: [{type: Resource, resource: {name: disk, target: {type: Utilization, averageUtilization: 50}}}]}":                                                   `spec.metrics[0].resource.name: Unsupported value: "disk": supported values: "cpu", "memory"`,
		"{" + ofWeb + ", metrics: [{type: ContainerResource, containerResource: {name: ephemeral-storage, container: web, target: {type: Utilization, averageUtilization: 50}}}]}":    `spec.metrics[0].containerResource.name: Unsupported value: "ephemeral-storage": supported values: "cpu", "memory"`,
		"{" + ofWeb + ", metrics: [{type: Object, object: {metric: {name: hits}, describedObject: {apiVersion: a/b/c, kind: Service, name: web}, target: {type: Value, value: 1}}}]}": `describedObject.apiVersion: Invalid value: "a/b/c": must be a version, or a group and a version`,
		selected("{matchExpressions: [{key: a, operator: Foo, values: [b]}]}"):                                                                                                        `matchExpressions[0].operator: Unsupported value: "Foo": supported values: "In", "NotIn", "Exists", "DoesNotExist"`,
		selected("{matchExpressions: [{key: a, operator: In}]}"):                                                                                                                      `matchExpressions[0]: Invalid value: needs values with this operator`,
		selected("{matchExpressions: [{key: a, operator: NotIn, values: []}]}"):                                                                                                       `matchExpressions[0]: Invalid value: needs values with this operator`,
		selected("{matchExpressions: [{key: a, operator: Exists, values: [b]}]}"):                                                                                                     `matchExpressions[0]: Invalid value: has no values with this operator`,
		selected("{matchExpressions: [{key: a b, operator: Exists}]}"):                                                                                                                `matchExpressions[0].key: Invalid value: "a b": must be the name of a label`,
		selected("{matchExpressions: [{key: a, operator: In, values: [b, 'c d']}]}"):                                                                                                  `matchExpressions[0].values[1]: Invalid value: "c d": must be the value of a label`,
		"{" + ofWeb + ", window: soon}":                                                   `spec.window: Invalid value: "soon": must be a duration from 1s to 5m`,
		"{" + ofWeb + ", stableWindow: 2h}":                                               `spec.stableWindow: Invalid value: "2h": must be a duration from 1s to 5m`,
		"{" + ofWeb + ", window: 30s, stableWindow: 5s}":                                  `spec: Invalid value: stableWindow must be at least window`,
		"{" + ofWeb + ", schedules: [{start: 0 8 * *, end: 0 18 * * *, minReplicas: 2}]}": `spec.schedules[0].start: Invalid value: "0 8 * *": must be a cron line of five fields: minute hour day month weekday`,
		resource("averageValue: x"):                                                       `averageValue: Invalid value: "x": must be a quantity, such as 500m or 100Mi`,
		resource("averageValue: '9E-700000000'"):                                          `averageValue: Invalid value: "9E-700000000": must be a quantity`,
		resource("averageValue: 1 Gi"):                                                    `averageValue: Invalid value: "1 Gi": must be a quantity`,
		resource("averageValue: 0"):                                                       `averageValue: Invalid value: 0: must be more than 0`,
		resource("averageValue: -5m"):                                                     `averageValue: Invalid value: "-5m": must be more than 0`,
		"{" + ofWeb + ", metrics: [{type: ContainerResource, containerResource: {name: cpu, container: A b, target: {type: Utilization, averageUtilization: 50}}}]}": `container: Invalid value: "A b": must be the name of a container: lower case letters, digits and hyphens`,
		selected("{matchLabels: {a b: c}}"): `matchLabels: Invalid value: must be the name of a label`,
		selected("{matchLabels: {a: b/c}}"): `matchLabels[a]: Invalid value: "b/c": must be the value of a label`,
	} {
		if got := c.of(t, spec); !strings.Contains(got, want) {
			t.Errorf("%s:\n got %s\nwant %s", spec, got, want)
		}
	}
	for _, spec := range []string{"{" + ofWeb + "}", resource("averageValue: 5"), resource("averageValue: 1e3"), resource("averageValue: +1.5Gi"), "{" + ofWeb + ", window: 1m30s, stableWindow: 2m, schedules: [{start: 0 8  * * 1-5, end: 0 18 * * *, minReplicas: 2}]}", of("v1", "ReplicationController", "old"), of("argoproj.io/v1alpha1", "Rollout", "a.b-2"), selected("{}"),
		selected("{matchLabels: {queue: orders, example.com/Tier_1: ''}, matchExpressions: [{key: a, operator: NotIn, values: [b]}, {key: c, operator: DoesNotExist}]}"),
		"{" + ofWeb + ", metrics: [{type: Object, object: {metric: {name: hits}, describedObject: {kind: Namespace, name: web}, target: {type: Value, value: 1}}}]}"} {
		if got := c.of(t, spec); got != "" {
			t.Errorf("%s: refused: %s", spec, got)
		}
	}
}
