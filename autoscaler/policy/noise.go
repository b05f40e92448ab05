package policy

import (
	"math"
	"slices"
	"time"
)

const (
	// MaxStableWindow is the longest window that a policy may ask for: what a History holds.
	MaxStableWindow = historySeconds * time.Second
	// historySeconds is how much history the noise is estimated from.
	historySeconds = 300
	// madToSigma turns the median of the absolute value of a normal variable into its standard deviation.
	madToSigma = 1.4826
)

// WindowNoise is the noise of a load over one window.
type WindowNoise struct {
	Window time.Duration
	StdErr float64 // standard error of the window's mean, in the unit of the series
	Known  bool    // false while there is too little history; StdErr is then borrowed, or zero
}

// Windows returns the lengths of the windows from the shortest to the longest, both included:
// 3, 5, 8, 12, 20, 30 and 60 s as far as they lie between.
func Windows(shortest, longest time.Duration) []time.Duration {
	out := []time.Duration{shortest}
	for _, s := range [...]int{3, 5, 8, 12, 20, 30, 60, 120} {
		if d := time.Duration(s) * time.Second; d > shortest && d < longest {
			out = append(out, d)
		}
	}
	if longest > shortest {
		out = append(out, longest)
	}
	return out
}

// Noise estimates how far the mean of a series over each of some windows scatters by chance: for a window of w seconds
// 1.4826 × median |m(t) − 2 m(t−w) + m(t−2w)| / √6, where m(t) is the mean of the w seconds up to t. Second differences
// do not see a steady trend, the median does not see a few steps, and noise that is correlated in time is measured as it
// is. series has one value a second, oldest first; NaN marks a second without a value. A window is known when there are
// at least max(5, w)+1 differences, that is 3w + max(5, w) seconds; a longer one gets s(v)·√(v/w) from the longest
// known v, a shorter one from the shortest. With none known all StdErr are 0.
func Noise(series []float64, windows []time.Duration) []WindowNoise {
	out := make([]WindowNoise, len(windows))
	sums, gaps := prefix(series)
	var diffs []float64
	for i, d := range windows {
		out[i].Window = d
		w := wholeSeconds(d)
		diffs = secondDifferences(diffs[:0], sums, gaps, w)
		if len(diffs) < max(5, w)+1 {
			continue
		}
		out[i].StdErr, out[i].Known = madToSigma*median(diffs)/math.Sqrt(6), true
	}
	borrow(out)
	return out
}

// Spike is by how much at most a second, or two of them, of a series of one value a second stood out of the seconds before and after: what rose for so long and did not last. A step is none,
// as it lasts, nor is what has no value beside it.
func Spike(series []float64) float64 {
	most := 0.0
	for t := 1; t+2 < len(series); t++ {
		if above := series[t] - max(series[t-1], series[t+2]); above > most {
			most = above
		}
	}
	return most
}

// borrow fills the noise of windows that are not known from the nearest that is.
func borrow(ns []WindowNoise) {
	for i := range ns {
		if ns[i].Known {
			continue
		}
		var from *WindowNoise
		for j := range ns {
			n := &ns[j]
			if !n.Known {
				continue
			}
			if from == nil || (n.Window < ns[i].Window && n.Window > from.Window) {
				from = n
			}
		}
		if from != nil && ns[i].Window > 0 {
			ns[i].StdErr = from.StdErr * math.Sqrt(float64(from.Window)/float64(ns[i].Window))
		}
	}
}

// wholeSeconds is the length of a window in samples, at least 1.
func wholeSeconds(d time.Duration) int { return max(1, int((d+time.Second/2)/time.Second)) }

// prefix returns running sums of the series and of its gaps, one longer than the series.
func prefix(series []float64) (sums []float64, gaps []int) {
	sums, gaps = make([]float64, len(series)+1), make([]int, len(series)+1)
	for i, x := range series {
		sums[i+1], gaps[i+1] = sums[i], gaps[i]
		if math.IsNaN(x) || math.IsInf(x, 0) {
			gaps[i+1]++
		} else {
			sums[i+1] += x
		}
	}
	return sums, gaps
}

// secondDifferences appends |m(t) − 2 m(t−w) + m(t−2w)| for every t whose 3w seconds have no gap.
func secondDifferences(dst, sums []float64, gaps []int, w int) []float64 {
	for t := 3 * w; t < len(sums); t++ {
		if gaps[t] != gaps[t-3*w] {
			continue
		}
		newest, middle, oldest := sums[t]-sums[t-w], sums[t-w]-sums[t-2*w], sums[t-2*w]-sums[t-3*w]
		dst = append(dst, math.Abs(newest-2*middle+oldest)/float64(w))
	}
	return dst
}

// median returns the median of xs, which it puts into another order. It selects instead of sorting: a History does this for
// every window of every target each 5 s.
func median(xs []float64) float64 {
	n := len(xs)
	upper := nth(xs, n/2)
	if n%2 == 1 {
		return upper
	}
	return (slices.Max(xs[:n/2]) + upper) / 2
}

// nth puts the k-th smallest of xs in place k, smaller ones before it, and returns it (Hoare's selection).
func nth(xs []float64, k int) float64 {
	lo, hi := 0, len(xs)-1
	for lo < hi {
		pivot := xs[lo+(hi-lo)/2]
		i, j := lo, hi
		for i <= j {
			for xs[i] < pivot {
				i++
			}
			for xs[j] > pivot {
				j--
			}
			if i <= j {
				xs[i], xs[j] = xs[j], xs[i]
				i, j = i+1, j-1
			}
		}
		switch {
		case k <= j:
			hi = j
		case k >= i:
			lo = i
		default:
			return xs[k]
		}
	}
	return xs[k]
}
