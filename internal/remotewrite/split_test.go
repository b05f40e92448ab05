package remotewrite

import (
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

func TestSplit(t *testing.T) {
	f := func(want []int, groups ...int) {
		t.Helper()
		b := &metric.Batch{Node: "n1", Time: time.Unix(1, 0), Gaps: []metric.Gap{{Reason: "gone"}}}
		for _, n := range groups {
			b.Groups = append(b.Groups, metric.Group{Points: make([]metric.Point, n)})
		}
		got := Split(b, 10)
		if len(got) != len(want) {
			t.Fatalf("%v: got %d parts, want %v", groups, len(got), want)
		}
		all := 0
		for i, p := range got {
			if p.Samples() != want[i] || p.Node != "n1" || !p.Time.Equal(b.Time) || (len(p.Gaps) == 1) != (i == len(got)-1) {
				t.Errorf("%v: part %d is %+v, want %d points", groups, i, p, want[i])
			}
			all += len(p.Groups)
		}
		if all != len(groups) {
			t.Errorf("%v: got %d groups", groups, all)
		}
	}
	f([]int{0})
	f([]int{10}, 3, 3, 4)
	f([]int{9, 4}, 3, 6, 4)
	f([]int{25}, 25)
	f([]int{1, 25, 2}, 1, 25, 2)
	f([]int{0}, 0, 0)
}
