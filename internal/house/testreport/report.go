package main

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// event is one line of test2json.
type event struct {
	Action  string
	Package string
	Test    string
	Elapsed float64
	Output  string
}

// report is what was read so far.
type report struct {
	w                       io.Writer
	packages                map[string]*run // those under way
	passed, failed, skipped int
	needs, other            []string
}

// run is one package's tests under way. A test's output is kept until it is known how the test ended.
type run struct {
	output  map[string][]string // by test; "" is the package's own
	open    map[string]bool     // tests that have begun and not ended
	failed  int
	skips   []skip
	relayed map[string]bool // tests that ran elsewhere, by what other tests logged
}

type skip struct{ test, reason string }

// inner begins the reason of a test that runs in a virtual machine, which another test of its package starts.
const inner = "runs in a virtual machine only"

// began is the line of a test that runs in a virtual machine, in the log of the test that started it.
var began = regexp.MustCompile(`^\s+=== RUN\s+(\S+)`)

func newReport(w io.Writer) *report { return &report{w: w, packages: map[string]*run{}} }

func (r *report) add(e event) {
	if e.Action == "build-output" {
		fmt.Fprint(r.w, e.Output)
		return
	}
	if e.Package == "" {
		return
	}
	p := r.packages[e.Package]
	if p == nil {
		p = &run{output: map[string][]string{}, open: map[string]bool{}, relayed: map[string]bool{}}
		r.packages[e.Package] = p
	}
	switch e.Action {
	case "run":
		p.open[e.Test] = true
		return
	case "output":
		p.output[e.Test] = append(p.output[e.Test], e.Output)
		if m := began.FindStringSubmatch(e.Output); m != nil {
			p.relayed[m[1]] = true
		}
		return
	case "pass", "fail", "skip":
	default:
		return
	}
	if e.Test == "" {
		r.end(e, p)
		return
	}
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.fail(e.Package, e.Test, p, e.Elapsed)
	case "skip":
		p.skips = append(p.skips, skip{e.Test, reason(p.output[e.Test])})
	}
	delete(p.open, e.Test)
	delete(p.output, e.Test)
}

// fail prints and counts a test that failed, or, without a name, a package that failed in no test of its own.
func (r *report) fail(pkg, test string, p *run, seconds float64) {
	fmt.Fprintf(r.w, "FAIL  %s %s %.1fs\n%s", pkg, test, seconds, strings.Join(p.output[test], ""))
	p.failed++
	r.failed++
}

// end closes a package. A test that is still open when its package fails panicked, ran out of time or was killed: go says
// nothing else about it. A package may also fail without any test: it does not build, or its TestMain says so.
func (r *report) end(e event, p *run) {
	if e.Action == "fail" {
		for _, test := range slices.Sorted(maps.Keys(p.open)) {
			r.fail(e.Package, test, p, e.Elapsed)
		}
		if p.failed == 0 {
			r.fail(e.Package, "", p, e.Elapsed)
		} else {
			fmt.Fprint(r.w, strings.Join(p.output[""], ""))
		}
	}
	for _, s := range p.skips {
		if strings.HasPrefix(s.reason, inner) && p.relayed[s.test] {
			continue // it ran, and the test that started the machine has its result
		}
		r.skipped++
		text := fmt.Sprintf("  %s %s: %s", e.Package, s.test, s.reason)
		if strings.HasPrefix(s.reason, "needs ") {
			r.needs = append(r.needs, text)
		} else {
			r.other = append(r.other, text)
		}
	}
	if e.Action == "pass" {
		fmt.Fprintf(r.w, "ok    %-60s %6.1fs\n", e.Package, e.Elapsed)
	}
	delete(r.packages, e.Package)
}

// reason is the last line that a skipped test said.
func reason(output []string) string {
	reason := "no reason given"
	for line := range strings.Lines(strings.Join(output, "")) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "---") || strings.HasPrefix(line, "===") {
			continue
		}
		if _, after, ok := strings.Cut(line, ".go:"); ok {
			if _, text, ok := strings.Cut(after, ": "); ok {
				line = text
			}
		}
		reason = line
	}
	return reason
}

// close prints what did not run and the counts, and says whether all is well. A package that is still under way is one
// that go did not see to its end.
func (r *report) close() bool {
	for _, pkg := range slices.Sorted(maps.Keys(r.packages)) {
		p := r.packages[pkg]
		p.output[""] = append(p.output[""], "go test ended before this package did\n")
		p.failed = 0
		r.end(event{Action: "fail", Package: pkg}, p)
	}
	for _, list := range []struct {
		title string
		lines []string
	}{{"Did not run, for want of something", r.needs}, {"Skipped", r.other}} {
		if len(list.lines) > 0 {
			slices.Sort(list.lines)
			fmt.Fprintf(r.w, "\n%s:\n%s\n", list.title, strings.Join(list.lines, "\n"))
		}
	}
	fmt.Fprintf(r.w, "\n%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	return r.failed == 0 && r.passed > 0
}
