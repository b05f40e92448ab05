// Package quiet leads what libraries log through klog and through the standard library's logger, each of which is one for the whole process, into ours.
package quiet

import (
	"context"
	"log"
	"log/slog"

	"k8s.io/klog/v2"
)

// Klog leads klog into a log, all of it as debugging messages: cAdvisor warns of every cgroup that vanishes while it is read, client-go of every
// API server that is away, and what they return as errors is told by who called them.
func Klog(to *slog.Logger) { klog.SetSlogLogger(slog.New(quiet{to.Handler()})) }

// Standard leads what goes to the standard library's own logger, as net/http's client does with an answer that nobody asked for, into a log in the same way.
func Standard(to *slog.Logger) {
	log.SetFlags(0)
	log.SetOutput(slog.NewLogLogger(quiet{to.Handler()}, slog.LevelDebug).Writer())
}

// quiet makes everything a debugging message.
type quiet struct{ slog.Handler }

// Enabled says whether debugging messages are logged.
func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle logs a record as a debugging message.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	if !q.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

// WithAttrs keeps the quiet.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

// WithGroup keeps the quiet.
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
