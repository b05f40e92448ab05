// Command hostile attacks all doors of one Plimsoll at once, at a bounded rate and on this machine only, beside a service that it scales, a sender
// whose samples are counted and readers whose answers are timed. It prints what came of that, with bars, and fails where one is not met.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := run(ctx, os.Args[1:], os.Stdout)
	stop()
	os.Exit(code)
}

// figure is one line of the result.
type figure struct {
	name string
	is   float64
	unit string
	most float64 // the bar
	note string
	told bool // told alone: too little was seen to judge it
}

// met says whether the bar is met; what is not known meets none.
func (f figure) met() bool { return f.is <= f.most }

func run(ctx context.Context, args []string, out io.Writer) int {
	fs := flag.NewFlagSet("hostile", flag.ContinueOnError)
	program := fs.String("plimsoll", "../../bin/plimsoll", "the binary to attack")
	during := fs.Duration("for", 2*time.Minute, "how long to attack")
	only := fs.String("only", "", "comma list of attacks; all if empty")
	verbose := fs.Bool("v", false, "print Plimsoll's log")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	figures, err := fight(ctx, *program, *during, *only, *verbose, out)
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tFIGURE\tBAR\tMET\tNOTE")
	failed := 0
	for _, f := range figures {
		met := "yes"
		switch {
		case f.told:
			met = "-"
		case !f.met():
			met = "NO"
			failed++
		}
		fmt.Fprintf(w, "%s\t%.4g %s\t<= %g\t%s\t%s\n", f.name, f.is, f.unit, f.most, met, f.note)
	}
	w.Flush()
	if err != nil {
		fmt.Fprintln(out, "hostile:", err)
	}
	if err != nil || failed > 0 {
		return 1
	}
	return 0
}

// settle is how long everything runs before it is attacked: until the loop has seen the service.
const settle = 8 * time.Second

// fight starts Plimsoll, attacks it, kills it, starts it again and counts.
func fight(ctx context.Context, program string, during time.Duration, only string, verbose bool, out io.Writer) ([]figure, error) {
	p, err := prepare(program, verbose)
	if err != nil {
		return nil, err
	}
	defer p.clean()
	if err := p.start(ctx); err != nil {
		return nil, err
	}
	scaled, honest, readers := &watcher{p: p}, &sender{p: p}, newReaders(p)
	beside, stopBeside := context.WithCancel(ctx)
	defer stopBeside()
	var wg sync.WaitGroup
	for _, one := range []func(context.Context){scaled.run, honest.run, readers.page, readers.all, readers.stream} {
		wg.Go(func() { one(beside) })
	}
	if err := sleep(ctx, settle); err != nil {
		return nil, err
	}
	before, err := p.lateness(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	readers.reset()
	all := attacks()
	if only != "" {
		all = slices.DeleteFunc(all, func(a *attack) bool { return !slices.Contains(strings.Split(only, ","), a.name) })
	}
	fmt.Fprintf(out, "%d attacks for %v ...\n", len(all), during)
	against, stop := context.WithTimeout(ctx, during)
	defer stop()
	var attackers sync.WaitGroup
	for _, a := range all {
		a.p = p
		for range a.at {
			attackers.Go(func() { a.run(against) })
		}
	}
	attackers.Wait()
	<-against.Done()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, a := range all {
		fmt.Fprintf(out, "  %-12s %s\n", a.name, a.said())
	}
	figures, err := p.survived(ctx, before)
	stopBeside()
	wg.Wait()
	if err != nil {
		return figures, err
	}
	figures = append(figures, readers.figures(during)...)
	wrong, err := scaled.judge(ctx, began)
	figures = append(figures, wrong...)
	if err != nil {
		return figures, err
	}
	p.kill()
	if err := p.start(ctx); err != nil {
		return figures, fmt.Errorf("after kill -9: %w", err)
	}
	lost, err := honest.lost(ctx)
	return append(figures, lost...), errors.Join(err, p.end())
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
