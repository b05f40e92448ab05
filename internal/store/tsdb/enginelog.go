package tsdb

import (
	"context"
	"log/slog"
)

// engineLog passes the engine's warnings and errors on. What it says at Info of every replay and block is Debug to us.
type engineLog struct{ slog.Handler }

func newEngineLogger(l *slog.Logger) *slog.Logger {
	return slog.New(engineLog{l.With("engine", "tsdb").Handler()})
}

// Enabled says whether the record would be written.
func (h engineLog) Enabled(ctx context.Context, l slog.Level) bool {
	if l == slog.LevelInfo {
		l = slog.LevelDebug
	}
	return h.Handler.Enabled(ctx, l)
}

// Handle writes the record.
func (h engineLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Level == slog.LevelInfo {
		r.Level = slog.LevelDebug
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the wrapping.
func (h engineLog) WithAttrs(a []slog.Attr) slog.Handler { return engineLog{h.Handler.WithAttrs(a)} }

// WithGroup keeps the wrapping.
func (h engineLog) WithGroup(n string) slog.Handler { return engineLog{h.Handler.WithGroup(n)} }
