package metricsapi

import (
	"context"
	"log/slog"

	"k8s.io/klog/v2"
)

// quiet makes everything a debugging message: the library logs as an error what a caller has asked for wrongly, and is told.
type quiet struct{ slog.Handler }

// Enabled says whether debugging messages are logged.
func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle logs a record as a debugging message.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return q.Handler.Handle(ctx, r)
}

// WithAttrs keeps the quiet.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

// WithGroup keeps the quiet.
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }

// lead leads what the library logs into ours, until the function that it returns is called.
func (a *API) lead() (end func()) {
	klog.SetSlogLogger(slog.New(quiet{a.opts.Logger.Handler()}))
	return klog.ClearLogger
}

// Run leads what the library logs into ours until ctx ends.
func (a *API) Run(ctx context.Context) error {
	defer a.lead()()
	<-ctx.Done()
	return nil
}
