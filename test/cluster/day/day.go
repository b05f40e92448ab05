// Package day is a recorded day of load, and the sums of how a scaler fared with it: they need no cluster.
package day

import (
	_ "embed"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Points are how many a day has: one for each five minutes.
const Points = 24 * 12

//go:embed day.txt
var recorded string

// Shape returns the recorded day.
func Shape() ([]int, error) { return read(recorded) }

// read takes whole numbers between blanks; a line that begins with # is a remark.
func read(text string) ([]int, error) {
	var out []int
	line := 0
	for l := range strings.Lines(text) {
		line++
		if strings.HasPrefix(l, "#") {
			continue
		}
		for f := range strings.FieldsSeq(l) {
			n, err := strconv.ParseUint(f, 10, 31)
			if err != nil {
				return nil, fmt.Errorf("cannot read the day's load in line %d: %w", line, err)
			}
			out = append(out, int(n))
		}
	}
	if len(out) != Points {
		return nil, fmt.Errorf("the day has %d points, want %d: one for each five minutes", len(out), Points)
	}
	return out, nil
}

// Load is what all pods together are to use from a moment on.
type Load struct {
	At    time.Time
	Milli int
}

// Crew is how many pods there are from a moment on, and how many of them serve.
type Crew struct {
	At          time.Time
	Pods, Ready int
}

// Sums are how a crew fared with a load.
type Sums struct {
	Length       time.Duration
	OverTarget   time.Duration // the load was more than the target's part of what the ready pods ask for
	OverRequests time.Duration // the load was more than all that the ready pods ask for
	PodSeconds   float64
}

// Account sums up from the first load until end. Both lists are in the order of time; a pod asks for so many millicores, of which the target is a part.
func Account(load []Load, crew []Crew, end time.Time, request int, target float64) (s Sums) {
	if len(load) == 0 {
		return s
	}
	l, c := 0, -1
	for at := load[0].At; at.Before(end); {
		for l+1 < len(load) && !load[l+1].At.After(at) {
			l++
		}
		for c+1 < len(crew) && !crew[c+1].At.After(at) {
			c++
		}
		next := end
		if l+1 < len(load) && load[l+1].At.Before(next) {
			next = load[l+1].At
		}
		if c+1 < len(crew) && crew[c+1].At.Before(next) {
			next = crew[c+1].At
		}
		var now Crew
		if c >= 0 {
			now = crew[c]
		}
		d := next.Sub(at)
		s.Length += d
		s.PodSeconds += d.Seconds() * float64(now.Pods)
		asked := float64(now.Ready * request)
		if float64(load[l].Milli) > asked*target {
			s.OverTarget += d
		}
		if float64(load[l].Milli) > asked {
			s.OverRequests += d
		}
		at = next
	}
	return s
}

// Exact is the crew of somebody who knows each load when it comes and whose pods are ready at once: what no scaler can better.
func Exact(load []Load, request int, target float64, least, most int) []Crew {
	out := make([]Crew, len(load))
	for i, l := range load {
		n := min(most, max(least, int(math.Ceil(float64(l.Milli)/(float64(request)*target)))))
		out[i] = Crew{l.At, n, n}
	}
	return out
}
