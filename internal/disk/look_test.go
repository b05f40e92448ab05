package disk

import (
	"testing"
	"testing/synctest"
	"time"
)

// A look that hangs holds up those who ask for a moment, once, and nobody after that; when it ends, others are made.
func TestLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Look
		looks, hang := 0, make(chan struct{})
		ask := func(waits, hangs time.Duration, want int) {
			t.Helper()
			began := time.Now()
			got := l.At(100*time.Millisecond, func() {
				if looks++; looks == 2 {
					<-hang
				}
			})
			if took := time.Since(began); took != waits || got != hangs || looks != want {
				t.Errorf("waited %v, hangs for %v, %d looks; want %v, %v, %d", took, got, looks, waits, hangs, want)
			}
		}
		ask(0, 0, 1)
		ask(0, 0, 1) // just now
		time.Sleep(time.Second)
		ask(patience, patience, 2)
		ask(0, patience, 2)
		time.Sleep(time.Minute)
		ask(0, patience+time.Minute, 2)
		close(hang)
		synctest.Wait()
		ask(0, 0, 3)
	})
}
