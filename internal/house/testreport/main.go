// Command testreport reads `go test -json` from standard input and prints what a person needs: each package's
// result, the output of what failed, which tests did not run and why, and one closing line with the counts. It
// exits 1 when anything failed or nothing ran.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
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

// report is what was read so far. A test's output is kept until it is known whether it failed.
type report struct {
	output                  map[string][]string
	passed, failed, skipped int
	needs                   []string
	other                   []string
}

func main() {
	r := &report{output: map[string][]string{}}
	if err := r.read(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	r.close(os.Stdout)
	if r.failed > 0 || r.passed == 0 {
		os.Exit(1)
	}
}

func (r *report) read(in io.Reader, w io.Writer) error {
	s := bufio.NewScanner(in)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		var e event
		if json.Unmarshal(s.Bytes(), &e) != nil || e.Action == "" {
			fmt.Fprintln(w, s.Text()) // what go itself says, such as a build error
			continue
		}
		r.add(e, w)
	}
	return s.Err()
}

func (r *report) add(e event, w io.Writer) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		if e.Action == "build-output" {
			fmt.Fprint(w, e.Output)
			return
		}
		r.output[key] = append(r.output[key], e.Output)
		return
	case "pass":
		if e.Test == "" {
			fmt.Fprintf(w, "ok    %-60s %6.1fs\n", e.Package, e.Elapsed)
		} else {
			r.passed++
		}
	case "fail":
		fmt.Fprintf(w, "FAIL  %s %s %.1fs\n%s", e.Package, e.Test, e.Elapsed, strings.Join(r.output[key], ""))
		if e.Test != "" {
			r.failed++
		} else if r.failed == 0 {
			r.failed++ // the package did not build, or died outside a test
		}
	case "skip":
		if e.Test == "" {
			return
		}
		r.skipped++
		r.skip(e, strings.Join(r.output[key], ""))
	default:
		return
	}
	delete(r.output, key)
}

// skip files a skipped test under what it needs, or under the other reasons.
func (r *report) skip(e event, output string) {
	reason := "no reason given"
	for line := range strings.Lines(output) {
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
	text := fmt.Sprintf("  %s %s: %s", e.Package, e.Test, reason)
	if strings.HasPrefix(reason, "needs ") {
		r.needs = append(r.needs, text)
		return
	}
	r.other = append(r.other, text)
}

func (r *report) close(w io.Writer) {
	for title, lines := range map[string][]string{"Did not run, for want of something": r.needs, "Skipped": r.other} {
		if len(lines) == 0 {
			continue
		}
		slices.Sort(lines)
		fmt.Fprintf(w, "\n%s:\n%s\n", title, strings.Join(lines, "\n"))
	}
	fmt.Fprintf(w, "\n%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
}
