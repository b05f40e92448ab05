package policy

import (
	"math"
	"testing"
	"time"
)

// TestReportIsFresh: a page is shown the newest load, also while the decision rests on the longest look.
func TestReportIsFresh(t *testing.T) {
	in := tenPods(10, 60)
	in.Looks[0].Usage = usageOf(in.Pods, DefaultWindow, 75)
	d := Decide(in)
	m := &d.Metrics[0]
	if d.Action != Hold || d.Look.Window != time.Minute || m.Utilization.N != 60 {
		t.Errorf("%s on a look of %s at %d %%: %s", d.Action, d.Look.Window, m.Utilization.N, d.Message)
	}
	if m.Load != 0.75 || m.Target != 0.8 || m.Window != DefaultWindow || m.Of != "500m CPU" || math.Abs(m.Noise-0.04) > 1e-9 {
		t.Errorf("for pages: load %v of %s, line %v, noise %v, over %s", m.Load, m.Of, m.Target, m.Noise, m.Window)
	}
}

// TestReportWithoutData: what is not known is NaN, not zero.
func TestReportWithoutData(t *testing.T) {
	in := tenPods(10, 60)
	in.Looks, in.Usage = nil, nil
	if m := &Decide(in).Metrics[0]; !math.IsNaN(m.Load) || !math.IsNaN(m.Noise) || m.Proposal.Known || m.Utilization.Known || m.Error == "" {
		t.Errorf("without data: %+v", m)
	}
}
