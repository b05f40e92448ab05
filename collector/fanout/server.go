package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// lookUpEvery is how often names are looked up, and the most that it may take.
const lookUpEvery = 5 * time.Second

// server is one of the addresses that were given, and who sends to it. As long as its name has one address that is one sender, which
// goes where the name leads; of several addresses each has its own.
type server struct {
	fanout    *Fanout
	name, url string
	host      string // what is looked up; empty: nothing is
	log       *slog.Logger

	mu      sync.Mutex
	senders map[string]*sender // by address; "" is where the name leads
	found   []string           // the newest addresses
	unknown error              // why the name cannot be looked up now
}

// health says what is wrong with any of the server's addresses. That its name is not known now hurts nobody while all of them are well.
func (s *server) health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, address := range slices.Sorted(maps.Keys(s.senders)) {
		errs = append(errs, s.senders[address].health())
	}
	err := errors.Join(errs...)
	if err != nil && s.unknown != nil {
		return fmt.Errorf("%w; and its name cannot be looked up: %w", err, s.unknown)
	}
	return err
}

// each calls f with the senders in the order of their addresses.
func (s *server) each(f func(*sender)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, address := range slices.Sorted(maps.Keys(s.senders)) {
		f(s.senders[address])
	}
}

// run sends, and looks the name up again and again. That has no part in the senders' way: a name server that hangs delays none.
func (s *server) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	s.each(func(x *sender) { x.start(ctx, &wg) })
	if s.host == "" {
		return
	}
	t := time.NewTicker(lookUpEvery)
	defer t.Stop()
	s.fanout.lost.WithLabelValues(s.name)
	for {
		addresses, err := s.lookUp(ctx)
		if ctx.Err() != nil {
			return
		}
		s.settle(ctx, &wg, addresses, err)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// lookUp returns the addresses. A server mostly has its IPv6 address beside an IPv4 one: those are not two.
func (s *server) lookUp(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookUpEvery)
	defer cancel()
	found, err := s.fanout.opts.Resolver.LookupHost(ctx, s.host)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, errors.New("it has no address")
	}
	if v4 := slices.DeleteFunc(slices.Clone(found), func(a string) bool { return strings.Contains(a, ":") }); len(v4) > 0 {
		found = v4
	}
	return slices.Compact(slices.Sorted(slices.Values(found))), nil
}

// settle takes a look-up's answer.
func (s *server) settle(ctx context.Context, wg *sync.WaitGroup, found []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.unknown
	if s.unknown = err; err == nil {
		if s.found = found; len(found) == 1 {
			found = []string{""}
		}
		s.set(ctx, wg, found)
		return
	}
	s.fanout.lost.WithLabelValues(s.name).Inc()
	if was == nil {
		s.log.Warn("cannot look the server's name up; its addresses stay as they were", "err", err)
	}
	if x := s.senders[""]; len(s.found) == 1 && x != nil && x.failing.Load() != nil { // it would look the name up to connect again
		s.set(ctx, wg, s.found)
	}
}

// set starts and ends senders, so that each address that is wanted has one. It needs the lock.
func (s *server) set(ctx context.Context, wg *sync.WaitGroup, want []string) {
	if slices.Equal(slices.Sorted(maps.Keys(s.senders)), want) {
		return
	}
	for address, x := range s.senders {
		if !slices.Contains(want, address) {
			delete(s.senders, address)
			x.cancel()
		}
	}
	for _, address := range want {
		if s.senders[address] == nil {
			s.senders[address] = s.sender(address)
			s.senders[address].start(ctx, wg)
		}
	}
	s.log.Info("the server's name leads elsewhere", "addresses", strings.Join(s.found, " "))
}
