package api

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// cause is one thing that hurts a container: how much, from 0 to 1, and in words.
type cause struct {
	score float64
	words string
}

// events is what the order looks at beside the row itself.
type events struct {
	killed   time.Duration // since the last OOM kill
	wasKill  bool
	restart  time.Duration // since the last restart while Plimsoll watched
	wasStart bool
	anew     bool // whoever runs it does not count that as a restart: it is another one of that name
	unheard  bool // nothing is heard of its machine, which is what hurts
	ended    bool // it is no more, and shown for a little while
}

// The order is the one in which a person on call would look: what has died, what is about to (memory at its
// limit, stalls for memory), what is being held back (throttled, waiting), what cannot be seen, what runs
// near its limit. Each cause begins at a threshold with a low score and is full at a level that nobody would
// leave alone until morning.

// ramp is 0 below from, lo at from, hi at to and above.
func ramp(v, from, to, lo, hi float64) float64 {
	if v < from || math.IsNaN(v) {
		return 0
	}
	return lo + (hi-lo)*min(1, (v-from)/(to-from))
}

// scoreOf weighs a row: the worst cause counts in full, the others together lift it by at most a tenth of what
// is left to 1. The words are those of the two worst.
func scoreOf(c *Container, a events) (score float64, why string) {
	causes := causesOf(c, a)
	slices.SortStableFunc(causes, func(x, y cause) int { return cmp.Compare(y.score, x.score) })
	var words []string
	rest := 0.0
	for i, p := range causes {
		if i > 0 {
			rest += p.score
		}
		if i == 0 || i == 1 && p.score >= 0.3 {
			words = append(words, p.words)
		}
	}
	if len(causes) == 0 {
		return 0, ""
	}
	worst := causes[0].score
	score = worst + 0.1*(1-worst)*min(1, rest)
	return math.Round(score*100) / 100, strings.Join(words, ", ")
}

func causesOf(c *Container, a events) []cause {
	var out []cause
	add := func(score float64, format string, args ...any) {
		if score > 0 {
			out = append(out, cause{score, fmt.Sprintf(format, args...)})
		}
	}
	if a.wasKill {
		add(1-0.3*a.killed.Seconds()/killMemory.Seconds(), "OOM kill %s", ago(a.killed))
	}
	if a.wasStart {
		word := "restarted"
		if a.anew {
			word = "made anew"
		}
		add(0.55-0.25*a.restart.Seconds()/restartMemory.Seconds(), "%s %s", word, ago(a.restart))
	}
	if c.Gap != nil && c.Gap.Reason != metric.GapStarting && !a.ended && !a.unheard {
		add(0.32, "no data: %s", c.Gap.Reason)
	}
	if c.MemoryLimit != nil && *c.MemoryLimit > 0 && c.WorkingSet != nil {
		m := *c.WorkingSet / *c.MemoryLimit
		if math.Round(m*100) >= 100 { // more is a limit that was lowered, or two readings a moment apart
			add(ramp(m, 0.8, 1, 0.35, 0.9), "memory at its limit")
		} else {
			add(ramp(m, 0.8, 1, 0.35, 0.9), "memory %s of limit", percent(m))
		}
	}
	add(ramp(or(c.MemoryPressure, 0), 0.01, 0.2, 0.25, 0.9), "memory pressure %s", percent(or(c.MemoryPressure, 0)))
	add(ramp(or(c.Throttled, 0), 0.02, 0.5, 0.2, 0.85), "throttled %s", percent(or(c.Throttled, 0)))
	add(ramp(or(c.IOPressure, 0), 0.05, 0.6, 0.15, 0.65), "disk pressure %s", percent(or(c.IOPressure, 0)))
	add(ramp(or(c.CPUPressure, 0), 0.05, 0.8, 0.15, 0.65), "CPU pressure %s", percent(or(c.CPUPressure, 0)))
	if c.CPULimit != nil && *c.CPULimit > 0 && c.CPU != nil {
		u := *c.CPU / *c.CPULimit
		if math.Round(u*100) >= 100 { // a burst may go beyond it for a moment
			add(ramp(u, 0.85, 1, 0.15, 0.3), "CPU at its limit")
		} else {
			add(ramp(u, 0.85, 1, 0.15, 0.3), "CPU %s of limit", percent(u))
		}
	}
	return out
}

// restartMemory is how long a restart hurts.
const restartMemory = 10 * time.Minute

// percent writes a share for people.
func percent(v float64) string {
	p := v * 100
	if p > 0 && p < 9.95 {
		return fmt.Sprintf("%.1f %%", p)
	}
	return fmt.Sprintf("%.0f %%", p)
}

func ago(d time.Duration) string {
	switch {
	case d < 2*time.Second:
		return "just now"
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	}
	return fmt.Sprintf("%d min ago", int(d.Minutes()))
}
