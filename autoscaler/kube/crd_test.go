package kube

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"plimsoll.dev/plimsoll/autoscaler/policy"
)

var update = flag.Bool("update", false, "write the CustomResourceDefinition anew")

const crdPath = "../../charts/plimsoll/crds/scalepolicies.yaml"

// openAPI is a part of an OpenAPI schema.
type openAPI = map[string]any

// rule is a CEL rule with what people read.
type rule struct{ rule, message string }

// extra is what a field's type does not say.
type extra struct {
	text     string // replaces what the type's documentation says
	required bool
	// anyNumber takes numbers with a point too, as people write a ratio; no CEL rule sees such a field.
	anyNumber bool
	more      openAPI
	rules     []rule
}

const (
	cronText = `^\S+ +\S+ +\S+ +\S+ +\S+$`
	// durations are as Go writes them.
	durationText = `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// quantities have no exponent that the API server's own rules would work on for minutes.
	quantityText = `^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?[0-9]{1,3}))?$`
)

// positive has a quantity read only where it is one that the API server can read in no time.
var positive = []rule{{"string(self).matches(r'" + quantityText + "')", "must be a quantity, such as 500m or 100Mi"},
	{"string(self).matches(r'" + quantityText + "') ? quantity(string(self)).isGreaterThan(quantity('0')) : true", "must be more than 0"}}

var cronLine = []rule{{"self.matches(r'" + cronText + "')", "must be a cron line of five fields: minute hour day month weekday, such as 0 8 * * 1-5"}}

var look = []rule{{"self.matches(r'" + durationText + "') && duration(self) >= duration('1s') && duration(self) <= duration('5m')", "must be a duration from 1s to 5m"}}

// looksLike is the rule that a name looks like these words.
func looksLike(w words) []rule { return []rule{{"self.matches('" + w.pattern.String() + "')", w.want}} }

func atMost(w words) openAPI { return openAPI{"maxLength": w.most} }

var path = []rule{{"self != '.' && self != '..' && !self.contains('/') && !self.contains('%')", "must not be . or .., nor contain / or %"}}

// extras are what is known of fields by their path; a [] stands for any element. A path that begins with a star is any path that ends so.
var extras = map[string]extra{
	"": {required: true, rules: []rule{
		{"!has(self.minReplicas) || self.minReplicas <= self.maxReplicas", "maxReplicas must be at least minReplicas"},
		{"!has(self.minReplicas) || self.minReplicas != 0 || has(self.metrics) && self.metrics.exists(m, m.type == 'Object' || m.type == 'External')",
			"minReplicas 0 needs a metric of type Object or External, which can be seen without pods; set at least 1"},
		{"!has(self.schedules) || self.schedules.all(s, !has(s.minReplicas) || has(s.maxReplicas) || s.minReplicas <= self.maxReplicas)",
			"minReplicas of a schedule without maxReplicas must be at most the policy's maxReplicas"},
		{"!has(self.schedules) || self.schedules.all(s, !has(s.maxReplicas) || has(s.minReplicas) || (has(self.minReplicas) ? self.minReplicas : 1) <= s.maxReplicas)",
			"maxReplicas of a schedule without minReplicas must be at least the policy's minReplicas"},
		{"!has(self.schedules) || self.schedules.all(s, !has(s.minReplicas) || s.minReplicas != 0 || has(self.metrics) && self.metrics.exists(m, m.type == 'Object' || m.type == 'External'))",
			"minReplicas 0 of a schedule needs a metric of type Object or External, which can be seen without pods; set at least 1"},
		{"!has(self.window) || !has(self.stableWindow) || !self.window.matches(r'" + durationText + "') || !self.stableWindow.matches(r'" + durationText + "') || duration(self.window) <= duration(self.stableWindow)", "stableWindow must be at least window"},
		{"!has(self.forecast)", "forecast is reserved for a later version: leave it out"},
	}},
	"scaleTargetRef":                {text: "What is scaled: an object of any kind that has the scale subresource.", required: true},
	"scaleTargetRef.apiVersion":     {text: "The API version of the target, apps/v1 for a Deployment.", required: true, more: atMost(versionWords), rules: looksLike(versionWords)},
	"scaleTargetRef.kind":           {text: "The kind of the target.", required: true, more: atMost(kindWords), rules: looksLike(kindWords)},
	"scaleTargetRef.name":           {text: "The name of the target.", required: true, more: atMost(nameWords), rules: looksLike(nameWords)},
	"minReplicas":                   {text: "The fewest replicas. 0 needs a metric of type Object or External.", more: openAPI{"default": 1}, rules: []rule{{"self >= 0", "must not be negative"}}},
	"maxReplicas":                   {text: "The most replicas.", required: true, rules: []rule{{"self >= 1", "must be at least 1"}}},
	"metrics":                       {text: "What the target is scaled on, as in a HorizontalPodAutoscaler; none means CPU at 80 % of what is requested.", more: openAPI{"maxItems": 32}},
	"behavior":                      {text: "How fast the count may change, as in a HorizontalPodAutoscaler."},
	"mode":                          {text: "Auto: decisions are carried out. DryRun: they are told. Paused: they are told, as somebody wants the count left alone.", more: openAPI{"enum": []any{"Auto", "DryRun", "Paused"}, "default": "Auto"}},
	"raiseOnly":                     {text: "Never lowers the count."},
	"window":                        {text: "The shortest look at recent usage that a decision to grow may rest on, from 1s to 5m; 3s if left out. How far it grows may rest on the newest second.", rules: look},
	"stableWindow":                  {text: "The longest look, and what a decision to shrink rests on, from 1s to 5m; 60s if left out.", rules: look},
	"confidence":                    {text: "How far, in standard errors, the load must stand clear of its own noise at the shortest look; 4 if left out, 0: not asked.", rules: []rule{{"self >= 0.0 && self <= 100.0", "must be a number from 0 to 100 (standard errors)"}}},
	"tolerance":                     {text: "How far the load may be from its line without a change, as a ratio; 0.1 if left out.", anyNumber: true},
	"schedules":                     {text: "Other limits at certain times, which may go beyond the policy's. What a schedule leaves out is the policy's, and its floor must not be above its ceiling then. Of several that hold at once the highest floor and the highest ceiling that they set count; a ceiling below the floor is raised to it.", more: openAPI{"maxItems": 32}},
	"schedules[]":                   {rules: []rule{{"has(self.minReplicas) || has(self.maxReplicas)", "must set minReplicas, maxReplicas, or both"}, {"!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas", "maxReplicas must be at least minReplicas"}}},
	"schedules[].start":             {text: "When it begins, as a cron line: minute hour day month weekday.", required: true, more: openAPI{"maxLength": 256}, rules: cronLine},
	"schedules[].end":               {text: "When it ends, as a cron line.", required: true, more: openAPI{"maxLength": 256}, rules: cronLine},
	"schedules[].timeZone":          {text: "Where the clock of these times is: an IANA name such as Europe/Berlin; UTC if left out.", more: openAPI{"maxLength": 64}, rules: []rule{{"self != 'Local'", "must be an IANA name such as Europe/Berlin"}}},
	"schedules[].minReplicas":       {text: "The floor in this time; that of the policy if left out.", rules: []rule{{"self >= 0", "must not be negative"}}},
	"schedules[].maxReplicas":       {text: "The ceiling in this time; that of the policy if left out.", rules: []rule{{"self >= 1", "must be at least 1"}}},
	"forecast":                      {text: "Reserved for a later version: leave it out."},
	"metrics[]":                     {rules: sections("Resource", "ContainerResource", "Pods", "Object", "External")},
	"metrics[].type":                {required: true, more: openAPI{"enum": []any{"Resource", "ContainerResource", "Pods", "Object", "External"}}},
	"metrics[].resource.target":     {required: true, rules: byPod},
	"metrics[].resource.name":       {required: true, more: openAPI{"enum": []any{"cpu", "memory"}}},
	"*.containerResource.name":      {required: true, more: openAPI{"enum": []any{"cpu", "memory"}}},
	"*.containerResource.target":    {required: true, rules: byPod},
	"*.containerResource.container": {required: true, more: openAPI{"maxLength": 63}, rules: []rule{{"self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')", "must be the name of a container: lower case letters, digits and hyphens"}}},
	"metrics[].pods.target":         {required: true, rules: []rule{{"has(self.averageValue)", "averageValue is needed"}}},
	"metrics[].object.target":       {required: true, rules: []rule{{"has(self.value) || has(self.averageValue)", "averageValue is needed, or value"}}},
	"metrics[].external.target":     {required: true, rules: []rule{{"has(self.value) != has(self.averageValue)", "give one of value and averageValue"}}},
	"*.target.type":                 {required: true, more: openAPI{"enum": []any{"Utilization", "Value", "AverageValue"}}},
	"*.target.value":                {rules: positive},
	"*.target.averageValue":         {rules: positive},
	"*.target.averageUtilization":   {rules: []rule{{"self >= 1", "must be at least 1 (percent of request)"}}},
	"*.metric":                      {required: true},
	"*.metric.name":                 {required: true, more: openAPI{"minLength": 1, "maxLength": 253}, rules: path},
	"*.describedObject":             {required: true},
	"*.describedObject.apiVersion":  {more: atMost(versionWords), rules: []rule{{"self == '' || " + looksLike(versionWords)[0].rule, versionWords.want}}},
	"*.describedObject.kind":        {required: true, more: openAPI{"minLength": 1, "maxLength": 63}, rules: path},
	"*.describedObject.name":        {required: true, more: openAPI{"minLength": 1, "maxLength": 253}, rules: path},
	"*.matchLabels":                 {more: openAPI{"maxProperties": mostLabels}, rules: []rule{{"self.all(k, k.matches('" + keyWords.pattern.String() + "'))", keyWords.want}}},
	"*.matchLabels{}":               {more: atMost(valueWords), rules: looksLike(valueWords)},
	"*.matchExpressions":            {more: openAPI{"maxItems": mostLabels}},
	"*.matchExpressions[]": {rules: []rule{{"!(self.operator in ['In', 'NotIn']) || has(self.values) && size(self.values) > 0", someValues},
		{"!(self.operator in ['Exists', 'DoesNotExist']) || !has(self.values) || size(self.values) == 0", noValues}}},
	"*.matchExpressions[].key":      {required: true, more: atMost(keyWords), rules: looksLike(keyWords)},
	"*.matchExpressions[].operator": {required: true, more: openAPI{"enum": []any{"In", "NotIn", "Exists", "DoesNotExist"}}},
	"*.matchExpressions[].values":   {more: openAPI{"maxItems": mostValues}},
	"*.matchExpressions[].values[]": {more: atMost(valueWords), rules: looksLike(valueWords)},
	"status.observedGeneration":     {text: "The generation of the policy that this is of."},
	"status.target":                 {text: "The target that this is of, with its kind and group, such as Deployment.apps/web."},
	"status.mode":                   {text: "The mode that is in force: Auto, DryRun or Paused. Where the autoscaler itself is in dry run, Auto is DryRun."},
	"status.currentReplicas":        {text: "How many replicas there were when it was decided; nothing where that is not known."},
	"status.desiredReplicas":        {text: "How many the decision asks for; in DryRun and Paused those that there are, and its sentence says how many there would be."},
	"status.schedule":               {text: "The limits in force while a schedule holds, instead of those of the policy, and since when, as its start is written; nothing where none holds."},
	"status.lastScaleTime":          {text: "When the count was last changed."},
	"status.lastDecision":           {text: "The newest decision in the words of 'plimsoll explain', the page and the decision log. A sentence in which only numbers changed is renewed once a minute."},
	"status.lastDecision.time":      {text: "When it was decided."},
	"status.lastDecision.action":    {text: "Up, Down or Hold."},
	"status.lastDecision.reason":    {text: "Why, in one word, as in brackets in 'plimsoll explain'."},
	"status.lastDecision.message":   {text: "Why, in a sentence: the second line of 'plimsoll explain'."},
	"status.conditions":             {text: "AbleToScale, ScalingActive and ScalingLimited as a HorizontalPodAutoscaler has them, and ReplicasMade where pods cannot be made."},
	"*.stabilizationWindowSeconds":  {rules: []rule{{"self >= 0 && self <= 3600", "must be from 0 to 3600"}}},
	"*.selectPolicy":                {more: openAPI{"enum": []any{"Max", "Min", "Disabled"}}},
	"behavior.scaleUp.policies":     {more: openAPI{"maxItems": 32, "minItems": 1}},
	"behavior.scaleDown.policies":   {more: openAPI{"maxItems": 32, "minItems": 1}},
	"*.policies[].type":             {required: true, more: openAPI{"enum": []any{"Pods", "Percent"}}},
	"*.policies[].value":            {required: true, rules: []rule{{"self >= 1", "must be more than 0"}}},
	"*.policies[].periodSeconds":    {required: true, rules: []rule{{"self >= 1 && self <= 1800", "must be from 1 to 1800"}}},
	"behavior.scaleUp":              {text: "How fast the count may rise. In a behavior that leaves it out, in 15 s 4 pods more or twice as many, whichever is more, at once; without a behavior one decision brings it to twice as many at most, or to 4, and decisions come each second."},
	"behavior.scaleUp.tolerance":    {anyNumber: true, text: "How far the load may be above its line without a raise, as a ratio (0.01 is 1 %); spec.tolerance if left out."},
	"behavior.scaleDown.tolerance":  {anyNumber: true, text: "How far the load may be below its line without a lowering, as a ratio (0.01 is 1 %); spec.tolerance if left out."},
}

var byPod = []rule{{"has(self.averageUtilization) != has(self.averageValue)", "give one of averageUtilization and averageValue"},
	{"self.type != 'AverageValue' || has(self.averageValue)", "averageValue is needed"}}

// sections has each type of metric need its own section, and no other.
func sections(types ...string) (out []rule) {
	for _, t := range types {
		section := strings.ToLower(t[:1]) + t[1:]
		out = append(out, rule{fmt.Sprintf("(self.type == '%s') == has(self.%s)", t, section), fmt.Sprintf("type %s goes with the section %s", t, section)})
	}
	return out
}

// used are the extras that were of a field.
type generator struct{ used map[string]bool }

func (g *generator) extra(path string) extra {
	if x, ok := extras[path]; ok {
		g.used[path] = true
		return x
	}
	var out extra
	longest := ""
	for k, x := range extras {
		if tail, any := strings.CutPrefix(k, "*"); any && strings.HasSuffix(path, tail) && len(k) > len(longest) {
			out, longest = x, k
		}
	}
	g.used[longest] = true
	return out
}

// of is the schema of a Go type at a path.
func (g *generator) of(t reflect.Type, path string) openAPI {
	x := g.extra(path)
	out := openAPI{}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[resource.Quantity]() && x.anyNumber:
		out = openAPI{"x-kubernetes-preserve-unknown-fields": true, "minimum": 0, "minProperties": 1, "maxProperties": 0, "maxItems": 0, "pattern": strings.Replace(quantityText, `(\+|-)?`, `\+?`, 1)}
	case t == reflect.TypeFor[resource.Quantity]():
		out = openAPI{"anyOf": []any{openAPI{"type": "integer"}, openAPI{"type": "string"}}, "x-kubernetes-int-or-string": true, "maxLength": 40}
	case t == reflect.TypeFor[metav1.Duration]():
		out = openAPI{"type": "string", "maxLength": 20}
	case t == reflect.TypeFor[metav1.Time]():
		out = openAPI{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.String:
		out["type"] = "string"
	case t.Kind() == reflect.Bool:
		out["type"] = "boolean"
	case t.Kind() == reflect.Int32 || t.Kind() == reflect.Int64:
		out["type"], out["format"] = "integer", t.Kind().String()
	case t.Kind() == reflect.Float64:
		out["type"] = "number"
	case t.Kind() == reflect.Map:
		out["type"], out["additionalProperties"] = "object", g.of(t.Elem(), path+"{}")
	case t.Kind() == reflect.Slice:
		out["type"], out["items"] = "array", g.of(t.Elem(), path+"[]")
		out["x-kubernetes-list-type"] = "atomic"
	case t.Kind() == reflect.Struct:
		g.object(out, t, path)
	default:
		panic("no schema of " + t.String())
	}
	for k, v := range x.more {
		out[k] = v
	}
	var rules []any
	for _, r := range x.rules {
		rules = append(rules, openAPI{"rule": r.rule, "message": r.message})
	}
	if rules != nil {
		out["x-kubernetes-validations"] = rules
	}
	return out
}

func (g *generator) object(out openAPI, t reflect.Type, path string) {
	docs := map[string]string{}
	if d, ok := reflect.New(t).Interface().(interface{ SwaggerDoc() map[string]string }); ok {
		docs = d.SwaggerDoc()
	}
	properties, required := openAPI{}, []any{}
	for i := range t.NumField() {
		if !t.Field(i).IsExported() {
			continue
		}
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		at := strings.TrimPrefix(path+"."+name, ".")
		p := g.of(t.Field(i).Type, at)
		if text := firstOf(g.extra(at).text, docs[name]); text != "" {
			p["description"] = text
		}
		properties[name] = p
		if g.extra(at).required {
			required = append(required, name)
		}
	}
	out["type"] = "object"
	if len(properties) > 0 {
		out["properties"] = properties
	}
	if len(required) > 0 {
		out["required"] = required
	}
}

// firstOf is the first that there is, one sentence or two of it on one line.
func firstOf(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return regexp.MustCompile(`\s+`).ReplaceAllString(strings.TrimSpace(s), " ")
		}
	}
	return ""
}

func crd(t *testing.T) []byte {
	g := &generator{used: map[string]bool{}}
	spec := g.of(reflect.TypeFor[policy.Spec](), "")
	spec["description"] = "How the target is to be scaled. The fields of a HorizontalPodAutoscaler have its names and meaning."
	told := &generator{used: map[string]bool{}}
	of := told.of(reflect.TypeFor[status](), "status")
	of["description"] = "What comes of it."
	column := func(name, kind, path string, priority int) any {
		c := openAPI{"name": name, "type": kind, "jsonPath": path}
		if text := extras[strings.TrimPrefix(strings.TrimPrefix(path, ".spec."), ".")].text; text != "" {
			c["description"] = text
		}
		if priority > 0 {
			c["priority"] = priority
		}
		return c
	}
	for k := range extras {
		if !g.used[k] && !told.used[k] {
			t.Errorf("extra %q is of no field", k)
		}
	}
	all := openAPI{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": openAPI{"name": Resource + "." + Group},
		"spec": openAPI{"group": Group, "scope": "Namespaced", "names": openAPI{"kind": Kind, "listKind": Kind + "List", "plural": Resource, "singular": "scalepolicy", "shortNames": []any{"scp"}, "categories": []any{"all"}},
			"versions": []any{openAPI{"name": Version, "served": true, "storage": true, "subresources": openAPI{"status": openAPI{}},
				"schema": openAPI{"openAPIV3Schema": openAPI{"type": "object", "required": []any{"spec"}, "description": "A ScalePolicy says how the replicas of one target are to be scaled.",
					"properties": openAPI{"apiVersion": openAPI{"type": "string"}, "kind": openAPI{"type": "string"}, "metadata": openAPI{"type": "object"}, "spec": spec, "status": of}}},
				"additionalPrinterColumns": []any{
					column("Kind", "string", ".spec.scaleTargetRef.kind", 0), column("Target", "string", ".spec.scaleTargetRef.name", 0),
					column("Min", "integer", ".spec.minReplicas", 0), column("Max", "integer", ".spec.maxReplicas", 0), column("Schedule", "string", ".status.schedule", 0),
					column("Replicas", "integer", ".status.currentReplicas", 0), column("Desired", "integer", ".status.desiredReplicas", 0),
					column("Mode", "string", ".status.mode", 0), column("Reason", "string", ".status.lastDecision.reason", 0),
					column("Scaled", "date", ".status.lastScaleTime", 1), column("Decided", "date", ".status.lastDecision.time", 1), column("Message", "string", ".status.lastDecision.message", 1),
					column("Age", "date", ".metadata.creationTimestamp", 0)}}}}}
	raw, err := yaml.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte("# Made of the Go types by the tests of autoscaler/kube; -update writes it anew.\n"), raw...)
}

// TestCRD holds the CustomResourceDefinition to the Go types that policies are read into.
func TestCRD(t *testing.T) {
	want := crd(t)
	if *update {
		if err := os.WriteFile(crdPath, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(crdPath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the CustomResourceDefinition is another one than the types say; -update writes it anew: %s", cmp.Diff(string(want), string(got)))
	}
}

// Each column of 'kubectl get scp' is a field of which 'kubectl explain' tells, in the same words.
func TestColumnsAreExplained(t *testing.T) {
	var got struct {
		Spec struct {
			Versions []struct {
				AdditionalPrinterColumns []struct{ Name, JSONPath, Description string }
				Schema                   struct{ OpenAPIV3Schema openAPI }
			}
		}
	}
	if err := yaml.Unmarshal(crd(t), &got); err != nil {
		t.Fatal(err)
	}
	v := got.Spec.Versions[0]
	for _, c := range v.AdditionalPrinterColumns {
		at := v.Schema.OpenAPIV3Schema
		for _, name := range strings.Split(strings.TrimPrefix(c.JSONPath, "."), ".") {
			properties, _ := at["properties"].(openAPI)
			at, _ = properties[name].(openAPI)
		}
		if said, _ := at["description"].(string); c.Name != "Age" && (said == "" || said != c.Description) {
			t.Errorf("column %s says %q, and its field %q", c.Name, c.Description, said)
		}
	}
}
