package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/store"
)

// decisions tests that a decision comes back as it was, its detail byte by byte.
func (s *suite) decisions() {
	ctx := context.Background()
	details := [][]byte{nil, []byte(`{"a": 1,  "b":"<&>"}`), []byte("{\n\"pretty\": true\n}"), []byte("not JSON \x00\xff"), []byte(`"text"`)}
	var want []cluster.Decision
	for i, detail := range details {
		d := cluster.Decision{Time: s.at(float64(i)).Add(123456789 * time.Nanosecond), Target: cluster.Target{Namespace: "demo", Kind: "ProcessService", Name: "web ü \"x\"\n"},
			Action: "Up", From: int32(i), To: int32(i + 1), Reason: "CPUAboveTarget", Message: "line\nbreak, <b> and \u2028", Detail: detail}
		if err := s.AppendDecision(ctx, d); err != nil {
			s.Fatalf("AppendDecision: %v", err)
		}
		want = append([]cluster.Decision{d}, want...)
	}
	s.settle()
	got, err := s.Decisions(ctx, store.DecisionQuery{})
	if err != nil {
		s.Fatalf("Decisions: %v", err)
	}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(time.Millisecond)); d != "" {
		s.Errorf("want -, got +:\n%s", d)
	}
}

// decisionsFiltered tests order, limits and filters.
func (s *suite) decisionsFiltered() {
	ctx := context.Background()
	for i := range 300 {
		d := cluster.Decision{Time: s.at(float64(i)), Target: cluster.Target{Namespace: "demo", Kind: "ProcessService", Name: fmt.Sprint("web", i%3)},
			Action: []string{"Hold", "Up", "Down", "Hold"}[i%4], Message: fmt.Sprint(i)}
		if err := s.AppendDecision(ctx, d); err != nil {
			s.Fatalf("AppendDecision: %v", err)
		}
	}
	late := cluster.Decision{Time: s.at(150.5), Target: cluster.Target{Namespace: "other", Kind: "Deployment", Name: "web0", APIVersion: "apps/v1"}, Action: "Up", Message: "late"}
	if err := s.AppendDecision(ctx, late); err != nil {
		s.Fatalf("AppendDecision: %v", err)
	}
	s.settle()
	f := func(q store.DecisionQuery, wantCount int, wantFirst, wantLast string) {
		s.Helper()
		got, err := s.Decisions(ctx, q)
		if err != nil {
			s.Errorf("Decisions(%+v): %v", q, err)
			return
		}
		if len(got) != wantCount {
			s.Errorf("Decisions(%+v): got %d, want %d", q, len(got), wantCount)
			return
		}
		if len(got) == 0 {
			return
		}
		for i := range got[1:] {
			if got[i+1].Time.After(got[i].Time) {
				s.Errorf("Decisions(%+v): %v comes before %v", q, got[i].Time, got[i+1].Time)
			}
		}
		if first, last := got[0].Message, got[len(got)-1].Message; first != wantFirst || last != wantLast {
			s.Errorf("Decisions(%+v): got %s to %s, want %s to %s", q, first, last, wantFirst, wantLast)
		}
	}
	f(store.DecisionQuery{}, 100, "299", "200")
	f(store.DecisionQuery{Limit: 1000}, 301, "299", "0")
	f(store.DecisionQuery{Limit: 3}, 3, "299", "297")
	f(store.DecisionQuery{Target: cluster.Target{Name: "web0"}, Limit: 2}, 2, "297", "294")
	f(store.DecisionQuery{Target: cluster.Target{Namespace: "other"}}, 1, "late", "late")
	f(store.DecisionQuery{Target: cluster.Target{Namespace: "other", APIVersion: "apps/v1beta1"}}, 1, "late", "late")
	for _, v := range []string{"v1", "apps.example/v1"} {
		f(store.DecisionQuery{Target: cluster.Target{Namespace: "other", APIVersion: v}}, 0, "", "")
	}
	f(store.DecisionQuery{Target: cluster.Target{Kind: "ProcessService"}, Actions: []string{"Up", "Down"}, Limit: 1000}, 150, "298", "1")
	f(store.DecisionQuery{Start: s.at(150), End: s.at(152)}, 4, "152", "150")
	f(store.DecisionQuery{End: s.at(10), Limit: 5}, 5, "10", "6")
	one, every, whole := scope.Of(true, false, "other"), scope.Of(false, true), scope.Whole()
	f(store.DecisionQuery{Within: &one, Limit: 2}, 1, "late", "late")
	f(store.DecisionQuery{Within: &every, Limit: 1000}, 301, "299", "0")
	f(store.DecisionQuery{Within: &whole, Limit: 1000}, 301, "299", "0")
	for _, q := range []store.DecisionQuery{{Within: &one, Target: cluster.Target{Namespace: "demo"}}, {Within: new(scope.Scope)}} {
		if got, err := s.Decisions(ctx, q); err != nil || len(got) != 0 {
			s.Errorf("decisions that are not seen: got %v, %v", got, err)
		}
	}
	if got, err := s.Decisions(ctx, store.DecisionQuery{Target: cluster.Target{Name: "nobody"}}); err != nil || len(got) != 0 {
		s.Errorf("decisions for nobody: got %v, %v", got, err)
	}
	if _, err := s.Decisions(ctx, store.DecisionQuery{Start: s.at(10), End: s.at(5)}); !errors.Is(err, store.ErrBadQuery) {
		s.Errorf("end before start: got error %v, want ErrBadQuery", err)
	}
	if _, err := s.Decisions(ctx, store.DecisionQuery{Limit: -1}); !errors.Is(err, store.ErrBadQuery) {
		s.Errorf("negative limit: got error %v, want ErrBadQuery", err)
	}
}
