package fanout

import (
	"context"
	"errors"
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
	failing := false
	for {
		addresses, err := s.lookUp(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			s.set(ctx, &wg, addresses)
		case !failing:
			s.log.Warn("cannot look the server's name up; its addresses stay as they were", "err", err)
		}
		failing = err != nil
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

// set starts and ends senders, so that each of several addresses has one.
func (s *server) set(ctx context.Context, wg *sync.WaitGroup, found []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	want := found
	if len(found) == 1 {
		want = []string{""}
	}
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
	s.log.Info("the server's name leads elsewhere", "addresses", strings.Join(found, " "))
}
