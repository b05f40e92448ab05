// Package lifecycle runs the parts of a process: what is opened is closed in reverse, what runs is waited for, and the first part
// that fails ends the others.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
)

// Life is that of one process, or of what lives for a while in one. One goroutine builds it.
type Life struct {
	log   *slog.Logger
	parts []part
	undos []func() error
}

type part struct {
	name string
	run  func(context.Context) error
}

// New makes a life without parts.
func New(log *slog.Logger) *Life { return &Life{log: log} }

// Opened registers the undo of something that exists now.
func (l *Life) Opened(name string, close func() error) {
	l.undos = append(l.undos, func() error {
		if err := close(); err != nil {
			return fmt.Errorf("cannot close %s: %w", name, err)
		}
		return nil
	})
}

// Runs adds a part; it starts with Run.
func (l *Life) Runs(name string, run func(context.Context) error) {
	l.parts = append(l.parts, part{name, run})
}

// Run starts all parts and returns when all have ended: because ctx did, or because one failed.
func (l *Life) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(l.parts))
	var wg sync.WaitGroup
	for i, p := range l.parts {
		wg.Go(func() {
			defer cancel()
			err := p.run(ctx)
			if err != nil && !(errors.Is(err, context.Canceled) && ctx.Err() != nil) {
				errs[i] = fmt.Errorf("%s: %w", p.name, err)
			}
			l.log.Debug("part ended", "part", p.name, "err", err)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Close undoes in reverse and joins the errors.
func (l *Life) Close() error {
	var errs []error
	for _, undo := range slices.Backward(l.undos) {
		errs = append(errs, undo())
	}
	l.undos = nil
	return errors.Join(errs...)
}
