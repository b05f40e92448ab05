package kube

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"plimsoll.dev/plimsoll/autoscaler"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// A target whose only policy cannot be used is found, with the policy's name and the reason; one that another policy scales is told by that.
func TestRefusals(t *testing.T) {
	bad := scp(t, "bad", 9, "{"+ofWeb+", window: 2h}")
	rows := refusals(settle([]*Declared{bad}, nil, false, nil), nil, born)
	if len(rows) != 1 || rows[0].State != "ScalePolicy bad is not in force (InvalidPolicy)" || *rows[0].Max != 5 || rows[0].Gap == nil || rows[0].Name != "web" || len(rows[0].By) != 1 || rows[0].By[0].Name != "bad" {
		t.Fatalf("got %+v", rows)
	}
	const want = `ScalePolicy "bad" cannot be used: `
	if got := rows[0].Gap.Detail; len(got) <= len(want) || got[:len(want)] != want || got[len(got)-1] == '.' {
		t.Errorf("got %q; want a clause that begins with %q", got, want)
	}
	later := refusals(settle([]*Declared{bad}, nil, false, nil), rows, born.Add(1e9))
	if !later[0].Gap.Since.Equal(born) {
		t.Errorf("it is said to be since %s, want %s", later[0].Gap.Since, born)
	}
	if rows := refusals(settle([]*Declared{bad, scp(t, "good", 19, "{"+ofWeb+"}")}, nil, false, nil), nil, born); len(rows) != 0 {
		t.Errorf("a target that is scaled has %+v", rows)
	}
}

// What cannot be read of the limits is not known, and not zero; a default is known where all else can be read.
func TestLimitsOfRefusals(t *testing.T) {
	f := func(d *Declared, want string) {
		t.Helper()
		rows := refusals(settle([]*Declared{d}, nil, false, nil), nil, born)
		if len(rows) != 1 {
			t.Fatalf("got %+v", rows)
		}
		raw, err := json.Marshal([]*int32{rows[0].Min, rows[0].Max})
		if err != nil || string(raw) != want {
			t.Errorf("%s: got %s %v, want %s", rows[0].Gap.Detail, raw, err, want)
		}
	}
	notes := func(least, most string) *Declared {
		return annotated(map[string]string{annotatedMin: least, annotatedMax: most})
	}
	f(notes("2", "many"), "[2,null]")
	f(notes("some", "5"), "[null,5]")
	f(annotated(map[string]string{annotatedCPU: "70"}), "[null,null]")
	f(annotated(map[string]string{annotatedMax: "5", annotatedCPU: "x"}), "[null,5]")
	f(notes("9", "5"), "[9,5]")
	f(scp(t, "bad", 9, "{"+ofWeb+", window: 2h}"), "[1,5]")
	f(scp(t, "bad", 9, "{"+ofWeb+", minReplicas: 2, tolerance: true}"), "[2,5]")
}

// A policy that gave way to another of its target is told with that one: by its name, and why.
func TestRefusedBeside(t *testing.T) {
	var ps []autoscaler.Policy
	who := &people{}
	p := &Policies{opts: Options{Apply: func(all []autoscaler.Policy) error { ps = all; return nil }}, log: slog.New(slog.DiscardHandler), book: newBook(who, who),
		tables: Tables{Policies: declares{scp(t, "one", 9, "{"+ofWeb+"}"), scp(t, "two", 5, "{"+ofWeb+"}"), scp(t, "bad", 19, "{"+ofWeb+", window: 2h}")}, Autoscalers: declares{}}}
	if err := p.settle(); err != nil {
		t.Fatal(err)
	}
	if len(ps) != 1 || !strings.HasPrefix(ps[0].Refused, `ScalePolicy "bad" cannot be used: `) || !strings.HasSuffix(ps[0].Refused, `, ScalePolicy "two" is not in force: ScalePolicy "one" scales Deployment "web" already`) {
		t.Fatalf("got %+v", ps)
	}
	if diff := cmp.Diff([]cluster.Declaration{{Kind: Kind, Name: "bad"}, {Kind: Kind, Name: "two"}}, ps[0].RefusedBy); diff != "" {
		t.Error(diff)
	}
	if rows := p.Scaled(born); len(rows) != 0 || p.inForce["one"].policy.Refused != "" {
		t.Errorf("beside it there is %+v, and what is kept from one time to the next is %+v", rows, p.inForce["one"].policy)
	}
}

// declares is a Table of what never changes.
type declares []*Declared

func (d declares) Run(context.Context) error { return nil }
func (d declares) All() []*Declared          { return slices.Clone(d) }
func (d declares) Synced() bool              { return true }
func (d declares) Since() (time.Time, error) { return time.Time{}, nil }

// Beside an HPA a policy says who scales.
func TestOwner(t *testing.T) {
	one := settle([]*Declared{scp(t, "one", 5, "{"+ofWeb+"}")}, []*Declared{hpa("h", false, "")}, false, nil)
	if p := one[0].policy; p == nil || p.Owner != "HPA h" || p.Foreign == "" {
		t.Errorf("got %+v", p)
	}
	if p := one[0].policy; len(p.Declared) != 1 || p.Declared[0] != (cluster.Declaration{Kind: Kind, Name: "one"}) {
		t.Errorf("declared by %v", p.Declared)
	}
	if p := settle(nil, []*Declared{hpa("h", true, "")}, false, nil)[0].policy; p == nil || p.Owner != "HPA h" || p.Foreign != "" {
		t.Errorf("a boosted one: %+v", p)
	}
}

// What a policy's status says of a count of 0 is for who decides next; what it said of an earlier target is not, and is taken back.
func TestZeroOfTheStatus(t *testing.T) {
	var ps []autoscaler.Policy
	who := &people{}
	read := func(generation int64, target, status string, observed int64) declares {
		d := scp(t, "one", 9, "{scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: "+target+"}, maxReplicas: 5}")
		d.version = generation
		if d.zeroed = (metav1.Condition{}); status != "" {
			d.zeroed = metav1.Condition{Type: "ScaledToZero", Status: metav1.ConditionStatus(status), LastTransitionTime: metav1.NewTime(born), ObservedGeneration: observed}
		}
		d.was.Conditions = []metav1.Condition{d.zeroed}
		return declares{d}
	}
	p := &Policies{opts: Options{Apply: func(all []autoscaler.Policy) error { ps = all; return nil }}, log: slog.New(slog.DiscardHandler), book: newBook(who, who), tables: Tables{Autoscalers: declares{}}}
	for _, f := range []struct {
		name  string
		table declares
		want  *autoscaler.Zero
	}{
		{"nothing", read(1, "web", "", 0), nil},
		{"ours", read(1, "web", "True", 1), &autoscaler.Zero{Ours: true, Since: born}},
		{"not ours", read(1, "web", "False", 1), &autoscaler.Zero{Since: born}},
		{"ours, the policy has been edited since", read(3, "web", "True", 2), &autoscaler.Zero{Ours: true, Since: born}},
		{"another target", read(4, "mail", "True", 3), nil},
		{"another target, the status is still the old one", read(4, "mail", "True", 3), nil},
		{"the other target's own", read(5, "mail", "True", 4), &autoscaler.Zero{Ours: true, Since: born}},
	} {
		p.tables.Policies = f.table
		if err := p.settle(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(f.want, ps[0].Zero); diff != "" {
			t.Errorf("%s: %s", f.name, diff)
		}
		if f.name == "another target" && p.book.stories["one"].now.get("ScaledToZero").Status != "" {
			t.Error("the status of the new target has what was said of the old one")
		}
		p.book.stories["one"].now.Conditions = f.table[0].was.Conditions
	}
	for was, want := range map[string]*autoscaler.Zero{"": {Ours: true, Since: born}, "Deployment.apps/mail": {Ours: true, Since: born}, "Deployment.apps/web": nil, "StatefulSet.apps/mail": nil} { // as a new process finds it
		u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"maxReplicas": 5, "scaleTargetRef": map[string]any{"apiVersion": "apps/v1beta1", "kind": "Deployment", "name": "mail"}},
			"status": map[string]any{"target": was, "conditions": []any{map[string]any{"type": "ScaledToZero", "status": "True", "lastTransitionTime": born.Format(time.RFC3339), "observedGeneration": 3}}}}}
		u.SetGeneration(4)
		d := ReadPolicy(u)
		if diff := cmp.Diff(want, (&settled{Declared: d}).zero()); diff != "" {
			t.Errorf("of %q: %s", was, diff)
		}
		b := newBook(who, who)
		b.open([]settled{{Declared: d, policy: &autoscaler.Policy{Compiled: ps[0].Compiled}}}, born)
		if got := b.stories[""].now.get("ScaledToZero").Status; (got == "") != (want == nil) {
			t.Errorf("of %q the status goes on with %q", was, got)
		}
	}
	h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{Boost: "true"}, Generation: 2},
		Status: autoscalingv2.HorizontalPodAutoscalerStatus{Conditions: []autoscalingv2.HorizontalPodAutoscalerCondition{{Type: autoscalingv2.ScaledToZero, Status: "True", LastTransitionTime: metav1.NewTime(born)}}}}
	if diff := cmp.Diff(&autoscaler.Zero{Ours: true, Since: born, Another: true}, (&settled{Declared: ReadAutoscaler(h)}).zero()); diff != "" {
		t.Error(diff)
	}
}
