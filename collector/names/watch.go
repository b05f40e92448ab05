package names

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"sync"
	"time"
)

// Pauses of Run.
const (
	minBackoff  = 500 * time.Millisecond
	maxBackoff  = 30 * time.Second
	sweepEvery  = time.Minute
	relistEvery = 5 * time.Minute // in case an event was lost
)

// Run follows the sockets and forgets cgroups that are gone, until ctx ends. Its error is nil then.
// Everything that Run does is off the readers' way: a socket that hangs delays no Name.
func (n *Names) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, s := range n.sockets {
		wg.Go(func() { n.follow(ctx, s) })
		wg.Go(func() { n.again(ctx, s) })
	}
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			n.sweep()
		case <-ctx.Done():
			wg.Wait()
			return nil
		}
	}
}

// follow keeps one socket's list and stream, reconnecting with growing pauses.
func (n *Names) follow(ctx context.Context, s *socket) {
	wait := minBackoff
	for ctx.Err() == nil {
		begun := time.Now()
		err := n.session(ctx, s)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errRelist) {
			wait = minBackoff
			continue
		}
		n.note(s, err, 0)
		if time.Since(begun) > maxBackoff {
			wait = minBackoff
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, maxBackoff)
	}
}

// errRelist says that a session ended because it is time for a new list.
var errRelist = errors.New("time to list again")

// session opens the stream of events, then asks for the list, so that nothing that happens between the two
// is missed, then follows the stream.
func (n *Names) session(ctx context.Context, s *socket) error {
	sctx, cancel := context.WithTimeoutCause(ctx, relistEvery, errRelist)
	defer cancel()
	resp, err := s.get(sctx, "/events", url.Values{"filters": {`{"type":["container"]}`}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	all, err := s.list(sctx)
	if err != nil {
		return err
	}
	n.replace(s, all)
	n.note(s, nil, len(all))
	n.lookAll(sctx, s, all)
	bad, err := decodeEvents(resp.Body, func(c change) {
		n.apply(s, c)
		if c.turn {
			n.look(sctx, s, c.id)
		}
	})
	if bad > 0 {
		n.log.Warn("a container runtime sent lines that are no events", "socket", s.path, "lines", bad)
	}
	if errors.Is(context.Cause(sctx), errRelist) {
		return errRelist
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("cannot follow the events of %q: %w", s.path, err)
}

// note keeps how a socket is doing and logs when that changes.
func (n *Names) note(s *socket, err error, containers int) {
	now, changed := s.outcome(err, containers)
	switch {
	case !changed:
	case now.Reachable:
		n.log.Info("container names come from a runtime's socket", "socket", s.path, "containers", containers)
	case !now.Exists:
		n.log.Info("a container runtime's socket is gone", "socket", s.path)
	case now.Crowded:
		n.log.Warn("cannot ask a container runtime: this process may open no more files", "socket", s.path, "err", err, "fix", now.Fix)
	case errors.Is(err, os.ErrPermission):
		n.log.Warn("cannot open a container runtime's socket: containers keep their ids for names", "socket", s.path, "fix", now.Fix)
	default:
		n.log.Warn("a container runtime's socket does not answer", "socket", s.path, "err", err, "fix", now.Fix)
	}
}

// replace makes a list the whole truth of one socket.
func (n *Names) replace(s *socket, all map[string]info) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, k := range n.infos[s.owner] {
		if _, still := all[id]; k.from == s && !still {
			delete(n.infos[s.owner], id)
		}
	}
	for id, in := range all {
		n.learn(s, id, in)
	}
}

// apply takes in what an event said.
func (n *Names) apply(s *socket, c change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.removed {
		if k, ok := n.infos[s.owner][c.id]; ok && k.from == s {
			// The cgroup, if it still stands for a moment, keeps its name; the entry goes when no one asks for it any more.
			delete(n.infos[s.owner], c.id)
		}
		return
	}
	if len(n.infos[s.owner]) < maxContainers {
		n.learn(s, c.id, c.info)
	}
}

// learn notes what a runtime told and renames the container's cgroups. The caller holds mu.
func (n *Names) learn(s *socket, id string, in info) {
	if k, ok := n.infos[s.owner][id]; ok && k.info == in {
		return
	}
	if n.infos[s.owner] == nil {
		n.infos[s.owner] = map[string]*known{}
	}
	k := &known{info: in, from: s}
	if was := n.infos[s.owner][id]; was != nil {
		k.life = was.life
	}
	n.infos[s.owner][id] = k
	n.renameAll(id)
}
