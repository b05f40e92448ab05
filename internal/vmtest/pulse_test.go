package vmtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// A machine that works without a pulse has hung; one that is kept waiting has not, for a while.
func TestWatch(t *testing.T) {
	f := func(name string, pulse time.Duration, load float64, want time.Duration) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "pulse")
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			used := func() time.Duration { return time.Duration(load * float64(time.Since(began))) }
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			beats := make(chan error, 1)
			go func() { beats <- beat(ctx, file, pulse) }()
			err := watch(ctx, file, 10*time.Second, used)
			if got := time.Since(began).Truncate(time.Second); got != want || (want < time.Hour) != errors.Is(err, errNoPulse) {
				t.Errorf("%s: got %v after %v, want an end after %v", name, err, got, want)
			}
			cancel()
			if err := <-beats; err != nil {
				t.Error(err)
			}
		})
	}
	f("a pulse", time.Second, 2, time.Hour)
	f("a slow pulse of a busy host", 40*time.Second, 0.1, time.Hour)
	f("works without a pulse", 0, 1, 11*time.Second)
	f("does nothing", 0, 0, 51*time.Second)
	f("works a little without a pulse", 0, 0.2, 26*time.Second)
	if got := cpuTime(os.Getpid()); got < 0 || got > time.Hour {
		t.Errorf("own CPU time: got %v", got)
	}
	if got := cpuTime(-1); got != 0 {
		t.Errorf("CPU time of no process: got %v", got)
	}
}

// beat adds to the file at each pulse, if there is any, until ctx ends; half a second beside the watcher's ticks.
func beat(ctx context.Context, file string, pulse time.Duration) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	for wait := 500 * time.Millisecond; ; wait = pulse {
		if pulse > 0 {
			_, err = f.WriteString("x")
		} else {
			wait = time.Hour
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, f.Close())
		case <-time.After(wait):
		}
	}
}

func TestTurn(t *testing.T) {
	dir := t.TempDir()
	done, err := turn(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := turn(ctx, dir); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while another has it: got %v, want to wait for ever", err)
	}
	got := make(chan error)
	go func() {
		again, err := turn(t.Context(), dir)
		if err == nil {
			again()
		}
		got <- err
	}()
	done()
	if err := <-got; err != nil {
		t.Errorf("after that: %v", err)
	}
	if _, err := turn(t.Context(), filepath.Join(dir, "absent")); err == nil {
		t.Error("without a folder: got no error")
	}
}
