package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// waits is a part that ends with ctx.
func waits(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestTheFirstPartThatFailsEndsTheOthers(t *testing.T) {
	l := New(slog.New(slog.DiscardHandler))
	broken := errors.New("broken")
	l.Runs("one", waits)
	l.Runs("two", func(context.Context) error { return broken })
	if err := l.Run(t.Context()); !errors.Is(err, broken) || err.Error() != "two: broken" {
		t.Errorf("got %v, want what failed and nothing of what was ended for it", err)
	}
}

func TestAPartThatEndsEndsTheOthers(t *testing.T) {
	l := New(slog.New(slog.DiscardHandler))
	l.Runs("one", waits)
	l.Runs("two", func(context.Context) error { return nil })
	if err := l.Run(t.Context()); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestCloseUndoesInReverse(t *testing.T) {
	l := New(slog.New(slog.DiscardHandler))
	var closed []string
	for _, name := range []string{"one", "two", "three"} {
		l.Opened(name, func() error {
			closed = append(closed, name)
			if name == "two" {
				return errors.New("stuck")
			}
			return nil
		})
	}
	err := l.Close()
	if got := strings.Join(closed, " "); got != "three two one" || err == nil || err.Error() != "cannot close two: stuck" {
		t.Errorf("got %q, %v; want all in reverse, and what could not be closed", got, err)
	}
	if err := l.Close(); err != nil || len(closed) != 3 {
		t.Errorf("closed again: got %v and %d closed, want nothing", err, len(closed))
	}
}
