package places

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errDisplaced = errors.New("ended for another")

// One client asks for more than there are places, each for half a minute; another comes later for one. It has it after the grace, at the cost of one of
// the first's, and again at once while its turn is next; who has one place alone is never displaced.
func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		displaced := 0
		p := New(Options{Most: 2, Grace: 5 * time.Second, Displaced: func() { displaced++ }})
		var log []string
		began := time.Now()
		ask := func(client string, long time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			within, end := context.WithCancelCause(t.Context())
			defer end(nil)
			free, err := p.Take(ctx, client, func() { end(errDisplaced) })
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
		p := New(Options{Most: 1, Grace: 5 * time.Second, Displaced: func() { t.Error("displaced one that has one place") }})
		free, err := p.Take(t.Context(), "ann", func() {})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if _, err := p.Take(ctx, "bob", func() {}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		free()
		free()
		if len(p.held)+len(p.line) != 0 {
			t.Errorf("%d and %d are left", len(p.held), len(p.line))
		}
	})
}

// The next place is of the client that has the fewest, of those of who has not had one for longest.
func TestShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Most: 4})
		var free []func()
		take := func(client string, want bool) {
			t.Helper()
			f, err := p.Share(t.Context(), client)
			if (err == nil) != want {
				t.Fatalf("%s: got %v, want %v", client, err, want)
			}
			if err == nil {
				free = append(free, f)
			}
		}
		for range 4 {
			take("mallory", true) // nobody else wants one
		}
		began := time.Now()
		take("mallory", false)
		if took := time.Since(began); took != 0 {
			t.Errorf("refused after %v", took)
		}
		var order []string
		var wg sync.WaitGroup
		for _, client := range []string{"mallory", "mallory", "ann", "ann", "ben"} {
			wg.Go(func() {
				if f, err := p.Take(t.Context(), client, nil); err == nil {
					order = append(order, client) // one at a time, as places are given
					time.Sleep(time.Second)
					f()
				}
			})
			synctest.Wait()
		}
		for _, f := range free {
			f()
			f() // once
			synctest.Wait()
		}
		wg.Wait()
		if got := strings.Join(order, " "); got != "ann ben mallory ann mallory" {
			t.Errorf("the places went to %s", got)
		}
		if len(p.held)+len(p.line) != 0 {
			t.Errorf("%d and %d are left", len(p.held), len(p.line))
		}
	})
}
