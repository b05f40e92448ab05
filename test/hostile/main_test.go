package main

import (
	"math"
	"testing"
	"time"
)

// A bar is met by what is below it and by nothing that is not known.
func TestMet(t *testing.T) {
	for is, want := range map[float64]bool{0: true, 512: true, 512.1: false, math.Inf(1): false} {
		if got := (figure{is: is, most: 512}).met(); got != want {
			t.Errorf("%v: got %v", is, got)
		}
	}
	if (figure{is: math.NaN(), most: 512}).met() {
		t.Error("what is not known meets a bar")
	}
}

// Whoever was never answered has waited for as long as can be.
func TestP99(t *testing.T) {
	if got := p99(nil); got < time.Hour {
		t.Errorf("of nothing: %v", got)
	}
	var all []time.Duration
	for i := range 200 {
		all = append(all, time.Duration(i+1))
	}
	if got := p99(all); got != 198 {
		t.Errorf("got %d, want 198", got)
	}
	h := histogram{bounds: []float64{.1, 1, math.Inf(1)}, counts: []float64{95, 100, 100}}
	if got, n := h.quantile(0.99); n != 100 || got < .8 || got > .9 {
		t.Errorf("got %v of %v", got, n)
	}
}
