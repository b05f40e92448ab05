package policy

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fault finds what no sentence for people has: doubled marks, an empty clause, a time of nothing.
var fault = regexp.MustCompile(`[.:;,!?]\s*[.:;,!?]|\b0 s\b|  |\s[.,;:]|\(\)|^\s|\s$`)

// TestSentences: whatever comes in, and whatever others said of it, a decision is told in whole sentences.
func TestSentences(t *testing.T) {
	told := rapid.SampledFrom([]string{"refused", "refused.", "the door is shut. Try later.\n", "", "why?"})
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
