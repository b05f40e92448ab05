package wiring

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/internal/lifecycle"
)

// A process that is told to end is not ready at once, and all its parts go on until the time for that is over; one that fails meanwhile ends it.
func TestLinger(t *testing.T) {
	f := func(what string, d, fails, want time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			life := lifecycle.New(slog.New(slog.DiscardHandler))
			life.Runs("shutdown", func(last context.Context) error { return linger(last, ctx, slog.New(slog.DiscardHandler), d) })
			ended := time.Duration(-1)
			began := time.Now()
			life.Runs("part", func(ctx context.Context) error {
				defer func() { ended = time.Since(began) }()
				if fails > 0 {
					time.Sleep(fails)
					return errors.New("it fails")
				}
				<-ctx.Done()
				return nil
			})
			go func() { time.Sleep(time.Minute); stop() }()
			ready := ending(ctx)
			go func() {
				time.Sleep(time.Minute + time.Millisecond)
				if ready.Test() == nil {
					t.Errorf("%s: it is ready after it was told to end", what)
				}
			}()
			err := life.Run(context.WithoutCancel(ctx))
			if (err != nil) != (fails > 0) || ended != want {
				t.Errorf("%s: it ends after %v with %v, want %v", what, ended, err, want)
			}
			time.Sleep(2 * time.Minute)
		})
	}
	f("by default", 0, 0, time.Minute)
	f("with a delay", 10*time.Second, 0, time.Minute+10*time.Second)
	f("a part fails before", 10*time.Second, time.Second, time.Second)
	f("a part fails meanwhile", 10*time.Second, time.Minute+5*time.Second, time.Minute+5*time.Second)
}
