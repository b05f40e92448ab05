package capacity

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"plimsoll.dev/plimsoll/internal/store"
)

// asker asks the history. What is too much for the store at once it asks for in halves.
type asker struct {
	from History
	g    grid
}

// coarsest is the longest time that a rate is taken over when a store cannot hold shorter ones.
const coarsest = time.Hour

// ask asks for a point at the end of each step of the window, or with step zero for one over the whole window.
func (a *asker) ask(ctx context.Context, q store.Query, step time.Duration) ([]store.Series, error) {
	if step == 0 {
		return a.whole(ctx, q)
	}
	q.Start, q.End, q.Step, q.Window = a.g.start.Add(step), a.g.end, step, step
	return a.halved(ctx, q)
}

// whole asks for one point over the whole window.
func (a *asker) whole(ctx context.Context, q store.Query) ([]store.Series, error) {
	q.Start, q.End, q.Step, q.Window = a.g.start, a.g.end, 0, a.g.end.Sub(a.g.start)
	for {
		out, err := a.from.Query(ctx, q)
		if err == nil || !tooMuch(ctx, err) || q.RateOver == 0 || q.RateOver >= coarsest {
			return finite(out), err
		}
		q.RateOver = min(4*q.RateOver, coarsest)
	}
}

// halved asks, and where that is too much, for the first half and then for the second.
func (a *asker) halved(ctx context.Context, q store.Query) ([]store.Series, error) {
	out, err := a.from.Query(ctx, q)
	n := int(q.End.Sub(q.Start) / q.Step)
	if err == nil || n < 1 || !tooMuch(ctx, err) {
		return finite(out), err
	}
	head, tail := q, q
	head.End = q.Start.Add(time.Duration(n/2) * q.Step)
	tail.Start = head.End.Add(q.Step)
	first, err := a.halved(ctx, head)
	if err != nil {
		return nil, err
	}
	second, err := a.halved(ctx, tail)
	if err != nil {
		return nil, err
	}
	return appended(first, second), nil
}

// tooMuch says whether a smaller question may be answered.
func tooMuch(ctx context.Context, err error) bool {
	return ctx.Err() == nil && (errors.Is(err, store.ErrTooLarge) || errors.Is(err, context.DeadlineExceeded))
}

// appended puts the samples of the later series after those of the earlier ones with the same labels.
func appended(first, second []store.Series) []store.Series {
	at := make(map[string]int, len(first))
	for i := range first {
		at[labelsOf(&first[i])] = i
	}
	for i := range second {
		if j, ok := at[labelsOf(&second[i])]; ok {
			first[j].Samples = append(first[j].Samples, second[i].Samples...)
		} else {
			first = append(first, second[i])
		}
	}
	return first
}

func labelsOf(s *store.Series) string {
	var b strings.Builder
	for _, l := range s.Labels {
		fmt.Fprintf(&b, "%q=%q,", l.Name, l.Value)
	}
	return b.String()
}

// finite drops what is no number; no store should give it.
func finite(in []store.Series) []store.Series {
	for i := range in {
		in[i].Samples = slices.DeleteFunc(in[i].Samples, func(p store.Sample) bool { return math.IsNaN(p.V) || math.IsInf(p.V, 0) })
	}
	return in
}

// together runs the questions, two at a time, and returns the first error.
func together(ctx context.Context, questions ...func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2)
	for _, ask := range questions {
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return ask(ctx)
		})
	}
	return g.Wait()
}
