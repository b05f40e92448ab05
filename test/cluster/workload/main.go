// Command workload is what the pods of the tests run: it uses a given part of a processor and given memory, serves HTTP on port 8080, and
// ends when it is told to.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	milli := flag.Int("cpu", 0, "millicores to use, at most 1000")
	mega := flag.Int("memory", 0, "megabytes to hold")
	after := flag.Duration("for", 0, "how long to run before it ends by itself, 0: for ever")
	code := flag.Int("exit", 0, "with what to end then")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *after > 0 {
		time.AfterFunc(*after, func() { os.Exit(*code) })
	}
	held := make([]byte, *mega*1_000_000)
	for i := 0; i < len(held); i += 4096 {
		held[i] = 1
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		name, _ := os.Hostname()
		fmt.Fprintln(w, name, len(held))
	})
	http.HandleFunc("/lookup", func(w http.ResponseWriter, r *http.Request) {
		all, err := net.DefaultResolver.LookupHost(r.Context(), r.FormValue("name"))
		fmt.Fprintln(w, all, err)
	})
	go func() { fmt.Fprintln(os.Stderr, http.ListenAndServe(":8080", nil)) }()
	burn(ctx, time.Duration(*milli)*10*time.Microsecond)
}

// burn uses the processor for so much of every 10 ms, by the process's own CPU time.
func burn(ctx context.Context, part time.Duration) {
	began, used := time.Now(), cpu()
	for ctx.Err() == nil {
		want := used + time.Duration(float64(time.Since(began))*float64(part)/float64(10*time.Millisecond))
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
