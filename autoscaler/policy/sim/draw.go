package sim

import "math"

// poisson draws from a Poisson distribution.
func (w *world) poisson(mean float64) int {
	if mean > 30 { // near enough to normal, and fast
		return max(0, int(math.Round(mean+math.Sqrt(mean)*w.rng.NormFloat64())))
	}
	limit, n, product := math.Exp(-mean), 0, w.rng.Float64()
	for product > limit {
		n++
		product *= w.rng.Float64()
	}
	return n
}

// gamma draws from a gamma distribution of whole shape and scale 1.
func (w *world) gamma(k float64) (sum float64) {
	for range int(k) {
		sum += w.rng.ExpFloat64()
	}
	return sum
}
