package influx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// backfillTimeout is the deadline of rolling up one level of one stretch.
const backfillTimeout = 10 * time.Minute

// DefaultQuiet is how long no late line must have come before the past is rolled up.
const DefaultQuiet = 10 * time.Minute

// checkAfter is how many quiet times pass between two searches for gaps.
const checkAfter = 6

// BackfillOptions say when late data is rolled up.
type BackfillOptions struct {
	// Quiet is how long no late line must have come before the past is rolled up, since others may be behind as well: DefaultQuiet if
	// zero. Once after that time, and then about every six such times, the server is asked for gaps.
	Quiet time.Duration
	// Cluster is the value of the tag cluster of what is searched for gaps; empty: whatever it is.
	Cluster string
	// Logger is for what is rolled up; nil discards.
	Logger *slog.Logger
}

// backfiller rolls up what came late, for one process.
type backfiller struct {
	*Setup
	w     *Writer
	opts  BackfillOptions
	tried map[gap]float64 // of how many points a gap was rolled up already: when that did not close it, only more of them may
	fault string          // the last error, told once
}

// RunBackfill rolls up what came too late for the roll-ups that the server makes (after an outage of more than half an hour), until ctx ends: what
// the writer itself stored, soon after the last of it, and what others did or an ended process left, by asking
// the server for hours and days that were rolled up from fewer points than there are. One process for a database is enough. On
// InfluxDB 3 it does nothing.
func (s *Setup) RunBackfill(ctx context.Context, w *Writer, o BackfillOptions) error {
	if o.Quiet <= 0 {
		o.Quiet = DefaultQuiet
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	b := &backfiller{Setup: s, w: w, opts: o, tried: map[gap]float64{}}
	tick := time.NewTicker(max(min(o.Quiet/10, time.Minute), 10*time.Millisecond))
	defer tick.Stop()
	check := time.Now().Add(o.Quiet)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if l, ok := w.claimLate(time.Now(), o.Quiet); ok {
			b.late(ctx, l)
		}
		if now := time.Now(); !now.Before(check) && !w.waitsLate() {
			b.told(ctx, b.gaps(ctx, now))
			check = now.Add(time.Duration((0.75 + rand.Float64()/2) * checkAfter * float64(o.Quiet))) // not all processes at once
		}
	}
}

// late rolls up a stretch that the writer noted.
func (b *backfiller) late(ctx context.Context, l Late) {
	b.opts.Logger.Info("rolling up what came late", "from", l.From, "to", l.To)
	err := b.Backfill(ctx, l.From, l.To)
	b.told(ctx, err)
	if err != nil && !errors.Is(err, ErrForbidden) && !errors.Is(err, ErrUnauthorized) {
		l.First, l.Last = time.Now(), time.Now()
		b.w.giveLate(l)
	}
}

// told logs an error that is not the one before.
func (b *backfiller) told(ctx context.Context, err error) {
	switch {
	case err == nil:
		b.fault = ""
	case ctx.Err() != nil || err.Error() == b.fault:
	case errors.Is(err, ErrForbidden) || errors.Is(err, ErrUnauthorized):
		b.opts.Logger.Warn("the token may not roll up what comes late; 'plimsoll influx setup --tokens' makes one that may, for a server", "err", err)
		b.fault = err.Error()
	default:
		b.opts.Logger.Warn("cannot roll up what came late; trying again", "err", err)
		b.fault = err.Error()
	}
}

// Backfill rolls up a stretch of the past, whole hours and days, for data that came late. It may be long until it returns.
func (s *Setup) Backfill(ctx context.Context, from, to time.Time) error {
	return s.rollUp(ctx, from, to, Hour, Day)
}

func (s *Setup) rollUp(ctx context.Context, from, to time.Time, resolutions ...RollUp) error {
	v, err := s.conn.Detect(ctx)
	if err != nil {
		return err
	}
	if v.Major > 2 {
		return nil
	}
	p := s.conn.Place(v)
	for _, r := range resolutions {
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
