package policy

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fault finds what no sentence for people has: doubled marks, an empty clause, a time of nothing, the same twice.
var fault = regexp.MustCompile(`[.:;,!?]\s*[.:;,!?]|\b0 s\b|  |\s[.,;:]|\(\)|^\s|\s$|No sample for .*no sample for`)

// TestSentences: whatever comes in, and whatever others said of it, a decision is told in whole sentences.
func TestSentences(t *testing.T) {
	told := rapid.SampledFrom([]string{"refused", "refused.", "the door is shut. Try later.\n", "", "why?", "no sample for 30s"})
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		for i := range in.Pods {
			if rapid.Bool().Draw(t, "gap") {
				in.Pods[i].Gap = told.Draw(t, "why")
				in.Pods[i].GapSince = benchTime.Add(-time.Duration(rapid.SampledFrom([]int{-1000, 0, 1, 499, 30_000}).Draw(t, "since")) * time.Millisecond)
			}
		}
		switch rapid.IntRange(0, 5).Draw(t, "lost") {
		case 0:
			in.Errors = Errors{Usage: told.Draw(t, "usage"), ExternalMetrics: told.Draw(t, "external")}
		case 1:
			in.Usage, in.Looks = nil, nil
		}
		d := Decide(in)
		if bad := fault.FindString(d.Message); bad != "" || !strings.HasSuffix(d.Message, ".") {
			t.Fatalf("%s: got %q, with %q", d.Reason, d.Message, bad)
		}
	})
}

// For how long a pod had no sample is said once.
func TestSilenceIsSaidOnce(t *testing.T) {
	for gap, want := range map[string]string{
		"no sample for 30s": "No sample for 30 s from pod-0. Nothing is scaled on missing data.",
		"the door is shut":  "No sample for 30 s from pod-0: the door is shut. Nothing is scaled on missing data.",
	} {
		in := tenPods(1, 70)
		in.Usage, in.Looks = nil, nil
		in.Pods[0].Gap, in.Pods[0].GapSince = gap, in.Now.Add(-30*time.Second)
		if got := Decide(in).Message; got != strings.Replace(want, "pod-0", in.Pods[0].Name, 1) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
