package boardtest

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// Views are what people look at: the last hour of everything, the whole day of everything, and one pod.
func Views() map[string]View {
	one := Chosen{"cluster": {Cluster}, "node": {"n2"}, "namespace": {"a", "b"}, "workload": {"job/x", "web"}, "pod": {"web-2"}}
	return map[string]View{
		"an hour":    {Range: time.Hour, Step: 20 * time.Second},
		"a day":      {Range: 24 * time.Hour, Step: 2 * time.Minute},
		"one chosen": {Range: time.Hour, Step: 20 * time.Second, Chosen: one},
	}
}

// Got is what a store answered: the values of each series by Key, oldest first.
type Got map[string][]float64

// Check compares an answer with what must come, and returns what is wrong with it. The newest values must be right within one percent, which
// is what engines make of a counter's growth at the ends of a range; a chart must have at least nine tenths of its points.
func (a Ask) Check(got Got) []string {
	var wrong []string
	say := func(format string, args ...any) {
		wrong = append(wrong, a.Panel+": "+fmt.Sprintf(format, args...)+"\n"+a.Text)
	}
	if len(a.Want) == 0 {
		say("nothing is expected: this panel would never show anything")
	}
	for k := range got {
		if _, ok := a.Want[k]; !ok {
			say("unexpected series %q", k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(a.Want)) {
		want, vs := a.Want[k], got[k]
		if len(vs) == 0 {
			say("no data for %q", k)
			continue
		}
		if x := vs[len(vs)-1]; math.IsNaN(x) || math.Abs(x-want) > 0.01*math.Abs(want) {
			say("%q is %g, want %g", k, x, want)
		}
		if steps := int(a.To.Sub(a.From) / a.Step); !a.Now && len(vs) < steps*9/10 {
			say("%q has %d points of %d", k, len(vs), steps)
		}
	}
	return wrong
}
