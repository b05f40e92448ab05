package policy

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// made makes 300 seconds of noise of size sigma for each second, with a correlation between neighbours.
func made(rng *rand.Rand, sigma, correlation float64) []float64 {
	out := make([]float64, 300)
	x := rng.NormFloat64()
	for i := range out {
		x = correlation*x + math.Sqrt(1-correlation*correlation)*rng.NormFloat64()
		out[i] = 5 + sigma*x
	}
	return out
}

// trueError is the standard error of the mean of w seconds of such noise.
func trueError(sigma, correlation float64, w int) float64 {
	sum := float64(w)
	for k := 1; k < w; k++ {
		sum += 2 * float64(w-k) * math.Pow(correlation, float64(k))
	}
	return sigma * math.Sqrt(sum) / float64(w)
}

// TestNoise: the estimate has the size that the noise was made with, whatever else the series does.
func TestNoise(t *testing.T) {
	windows := Windows(3*time.Second, 20*time.Second)
	for _, c := range []struct {
		name        string
		sigma, corr float64
		bend        func(i int) float64
		lo, hi      float64 // the estimate against the truth, on average
	}{
		{"white", 0.4, 0, nil, 0.9, 1.1},
		{"large", 40, 0, nil, 0.9, 1.1},
		{"correlated", 0.4, 0.3, nil, 0.8, 1.1},
		{"strongly correlated", 0.4, 0.6, nil, 0.7, 1.1}, // a second difference does not see all of slow noise
		{"trend", 0.4, 0, func(i int) float64 { return float64(i) * 0.05 }, 0.9, 1.1},
		// a step is in 3w seconds' differences: of the look of 20 s in a quarter of all, which errs to the careful side
		{"one step", 0.4, 0, func(i int) float64 { return step(i, 150, 5) }, 0.9, 1.5},
		{"two steps", 0.4, 0, func(i int) float64 { return step(i, 80, 3) - step(i, 230, 3) }, 0.9, 2.4},
	} {
		t.Run(c.name, func(t *testing.T) {
			mean := make([]float64, len(windows))
			const runs = 200
			for seed := range runs {
				series := made(rand.New(rand.NewPCG(uint64(seed), 1)), c.sigma, c.corr)
				for i := range series {
					if c.bend != nil {
						series[i] += c.bend(i)
					}
				}
				for i, n := range Noise(series, windows) {
					if !n.Known {
						t.Fatalf("%s is not known with 300 s of history", n.Window)
					}
					mean[i] += n.StdErr / runs
				}
			}
			for i, w := range windows {
				want := trueError(c.sigma, c.corr, int(w/time.Second))
				if got := mean[i]; got > want*c.hi || got < want*c.lo {
					t.Errorf("%s: %.4f on average, made with %.4f", w, got, want)
				}
			}
		})
	}
}

func step(i, at int, size float64) float64 {
	if i >= at {
		return size
	}
	return 0
}

// TestNoiseKnown: a look is known with 3w + max(5, w) seconds of history; a longer one borrows.
func TestNoiseKnown(t *testing.T) {
	series := made(rand.New(rand.NewPCG(3, 3)), 1, 0)
	f := func(seconds int, window, want int) {
		t.Helper()
		ns := Noise(series[:seconds], []time.Duration{time.Duration(window) * time.Second})
		if got := ns[0].Known; got != (want == 1) {
			t.Errorf("%d s of history: the look of %d s known = %v", seconds, window, got)
		}
	}
	f(13, 3, 0)
	f(14, 3, 1)
	f(20, 5, 1)
	f(19, 5, 0)
	f(32, 8, 1)
	f(31, 8, 0)
	f(240, 60, 1)
	f(239, 60, 0)

	ns := Noise(series[:20], Windows(3*time.Second, 60*time.Second))
	if !ns[1].Known || ns[6].Known {
		t.Fatalf("known: %+v", ns)
	}
	if want := ns[1].StdErr * math.Sqrt(5.0/60); math.Abs(ns[6].StdErr-want) > 1e-12 {
		t.Errorf("the look of 60 s borrows %v, want %v from that of 5 s", ns[6].StdErr, want)
	}
	if ns := Noise(nil, Windows(3*time.Second, 60*time.Second)); ns[0].Known || ns[0].StdErr != 0 {
		t.Errorf("noise of nothing: %+v", ns)
	}
}

// TestHistory: the ring keeps 300 s, leaves gaps as gaps, survives clocks that jump, and estimates anew every 5 s.
func TestHistory(t *testing.T) {
	h := NewHistory(Windows(3*time.Second, 60*time.Second))
	now := time.Unix(1_000_000, 0)
	series := made(rand.New(rand.NewPCG(5, 5)), 1, 0)
	for i, x := range series {
		h.Add(now.Add(time.Duration(i)*time.Second), x)
	}
	now = now.Add(299 * time.Second)
	got := h.Noise(now)
	for i, want := range Noise(series, Windows(3*time.Second, 60*time.Second)) {
		if got[i] != want {
			t.Errorf("noise %+v, want %+v", got[i], want)
		}
	}
	h.Add(now.Add(time.Second), 1000)
	if again := h.Noise(now.Add(4 * time.Second)); again[0] != got[0] {
		t.Errorf("estimated anew after 4 s: %+v", again[0])
	}
	if n := len(h.Series()); n != 300 {
		t.Errorf("%d values held, want 300", n)
	}
	h.Add(now.Add(11*time.Second), 1)
	if s := h.Series(); !math.IsNaN(s[len(s)-2]) || s[len(s)-1] != 1 {
		t.Errorf("the gap was filled: %v", s[len(s)-12:])
	}
	h.Add(now.Add(11*time.Second), math.Inf(1))
	if s := h.Series(); !math.IsNaN(s[len(s)-1]) {
		t.Errorf("Inf was kept: %v", s[len(s)-1])
	}
	h.Add(now.Add(-time.Hour), 1) // the clock was put back
	if n := len(h.Series()); n != 1 {
		t.Errorf("%d values after the clock was put back, want 1", n)
	}
	if ns := h.Noise(now.Add(-time.Hour)); ns[0].Known {
		t.Errorf("known after the clock was put back: %+v", ns[0])
	}
}

// BenchmarkHistoryNoise measures one estimate of all seven looks, which each target needs every 5 s.
func BenchmarkHistoryNoise(b *testing.B) {
	series, windows := made(rand.New(rand.NewPCG(1, 1)), 1, 0), Windows(3*time.Second, 60*time.Second)
	for b.Loop() {
		Noise(series, windows)
	}
}

// TestMedian compares the selection with sorting.
func TestMedian(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for n := 1; n < 200; n++ {
		xs := make([]float64, n)
		for i := range xs {
			xs[i] = float64(rng.IntN(n)) // with equal values
		}
		sorted := slices.Sorted(slices.Values(xs))
		want := (sorted[(n-1)/2] + sorted[n/2]) / 2
		if got := median(xs); got != want {
			t.Fatalf("median of %v = %v, want %v", sorted, got, want)
		}
	}
}
