package live

import (
	"context"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// History keeps batches.
type History interface {
	Append(ctx context.Context, b *metric.Batch) error
}

// RollUps keeps a picture's sums at the pace of the history.
type RollUps struct {
	Picture *Picture
	History History
	Gate    cluster.Gate // sums of the whole cluster are for one to write
	Every   time.Duration
	// Written says of when the newest sums in the history are, of those since a time; zero: there are none. nil: nobody else writes any.
	Written func(ctx context.Context, since time.Time) (time.Time, error)
	// States adds what a cluster says of its pods and nodes; nil: nobody does.
	States *States
}

// waits is how many passes are held by who may not write: a lease is free within ten seconds of its holder's end, so that with two passes before the one that is
// written at once none is lacking.
const waits = 2

// asks is how long the history may take to say what is in it.
const asks = 5 * time.Second

// tells is how much older than a pass what it tells may be: as late as who sends once a minute may be.
const tells = 3 * time.Minute

// Run appends the sums until ctx ends. They are counted without a break, and kept while the gate is open. When it opens, what another process has not written
// any more, because it has ended, is written first; counters begin there, as what the other has counted is in its own, and from there to here would be a leap.
func (r RollUps) Run(ctx context.Context) error {
	t := time.NewTicker(r.Every)
	defer t.Stop()
	var waiting []*metric.Batch // the newest passes that were not for this process to write, each counted by itself
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C: // which says when it was due: what a process that was stopped has taken since is later
			waiting = r.pass(ctx, time.Now(), waiting)
		}
	}
}

// pass makes the sums of a moment and writes them, or has them wait.
func (r RollUps) pass(ctx context.Context, now time.Time, waiting []*metric.Batch) []*metric.Batch {
	open := r.Gate.MayWrite() == nil
	switch {
	case !open && len(waiting) == 0: // what was written is no part of what waits
		r.Picture.beginSums()
	case open && len(waiting) > 0:
		r.takeOver(ctx, waiting)
		waiting = nil
	}
	b := r.sums(now)
	switch {
	case !open:
		r.Picture.beginSums()
		waiting = append(waiting, b)
		return waiting[max(0, len(waiting)-waits):]
	case r.Gate.MayWrite() == nil:
		// The store counts what it cannot take and shows it as a condition; there is nothing to add.
		_ = r.History.Append(ctx, b)
	}
	return waiting
}

// takeOver writes the passes that nobody has written. One that begins in the middle of another's is left out if more than half of it is in that. Where the history
// cannot say, none is written.
func (r RollUps) takeOver(ctx context.Context, passes []*metric.Batch) {
	if r.Written == nil {
		r.Picture.goOn()
		return
	}
	ctx, cancel := context.WithTimeout(ctx, asks)
	defer cancel()
	last, err := r.Written(ctx, passes[0].Time.Add(-r.Every-tells))
	if err != nil {
		r.Picture.goOn()
		return
	}
	for len(passes) > 0 && !passes[0].Time.After(last.Add(r.Every/2)) {
		passes = passes[1:]
	}
	r.Picture.continueSums(passes, last, r.Every)
	for _, b := range passes {
		_ = r.History.Append(ctx, b)
	}
}

// sums are those of a moment, with the states that belong to them. Whether they are kept or not, what follows goes on from them.
func (r RollUps) sums(now time.Time) *metric.Batch {
	b, snap := r.Picture.rollUp(now)
	if r.States != nil {
		b.Groups = append(b.Groups, r.States.Of(snap, now)...)
	}
	return b
}
