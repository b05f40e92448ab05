package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// MaxCost is the most CPU that one request may ask for.
const MaxCost = time.Second

// socketPath is where a replica listens.
func socketPath(dir, replica string) string { return filepath.Join(dir, replica+".sock") }

// Serve serves one replica of the demo's web service until ctx ends, then finishes the requests that it has. GET /?cost=30ms
// burns so much CPU time and answers with a digest. What is at the path of the unix socket already is replaced.
func Serve(ctx context.Context, socket string, log *slog.Logger) error {
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot replace socket %q: %w", socket, err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("cannot listen on %q: %w", socket, err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(work), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	log.Info("demo replica serves", "socket", socket)
	select {
	case err := <-done:
		return fmt.Errorf("cannot serve on %q: %w", socket, err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 4*time.Second)
	defer cancel()
	if err := srv.Shutdown(end); err != nil {
		return fmt.Errorf("cannot finish the last requests: %w", err)
	}
	return nil
}

// work does what a request asks for.
func work(w http.ResponseWriter, r *http.Request) {
	cost, err := time.ParseDuration(r.URL.Query().Get("cost"))
	if err != nil || cost < 0 || cost > MaxCost {
		http.Error(w, fmt.Sprintf("cost %q is not a duration from 0s to %s", r.URL.Query().Get("cost"), MaxCost), http.StatusBadRequest)
		return
	}
	digest, rounds := burn(r.Context(), cost)
	w.Header().Set("Rounds", strconv.Itoa(rounds))
	fmt.Fprintln(w, hex.EncodeToString(digest[:]))
}

// burn hashes until this thread has used so much CPU time: a request then costs the same on every machine, and on a
// busy one it takes longer. It stops when ctx ends: work that nobody waits for any more would outlive the load.
func burn(ctx context.Context, cost time.Duration) (digest [sha256.Size]byte, rounds int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var buf [1024]byte
	for end := threadTime() + cost; threadTime() < end && ctx.Err() == nil; rounds++ {
		for range 16 {
			digest = sha256.Sum256(buf[:])
			copy(buf[:], digest[:])
		}
	}
	return digest, rounds
}

// threadTime is the CPU time that this thread has used.
func threadTime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) // cannot fail for one's own thread
	return time.Duration(ts.Nano())
}
