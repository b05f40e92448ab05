package api

import (
	"cmp"
	"fmt"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/store"
)

// TestFollowManyDecisions: all decisions of one tick are told, however many a log gives to whoever says no number.
func TestFollowManyDecisions(t *testing.T) {
	var list []cluster.Decision
	for i := range 300 {
		d := grow()
		d.Name, d.Time = fmt.Sprint("w", i), noon
		list = append(list, d)
	}
	a := newAPI(t, func(o *Options) {
		o.Decisions = log(func(q store.DecisionQuery) ([]cluster.Decision, error) {
			q.Limit = cmp.Or(q.Limit, 100)
			return choose(list, q), nil
		})
	})
	if _, err := a.hub.add(view{sees: scope.Whole()}, "ann", func() {}); err != nil {
		t.Fatal(err)
	}
	f := follower{api: a, floor: noon.Add(-time.Second), seen: map[seenKey]time.Time{}}
	for i, want := range []int{300, 0} {
		if got := len(f.poll(t.Context(), noon.Add(time.Duration(i)*time.Second))); got != want {
			t.Errorf("poll %d: told of %d decisions, want %d", i, got, want)
		}
	}
}
