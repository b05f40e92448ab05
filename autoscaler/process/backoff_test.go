package process

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	var b backoff
	f := func(up time.Duration, jitter float64, want time.Duration) {
		t.Helper()
		if got := b.next(up, jitter); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, want := range []int{1, 2, 4, 8, 16, 32, 60, 60, 60} {
		f(time.Second, 0.5, time.Duration(want)*time.Second)
	}
	f(59*time.Second, 0, 45*time.Second)
	f(59*time.Second, 1, 75*time.Second)
	f(60*time.Second, 0.5, time.Second) // it had been up for long
	f(0, 0.5, 2*time.Second)
}
