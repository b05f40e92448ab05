package api

import (
	"math"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// How many decimals each kind of number carries: more than anybody sees, less than a float64 prints.
const (
	decCores = 6 // a microcore
	decShare = 4 // a hundredth of a percent
	decBytes = 0
	decCount = 3
)

// num returns v with so many decimals, nil where it is not a number that JSON can carry.
func num(v float64, ok bool, decimals int) *float64 {
	if !ok || math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	if p := math.Pow10(decimals); math.Abs(v) < 1e15/p {
		v = math.Round(v*p) / p
	}
	if v == 0 {
		v = 0 // never -0
	}
	return &v
}

func gauge(it *live.Item, id metric.ID, decimals int) *float64 {
	v, ok := it.Gauge(id)
	return num(v, ok, decimals)
}

func rate(it *live.Item, id metric.ID, decimals int) *float64 {
	v, ok := it.Rate(id)
	return num(v, ok, decimals)
}

// share returns a counter of seconds as a share of time, at most 1.
func share(it *live.Item, id metric.ID) *float64 {
	v, ok := it.Rate(id)
	return num(min(max(v, 0), 1), ok, decShare)
}

// partial names those of a row's sums that are shown and lack a part.
func partial(it *live.Item) (out []string) {
	for _, id := range partialRows(it) {
		out = append(out, map[metric.ID]string{metric.CPUUsage: "cpu", metric.MemoryWorkingSet: "workingSet"}[id])
	}
	return out
}

// partialRows are their rows.
func partialRows(it *live.Item) (out []metric.ID) {
	for _, id := range [...]metric.ID{metric.CPUUsage, metric.MemoryWorkingSet} {
		if v, ok := it.Get(id); ok && (v.Window > 0 || metric.Get(id).Kind == metric.Gauge) && it.Lacks.Has(id) {
			out = append(out, id)
		}
	}
	return out
}

// join makes one number of what is known of several; it is nil where nothing is.
func join(how metric.Join, parts ...*float64) (out *float64) {
	for _, p := range parts {
		switch {
		case p == nil:
		case out == nil:
			out = p
		default:
			v := how.Of(*out, *p)
			out = &v
		}
	}
	return out
}

// or returns the number, or another where it is not known: for comparing only.
func or(p *float64, otherwise float64) float64 {
	if p == nil {
		return otherwise
	}
	return *p
}

func gapOf(g *cluster.Gap) *cluster.Gap {
	if g == nil {
		return nil
	}
	return &cluster.Gap{Since: g.Since.UTC(), Reason: g.Reason, Detail: g.Detail}
}
