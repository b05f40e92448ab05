package capacity

import (
	"context"
	"time"

	"plimsoll.dev/plimsoll/internal/store"
)

// beginnings is how many steps in which something's data begins are looked into: what began together, or before the window, is one.
const beginnings = 6

// begin says to the second when the data of things begins, given the ends of the steps in which it does. q counts a row's samples by what tells the
// things apart; key is what a series is of. What the store cannot tell more exactly, as it keeps no more than sums of such steps, begins with its step.
func (a *asker) begin(ctx context.Context, q store.Query, key func(*store.Series) string, ends map[string]int64, width time.Duration) (map[string]time.Time, error) {
	out := make(map[string]time.Time, len(ends))
	for k, end := range ends {
		out[k] = time.UnixMilli(end).UTC().Add(-width)
	}
	q.Func = store.Count
	for width > time.Second {
		fine := max(width/60, time.Second)
		steps := map[int64][]string{}
		for k, end := range ends {
			steps[end] = append(steps[end], k)
		}
		if len(steps) > beginnings {
			return out, nil
		}
		finer := map[string]int64{}
		for end := range steps {
			q.End = time.UnixMilli(end).UTC()
			q.Start, q.Step, q.Window = q.End.Add(fine-width), fine, fine
			found, err := a.from.Query(ctx, q)
			if err != nil && !tooMuch(ctx, err) {
				return nil, err
			}
			for i := range found {
				k := key(&found[i])
				if ends[k] != end {
					continue
				}
				for _, x := range found[i].Samples {
					if was, ok := finer[k]; x.V > 0 && (!ok || x.T < was) {
						finer[k] = x.T
					}
				}
			}
		}
		for k, end := range finer {
			out[k] = time.UnixMilli(end).UTC()
			if fine > time.Second {
				out[k] = out[k].Add(-fine)
			}
		}
		ends, width = finer, fine
	}
	return out, nil
}
