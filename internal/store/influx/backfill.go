package influx

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

const (
	// lateAfter is how long ago a line's hour must have begun for the roll-ups to have passed it by: on 2.x the last run that looks
	// at an hour is half an hour after its end, on 1.x one hour.
	lateAfter = 90 * time.Minute
	// lateQuiet is how long no late line must have come before the past is rolled up: others may be behind as well.
	lateQuiet = 10 * time.Minute
	// backfillTimeout is the deadline of rolling up one level of one stretch.
	backfillTimeout = 10 * time.Minute
)

// Late is the stretch of time of lines that came too late for the roll-ups of the server.
type Late struct {
	From, To time.Time
	Seen     time.Time // when the last of them was stored
}

// noteLate remembers the times of stored lines that are old.
func (w *Writer) noteLate(lines []byte) {
	now := time.Now()
	for _, t := range [...]int64{firstTime(lines), lastTime(lines)} {
		at := time.UnixMilli(t)
		if t <= 0 || now.Sub(at.Truncate(time.Hour)) < lateAfter {
			continue
		}
		w.lateMu.Lock()
		if w.late.Seen.IsZero() || at.Before(w.late.From) {
			w.late.From = at
		}
		if at.After(w.late.To) {
			w.late.To = at
		}
		w.late.Seen = now
		w.lateMu.Unlock()
	}
}

// takeLate returns the stretch once no late line has come for a while, and forgets it.
func (w *Writer) takeLate(now time.Time) (Late, bool) {
	w.lateMu.Lock()
	defer w.lateMu.Unlock()
	if w.late.Seen.IsZero() || now.Sub(w.late.Seen) < lateQuiet {
		return Late{}, false
	}
	l := w.late
	w.late = Late{}
	return l, true
}

// giveLate puts a stretch back that could not be rolled up.
func (w *Writer) giveLate(l Late) {
	w.lateMu.Lock()
	defer w.lateMu.Unlock()
	if w.late.Seen.IsZero() {
		w.late = l
		return
	}
	if l.From.Before(w.late.From) {
		w.late.From = l.From
	}
	if l.To.After(w.late.To) {
		w.late.To = l.To
	}
}

// firstTime and lastTime are the times of the first and the last line, Unix milliseconds; 0 if there is none.
func firstTime(lines []byte) int64 {
	for i, c := range lines {
		if c == '\n' {
			return lastTime(lines[:i])
		}
	}
	return lastTime(lines)
}

func lastTime(lines []byte) int64 {
	end := len(lines)
	if end > 0 && lines[end-1] == '\n' {
		end--
	}
	var t, unit int64 = 0, 1
	for i := end - 1; i >= 0 && end-i < 15; i-- {
		switch c := lines[i]; {
		case c == ' ':
			return t
		case c < '0' || c > '9':
			return 0
		default:
			t += int64(c-'0') * unit
			unit *= 10
		}
	}
	return 0
}

// RunBackfill rolls up what the writer stores too late for the server's own roll-ups (after an outage of more than half an hour), ten
// minutes after the last of it came, until ctx ends. One process for a database is enough. On InfluxDB 3 it does nothing.
func (s *Setup) RunBackfill(ctx context.Context, w *Writer, log *slog.Logger) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		l, ok := w.takeLate(time.Now())
		if !ok {
			continue
		}
		log.Info("rolling up what came late", "from", l.From, "to", l.To)
		if err := s.Backfill(ctx, l.From, l.To); err != nil && ctx.Err() == nil {
			log.Warn("cannot roll up what came late; trying again", "from", l.From, "to", l.To, "error", err)
			l.Seen = time.Now()
			w.giveLate(l)
		}
	}
}

// Backfill rolls up a stretch of the past, whole hours and days, for data that came late. It may take long.
func (s *Setup) Backfill(ctx context.Context, from, to time.Time) error {
	v, err := s.conn.Detect(ctx)
	if err != nil {
		return err
	}
	if v.Major > 2 {
		return nil
	}
	p := s.conn.Place(v)
	for _, r := range []RollUp{Hour, Day} {
		step := 6 * r.Every()
		end := to.Truncate(r.Every()).Add(r.Every()) // the end itself is included
		for a := from.Truncate(r.Every()); a.Before(end); a = a.Add(step) {
			b := a.Add(step)
			if b.After(end) {
				b = end
			}
			for _, l := range metric.Levels() {
				if err := s.backfill(ctx, p, l, r, a, b); err != nil {
					return fmt.Errorf("cannot roll up %s from %s: %w", p.Measurement(l, r), a.Format(time.RFC3339), err)
				}
			}
		}
	}
	return nil
}

// backfill rolls up one level of one stretch.
func (s *Setup) backfill(ctx context.Context, p Place, l metric.Level, r RollUp, from, to time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, backfillTimeout)
	defer cancel()
	if p.Major == 1 {
		_, err := s.conn.influxQL(ctx, rollUpQL(p, l, r, timeRange(from, to)))
		return err
	}
	return s.fluxQuery(ctx, fluxStretch(p, l, r, from, to))
}
