// Command workload is what the pods of the tests run: it uses a given part of a processor and given memory, serves HTTP on port 8080, and
// ends when it is told to.
package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	if filepath.Base(os.Args[0]) == "stress" {
		stress(os.Args[1:])
		return
	}
	milli := flag.Int("cpu", 0, "millicores to use, at most 1000; /cpu?milli=N changes it")
	period := flag.Duration("period", 0, "time in which the use of the processor goes from nothing to all of -cpu and back; 0: it stays")
	share := flag.String("share", "", "a headless Service: -cpu is for all of its pods together, each of which uses its part")
	mega := flag.Int("memory", 0, "megabytes to hold")
	after := flag.Duration("for", 0, "how long to run before it ends by itself, 0: for ever")
	code := flag.Int("exit", 0, "with what to end then")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *after > 0 {
		time.AfterFunc(*after, func() { os.Exit(*code) })
	}
	held := hold(*mega * 1_000_000)
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		name, _ := os.Hostname()
		fmt.Fprintln(w, name, len(held))
	})
	http.HandleFunc("/lookup", func(w http.ResponseWriter, r *http.Request) {
		all, err := net.DefaultResolver.LookupHost(r.Context(), r.FormValue("name"))
		fmt.Fprintln(w, all, err)
	})
	var used atomic.Int64
	used.Store(int64(*milli))
	http.HandleFunc("/cpu", func(_ http.ResponseWriter, r *http.Request) {
		if n, err := strconv.Atoi(r.FormValue("milli")); err == nil {
			used.Store(int64(n))
		}
	})
	go func() { fmt.Fprintln(os.Stderr, http.ListenAndServe(":8080", nil)) }()
	among := func() int64 { return 1 }
	if *share != "" {
		among = sharers(ctx, *share)
	}
	burn(ctx, func() float64 {
		n := among()
		if n == 0 { // whoever does not know its peers yet uses none of their load
			return 0
		}
		return float64(used.Load()) / float64(n) / 1000
	}, *period)
}

// sharers tells how many addresses a name has, as it was a second ago at most; 0 until it has any.
func sharers(ctx context.Context, name string) func() int64 {
	var n atomic.Int64
	go func() {
		for ; ctx.Err() == nil; time.Sleep(time.Second) {
			ask, end := context.WithTimeout(ctx, time.Second)
			if all, err := net.DefaultResolver.LookupHost(ask, name); err == nil && len(all) > 0 {
				n.Store(int64(len(all)))
			}
			end()
		}
	}()
	return n.Load
}

// mostOwed is how much of what could not be used in its time is made up for: what starves goes on at its own pace, not at all that it missed.
const mostOwed = time.Second

// due is the CPU time that is to be used by now: what was due and is not used yet, and what has come to it since.
func due(was, used, more time.Duration) time.Duration { return min(was+more, used+mostOwed) }

// burn uses so much of a processor, by the process's own CPU time.
func burn(ctx context.Context, cores func() float64, period time.Duration) {
	last, want := time.Now(), cpu()
	for ctx.Err() == nil {
		now, part := time.Now(), cores()
		if period > 0 {
			part *= (1 - math.Cos(2*math.Pi*float64(now.UnixNano()%int64(period))/float64(period))) / 2
		}
		want = due(want, cpu(), time.Duration(float64(now.Sub(last))*part))
		last = now
		for cpu() < want && ctx.Err() == nil {
			for i := range 20_000 {
				_ = i
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
