package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// api is a fake of what is asked: it counts, hangs, and fails.
type api struct {
	mu    sync.Mutex
	asked map[string]int
	hang  map[string]bool
	fail  error
	value cluster.Milli
}

func (a *api) ask(ctx context.Context, q Question) (Answer, error) {
	a.mu.Lock()
	a.asked[q.Metric]++
	hang, fail, value := a.hang[q.Metric], a.fail, a.value
	a.mu.Unlock()
	if hang {
		<-ctx.Done()
		return Answer{}, ctx.Err()
	}
	return Answer{Values: []cluster.Milli{value}}, fail
}

func (a *api) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// total is how often a metric was read since the last time; "" for all.
func (a *api) total(metric string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for m, k := range a.asked {
		if metric == "" || m == metric {
			n += k
			delete(a.asked, m)
		}
	}
	return n
}

func external(metric string) Question {
	return Question{API: External, Namespace: "shop", Metric: metric}
}

// reading runs a Reader over a fake within a bubble.
func reading(t *testing.T, f func(t *testing.T, r *Reader, a *api)) {
	synctest.Test(t, func(t *testing.T) {
		a := &api{asked: map[string]int{}, hang: map[string]bool{}, value: 1000}
		r := newReader(a.ask, &door{}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = r.Run(ctx) })
		f(t, r, a)
		cancel()
		wg.Wait()
	})
}

// ask asks like a pass does, each second for so long, and returns the last answer.
func ask(r *Reader, q Question, during time.Duration) (a Answer, err error) {
	for range int(during / time.Second) {
		a, err = r.Ask(context.Background(), q, time.Time{})
		time.Sleep(time.Second)
	}
	return a, err
}

// The first answer is there at once; all who ask the same share one reading each five seconds; what nobody asks any more is not read.
func TestReader(t *testing.T) {
	reading(t, func(t *testing.T, r *Reader, a *api) {
		began := time.Now()
		if got, err := r.Ask(t.Context(), external("queue"), time.Time{}); err != nil || len(got.Values) != 1 || time.Since(began) > 0 {
			t.Errorf("got %+v, %v after %v", got, err, time.Since(began))
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { _, _ = ask(r, external("queue"), time.Minute) })
		}
		wg.Wait()
		if n := a.total(""); n < 12 || n > 14 {
			t.Errorf("read %d times in a minute", n)
		}
		a.set(func() { a.value = 7000 })
		if got, err := ask(r, external("queue"), 8*time.Second); err != nil || got.Values[0] != 7000 || time.Since(got.Read) > every+time.Second {
			t.Errorf("got %+v, %v", got, err)
		}
		a.total("")
		time.Sleep(2 * time.Minute)
		if n := a.total(""); n > int(forgetAfter/every)+1 {
			t.Errorf("read %d times for nobody", n)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.entries) != 0 {
			t.Errorf("%d questions are kept", len(r.entries))
		}
	})
}

// What is wanted anew is read within a second, and not each time that it is asked for.
func TestReadAnew(t *testing.T) {
	reading(t, func(t *testing.T, r *Reader, a *api) {
		_, _ = ask(r, external("queue"), 2*time.Second)
		a.total("")
		changed := time.Now()
		for range 40 {
			_, _ = r.Ask(t.Context(), external("queue"), changed)
			time.Sleep(50 * time.Millisecond)
		}
		if got, err := r.Ask(t.Context(), external("queue"), changed); err != nil || got.Read.Before(changed) || a.total("") != 1 {
			t.Errorf("read at %v, %v", got.Read.Sub(changed), err)
		}
	})
}

// A reading that fails now and then is not told; an API that is away is, and it is asked less and less.
func TestReaderFails(t *testing.T) {
	reading(t, func(t *testing.T, r *Reader, a *api) {
		_, _ = ask(r, external("queue"), 2*time.Second)
		a.set(func() { a.fail = errors.New("away") })
		if got, err := ask(r, external("queue"), 15*time.Second); err != nil || got.Values[0] != 1000 {
			t.Errorf("after 15 s: %+v, %v", got, err)
		}
		if _, err := ask(r, external("queue"), 15*time.Second); err == nil || err.Error() != "away" {
			t.Errorf("after half a minute: %v", err)
		}
		_, _ = ask(r, external("queue"), 5*time.Minute)
		a.total("")
		if _, _ = ask(r, external("queue"), 10*time.Minute); a.total("") > 11 {
			t.Error("it is asked more than once a minute")
		}
		a.set(func() { a.fail = nil })
		if got, err := ask(r, external("queue"), 70*time.Second); err != nil || time.Since(got.Read) > every+time.Second {
			t.Errorf("it is there again: %+v, %v", got, err)
		}
		if _, err := r.Ask(t.Context(), external("new"), time.Time{}); err != nil {
			t.Error(err)
		}
	})
}

// A hundred questions that hang delay no other, and who asks waits a second once.
func TestReaderHangs(t *testing.T) {
	reading(t, func(t *testing.T, r *Reader, a *api) {
		for i := range 100 {
			a.hang[fmt.Sprint("hangs-", i)] = true
		}
		var wg sync.WaitGroup
		for m := range a.hang {
			wg.Go(func() {
				began := time.Now()
				if _, err := r.Ask(t.Context(), external(m), time.Time{}); !errors.Is(err, ErrNotRead) || time.Since(began) > firstWait {
					t.Errorf("%v after %v", err, time.Since(began))
				}
				began = time.Now()
				if _, err := r.Ask(t.Context(), external(m), time.Time{}); !errors.Is(err, ErrNotRead) || time.Since(began) > 0 {
					t.Errorf("%v after %v", err, time.Since(began))
				}
				if _, err := ask(r, external(m), 2*time.Minute); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			})
		}
		time.Sleep(3 * time.Second)
		began := time.Now()
		if _, err := r.Ask(t.Context(), external("queue"), time.Time{}); err != nil || time.Since(began) > 100*time.Millisecond {
			t.Errorf("a healthy one: %v after %v", err, time.Since(began))
		}
		for range 60 {
			if got, err := r.Ask(t.Context(), external("queue"), time.Time{}); err != nil || time.Since(got.Read) > every+500*time.Millisecond {
				t.Errorf("a healthy one is %v old: %v", time.Since(got.Read), err)
			}
			time.Sleep(time.Second)
		}
		wg.Wait()
	})
}

// Of thousands of questions each has its turn, and no more than so many are read in a second.
func TestReaderOfMany(t *testing.T) {
	reading(t, func(t *testing.T, r *Reader, a *api) {
		var wg sync.WaitGroup
		const many = 1000
		for i := range many {
			wg.Go(func() {
				if got, err := ask(r, external(fmt.Sprint("m-", i)), 2*time.Minute); err != nil || time.Since(got.Read) > 25*time.Second {
					t.Errorf("the answer is %v old: %v", time.Since(got.Read), err)
				}
			})
		}
		time.Sleep(time.Minute)
		a.total("")
		time.Sleep(30 * time.Second)
		if n := a.total(""); n > 31*rate || n < 25*rate {
			t.Errorf("%d readings in 30 s", n)
		}
		wg.Wait()
	})
}

// Whoever asks for more than can be kept is told so.
func TestReaderIsBounded(t *testing.T) {
	reading(t, func(t *testing.T, r *Reader, a *api) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for i := range mostQuestions {
			_, _ = r.Ask(ctx, external(fmt.Sprint(i)), time.Time{})
		}
		if _, err := r.Ask(ctx, external("one more"), time.Time{}); err == nil || errors.Is(err, ErrNotRead) {
			t.Errorf("got %v", err)
		}
	})
}

// Who asks several questions that hang waits for all of them at once.
func TestExpect(t *testing.T) {
	reading(t, func(t *testing.T, r *Reader, a *api) {
		a.hang["a"], a.hang["b"], a.hang["c"] = true, true, true
		began := time.Now()
		r.Expect(external("a"), external("b"), external("c"))
		for _, m := range []string{"a", "b", "c"} {
			if _, err := r.Ask(t.Context(), external(m), time.Time{}); !errors.Is(err, ErrNotRead) {
				t.Errorf("%s: %v", m, err)
			}
		}
		if took := time.Since(began); took > firstWait {
			t.Errorf("it took %v", took)
		}
	})
}
