// Command fuzzing runs every fuzz target of the module, several at a time, each for the time given, or for a part of it. An input that fails
// is printed, and kept by Go below the package's testdata/fuzz, where every later test run tries it; what was learnt is kept in the folder of -cache.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := run(ctx, os.Args[1:], os.Stdout)
	stop()
	os.Exit(code)
}

// options is what the flags say.
type options struct {
	during time.Duration
	each   time.Duration
	deep   bool
	cache  string
	only   string
	atOnce int
	most   time.Duration
}

func run(ctx context.Context, args []string, out io.Writer) int {
	var o options
	fs := flag.NewFlagSet("fuzzing", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.DurationVar(&o.during, "for", 10*time.Minute, "how long to fuzz, all targets together; building is not counted")
	fs.DurationVar(&o.each, "each", 0, "how long to fuzz each target, instead of -for")
	fs.DurationVar(&o.most, "most", 0, "how long all may take, with the building; targets that are not done then are named, and failed. 0: as long as it takes")
	fs.BoolVar(&o.deep, "deep", false, "let the code of other modules guide too; they are built anew for it, which takes minutes the first time")
	fs.StringVar(&o.cache, "cache", ".cache/fuzz", "where inputs that reach new code are kept between runs")
	fs.StringVar(&o.only, "only", "", "a regular expression; of PACKAGE.TARGET, such as cgroup.FuzzParse")
	fs.IntVar(&o.atOnce, "parallel", 2, "how many targets are tried at a time; each has one process that tries inputs, and its part of the cores")
	if err := fs.Parse(args); err != nil || o.atOnce < 1 {
		return 2
	}
	if o.most > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.most)
		defer cancel()
	}
	if err := fuzz(ctx, o, out); err != nil {
		fmt.Fprintln(out, "fuzzing:", err)
		return 1
	}
	return 0
}

// fuzz finds, builds all and runs.
func fuzz(ctx context.Context, o options, out io.Writer) error {
	all, err := find(".", o.only)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("no fuzz target matches %q", o.only)
	}
	if o.cache, err = filepath.Abs(o.cache); err != nil {
		return err
	}
	bin, err := os.MkdirTemp("", "plimsoll-fuzzing")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	o.atOnce = min(o.atOnce, len(all))
	if o.each == 0 {
		o.each = o.during * time.Duration(o.atOnce) / time.Duration(len(all))
	}
	began := time.Now()
	built := map[string]string{}
	for i, t := range all {
		if built[t.dir] != "" {
			continue
		}
		built[t.dir] = filepath.Join(bin, fmt.Sprintf("%d.test", i))
		if err := build(ctx, t.dir, built[t.dir], o.deep); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "%d fuzz targets of %d packages, built in %v; %v each, %d at a time\n", len(all), len(built), time.Since(began).Round(time.Second), o.each.Round(100*time.Millisecond), o.atOnce)
	failed := runAll(ctx, all, built, o, out)
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	fmt.Fprintf(out, "%d passed, %d failed, in %v\n", len(all)-len(failed), len(failed), time.Since(began).Round(time.Second))
	return errors.Join(failed...)
}

// runAll tries the targets in their order, some at a time.
func runAll(ctx context.Context, all []target, built map[string]string, o options, out io.Writer) (failed []error) {
	var wg sync.WaitGroup
	var mu sync.Mutex // guards what follows
	next, done := 0, 0
	for range o.atOnce {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				if i >= len(all) || ctx.Err() != nil {
					mu.Unlock()
					return
				}
				next++
				mu.Unlock()
				tried, err := all[i].run(ctx, built[all[i].dir], o)
				mu.Lock()
				done++
				if err != nil {
					tried = "FAILED"
					failed = append(failed, err)
				}
				fmt.Fprintf(out, "[%d/%d] %s %s: %s\n", done, len(all), all[i].dir, all[i].name, tried)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for ; next < len(all); next++ {
		failed = append(failed, fmt.Errorf("%s in %s was not tried: %w", all[next].name, all[next].dir, ctx.Err()))
	}
	return failed
}
