// Command fuzzing runs every fuzz target of the module, one after the other, for a part each of the time given. An input that fails
// is kept by Go below the package's testdata/fuzz, where every later test run tries it; what was learnt is kept in the folder of -cache.
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
	during  time.Duration
	deep    bool
	cache   string
	only    string
	workers int
}

func run(ctx context.Context, args []string, out io.Writer) int {
	var o options
	fs := flag.NewFlagSet("fuzzing", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.DurationVar(&o.during, "for", 10*time.Minute, "how long to fuzz, all targets together; building is not counted")
	fs.BoolVar(&o.deep, "deep", false, "let the code of other modules guide too; they are built anew for it, which takes minutes the first time")
	fs.StringVar(&o.cache, "cache", ".cache/fuzz", "where inputs that reach new code are kept between runs")
	fs.StringVar(&o.only, "only", "", "a regular expression; of PACKAGE.TARGET, such as cgroup.FuzzParse")
	fs.IntVar(&o.workers, "parallel", 2, "how many processes try inputs of a target")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if err := fuzz(ctx, o, out); err != nil {
		fmt.Fprintln(out, "fuzzing:", err)
		return 1
	}
	return 0
}

// fuzz finds, builds and runs.
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
	each := o.during / time.Duration(len(all))
	fmt.Fprintf(out, "%d fuzz targets, %s each\n", len(all), each.Round(100*time.Millisecond))
	built := map[string]string{}
	var failed []error
	for i, t := range all {
		if built[t.dir] == "" {
			built[t.dir] = filepath.Join(bin, fmt.Sprintf("%d.test", i))
			if err := build(ctx, t.dir, built[t.dir], o.deep); err != nil {
				return err
			}
		}
		tried, err := t.run(ctx, built[t.dir], each, o)
		fmt.Fprintf(out, "[%d/%d] %s %s: %s\n", i+1, len(all), t.dir, t.name, said(tried, err))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", len(all)-len(failed), len(failed))
	return errors.Join(failed...)
}

// said is how a target did, for the line of progress.
func said(tried string, err error) string {
	if err != nil {
		return "FAILED"
	}
	return tried
}
