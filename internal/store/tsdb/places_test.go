package tsdb

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// One client asks for more than there are places, each for half a minute; another comes later for one. It has it after the grace, at the cost of one of
// the first's, and again at once while its turn is next; who has one place alone is never displaced.
func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		displaced := 0
		p := &places{most: 2, displaced: func() { displaced++ }}
		var log []string
		began := time.Now()
		ask := func(client string, long time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			within, free, err := p.take(ctx, t.Context(), client)
			if err != nil {
				t.Error(client, err)
				return
			}
			defer free()
			log = append(log, fmt.Sprintf("%s at %v", client, time.Since(began)))
			select {
			case <-within.Done():
				if !errors.Is(context.Cause(within), errDisplaced) {
					t.Errorf("%s ended by %v", client, context.Cause(within))
				}
			case <-time.After(long):
			}
		}
		for range 4 {
			go ask("mallory", 30*time.Second)
		}
		synctest.Wait()
		time.Sleep(2 * time.Second)
		go ask("ann", 20*time.Second)
		time.Sleep(4 * time.Second)
		go ask("bob", 15*time.Second)
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		want := "[mallory at 0s mallory at 0s ann at 5s bob at 6.5s mallory at 21.5s mallory at 25s]"
		if got := fmt.Sprint(log); got != want || displaced != 2 || len(p.held)+len(p.line) != 0 {
			t.Errorf("got %s, %d displaced, %d and %d left; want %s", got, displaced, len(p.held), len(p.line), want)
		}
	})
}

// Whoever gives up waiting leaves his place in the line.
func TestPlacesGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &places{most: 1, displaced: func() { t.Error("displaced one that has one place") }}
		_, free, err := p.take(t.Context(), t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if _, _, err := p.take(ctx, t.Context(), "bob"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		free()
		free()
		if len(p.held)+len(p.line) != 0 {
			t.Errorf("%d and %d are left", len(p.held), len(p.line))
		}
	})
}
