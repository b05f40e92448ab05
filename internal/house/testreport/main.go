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
)

func main() {
	r := newReport(os.Stdout)
	if err := read(os.Stdin, r); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	if !r.close() {
		os.Exit(1)
	}
}

// read feeds the report; what is no event, such as a complaint of go itself, is printed as it is.
func read(in io.Reader, r *report) error {
	s := bufio.NewScanner(in)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		var e event
		if json.Unmarshal(s.Bytes(), &e) != nil || e.Action == "" {
			fmt.Fprintln(r.w, s.Text())
			continue
		}
		r.add(e)
	}
	return s.Err()
}
