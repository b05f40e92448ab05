// Command bench measures Plimsoll beside its peers, in the same run on the same work, and prints for each promise the
// figure, its bar and, where there is a peer, the ratio. Absolute times drift between machines; ratios hold.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// result is one line of the table.
type result struct {
	Name   string  `json:"name"`
	Figure float64 `json:"figure"`
	Unit   string  `json:"unit"`
	Bar    float64 `json:"bar"`
	AtMost bool    `json:"atMost"` // the bar is a ceiling, not a floor
	Peer   string  `json:"peer,omitempty"`
	Theirs float64 `json:"theirs,omitempty"` // the peer's figure, in the same unit
	Note   string  `json:"note,omitempty"`
}

func (r result) met() bool {
	if r.AtMost {
		return r.Figure <= r.Bar
	}
	return r.Figure >= r.Bar
}

// bench is what the cases share.
type bench struct {
	plimsoll string
	seconds  time.Duration
	cgroups  int
	progress io.Writer
}

func main() {
	if role := os.Getenv("PLIMSOLL_BENCH_ROLE"); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", role+":", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, out, progress io.Writer) int {
	b := &bench{progress: progress}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(progress)
	fs.StringVar(&b.plimsoll, "plimsoll", "../../bin/plimsoll", "the binary to measure")
	fs.DurationVar(&b.seconds, "for", time.Minute, "how long to watch each collector")
	fs.IntVar(&b.cgroups, "cgroups", 450, "how many cgroups to make")
	only := fs.String("only", "", "comma list of cases: collector, reader, store, queue, whole, decide, page; all if empty")
	asJSON := fs.Bool("json", false, "print JSON")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	cases := []struct {
		name string
		run  func(context.Context) ([]result, error)
	}{
		{"page", b.page}, {"decide", b.decide}, {"store", b.store}, {"queue", b.queueing}, {"reader", b.reader}, {"collector", b.collector}, {"whole", b.whole},
	}
	var all []result
	failed := false
	for _, c := range cases {
		if *only != "" && !strings.Contains(","+*only+",", ","+c.name+",") {
			continue
		}
		fmt.Fprintf(progress, "%s ...\n", c.name)
		rs, err := c.run(ctx)
		if err != nil {
			fmt.Fprintf(progress, "%s could not be measured: %v\n", c.name, err)
			failed = true
		}
		all = append(all, rs...)
	}
	if *asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		if err := e.Encode(all); err != nil {
			return 1
		}
	} else {
		print(out, all)
	}
	for _, r := range all {
		failed = failed || !r.met()
	}
	if failed {
		return 1
	}
	return 0
}

func print(out io.Writer, all []result) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tFIGURE\tBAR\tMET\tPEER\tTHEIRS\tRATIO\tNOTE")
	for _, r := range all {
		sign, met, theirs, ratio := ">=", "yes", "", ""
		if r.AtMost {
			sign = "<="
		}
		if !r.met() {
			met = "NO"
		}
		if r.Peer != "" {
			theirs = fmt.Sprintf("%.4g %s", r.Theirs, r.Unit)
			ratio = fmt.Sprintf("%.2f", r.Figure/r.Theirs)
		}
		fmt.Fprintf(w, "%s\t%.4g %s\t%s %.4g\t%s\t%s\t%s\t%s\t%s\n", r.Name, r.Figure, r.Unit, sign, r.Bar, met, r.Peer, theirs, ratio, r.Note)
	}
	w.Flush()
}
