package names

import (
	"context"
	"errors"
	"os"
	"slices"
	"syscall"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// A runtime that is asked what becomes of a container whose life has ended may be slow, or not know yet that it has. Then it is asked again until it has answered, and the container stays
// in sight meanwhile: otherwise one that crashes would be gone for all of its rest, of which there is no other word.

const (
	askEvery     = time.Second // for how long a socket is let alone after it was asked again
	longestPause = 30 * time.Second
	mostAsks     = 10 // how often it is asked again of one container; that takes three minutes
	asksAtOnce   = 20 // of how many containers it is asked again at once
)

// look asks for the life of one container of which there is news.
func (n *Names) look(ctx context.Context, s *socket, id string) {
	n.mu.Lock()
	if k := n.infos[s.owner][id]; k != nil {
		k.asks = 0
	}
	n.mu.Unlock()
	if err := n.ask(ctx, s, id); err != nil {
		n.log.Debug("a container runtime does not tell how often it restarted a container", "socket", s.path, "id", id, "err", err)
	}
}

// ask takes in the life of one container; what a runtime does not tell stays as it was known.
func (n *Names) ask(ctx context.Context, s *socket, id string) error {
	s.asking <- struct{}{} // so that the newest answer counts
	defer func() { <-s.asking }()
	l, err := s.life(ctx, id)
	n.mu.Lock()
	defer n.mu.Unlock()
	k, now := n.infos[s.owner][id], time.Now()
	switch {
	case k == nil:
		return err
	case errors.Is(err, errNotFound):
		l = life{counted: k.counted, restarts: k.restarts}
	case errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, os.ErrNotExist): // there is no runtime; one that comes is asked for all
		k.open, k.asks = false, mostAsks
		return err
	case err != nil:
		k.askAgain(now)
		return err
	}
	l.last, l.stood = k.last, k.stood
	l.kills = cluster.With(k.kills, l.kills)
	switch {
	case l.resting:
		l.rested = now
	case l.runs:
		l.rested = k.rested
	default: // it has ended
		l.stood = time.Time{}
	}
	l.asks = k.asks
	k.life = l
	if l.runs && !l.resting && l.last != nil && !n.here(s, id) {
		k.askAgain(now)
	} else {
		k.asks = 0
	}
	return nil
}

// here says whether a container that a socket has told of has a cgroup. The caller holds mu.
func (n *Names) here(s *socket, id string) bool {
	return slices.ContainsFunc(n.byID[id], func(e *entry) bool {
		return e.entity.Load() != nil && (s.owner == "" || e.place.owner == s.owner) && n.exists(e.path)
	})
}

// askAgain has a runtime asked again, each time after a longer pause, and at last no more. The caller holds mu.
func (k *known) askAgain(now time.Time) {
	if k.open = k.asks < mostAsks; !k.open {
		return
	}
	k.due = now.Add(min(askEvery<<k.asks, longestPause))
	k.asks++
	select {
	case k.from.wake <- struct{}{}:
	default: // it is awake
	}
}

// again asks a socket again while there is something to ask, until ctx ends.
func (n *Names) again(ctx context.Context, s *socket) {
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
		for open := true; open; {
			select {
			case <-time.After(askEvery):
			case <-ctx.Done():
				return
			}
			var due []string
			due, open = n.due(s, time.Now())
			for _, id := range due {
				if n.ask(ctx, s, id) != nil {
					break // it hangs, or is not there
				}
			}
		}
	}
}

// due are the containers of which a socket is to be asked again now, and whether there are any of which it is at some time.
func (n *Names) due(s *socket, now time.Time) (ids []string, open bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.infos[s.owner]
	for id, k := range all {
		if k.from != s || !k.open {
			continue
		}
		open = true
		if !k.due.After(now) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return all[a].due.Compare(all[b].due) })
	return ids[:min(len(ids), asksAtOnce)], open
}
