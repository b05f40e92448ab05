package tsdb

import (
	"context"
	"fmt"
	"log/slog"
)

// engineLog passes the engine's warnings and errors on. What it says at Info of every replay and block is Debug to us.
type engineLog struct {
	slog.Handler
	report func(string)
}

// newEngineLogger returns the engine's logger. report is told when a replay met samples whose series is not in the
// log (a checkpoint is damaged or gone), which the engine leaves out and only its log tells.
func newEngineLogger(l *slog.Logger, report func(string)) *slog.Logger {
	return slog.New(engineLog{l.With("engine", "tsdb").Handler(), report})
}

// Enabled says whether the record would be written, or must be read.
func (h engineLog) Enabled(ctx context.Context, l slog.Level) bool {
	switch l {
	case slog.LevelInfo:
		l = slog.LevelDebug
	case slog.LevelWarn:
		return true
	}
	return h.Handler.Enabled(ctx, l)
}

// Handle writes the record.
func (h engineLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Level == slog.LevelInfo {
		r.Level = slog.LevelDebug
	}
	if r.Message == "Unknown series references" {
		n := map[string]slog.Value{}
		r.Attrs(func(a slog.Attr) bool { n[a.Key] = a.Value; return true })
		h.report(fmt.Sprintf("left out %v samples of %v series whose labels are lost from the log", n["samples"], n["series"]))
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the wrapping.
func (h engineLog) WithAttrs(a []slog.Attr) slog.Handler {
	return engineLog{h.Handler.WithAttrs(a), h.report}
}

// WithGroup keeps the wrapping.
func (h engineLog) WithGroup(n string) slog.Handler {
	return engineLog{h.Handler.WithGroup(n), h.report}
}
