package names

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// life is what a runtime tells of a container's restarts.
type life struct {
	counted  bool // the runtime was asked
	restarts int  // how often it has started the container again by itself
	resting  bool // it does not run, and the runtime will start it again
	runs     bool
	stood    time.Time // when its cgroup was last there
	rested   time.Time // when it was last told to rest
	kills    []cluster.Kill
	last     *metric.Entity
	open     bool      // the runtime has not said what becomes of it, and is asked again
	asks     int       // how often it is, since there was something to ask
	due      time.Time // when next
}

// between is how long after its rest, or after its cgroup was there, a container is in sight without one: it may have ended again, and its runtime has not said yet
// whether it will start it.
const between = 5 * time.Second

// maxLooks is of how many containers a runtime is asked one by one when its list is read.
const maxLooks = 2000

// inspected is what is read of the answer to /containers/ID/json.
type inspected struct {
	RestartCount int `json:"RestartCount"`
	State        struct {
		Restarting bool      `json:"Restarting"`
		Running    bool      `json:"Running"`
		OOMKilled  bool      `json:"OOMKilled"` // of the life that has ended; the next begins without it
		ExitCode   int       `json:"ExitCode"`
		FinishedAt time.Time `json:"FinishedAt"`
	} `json:"State"`
}

// decodeLife reads the answer to /containers/ID/json.
func decodeLife(r io.Reader) (l life, err error) {
	var c inspected
	if err := json.NewDecoder(io.LimitReader(r, maxEvent)).Decode(&c); err != nil {
		return l, err
	}
	if c.RestartCount < 0 || c.RestartCount > 1<<31 {
		return l, fmt.Errorf("it was restarted %d times", c.RestartCount)
	}
	l = life{counted: true, restarts: c.RestartCount, resting: c.State.Restarting, runs: c.State.Running}
	if c.State.OOMKilled && c.State.ExitCode == 137 && !c.State.FinishedAt.IsZero() { // else another process of it was
		l.kills = []cluster.Kill{{At: c.State.FinishedAt}}
	}
	return l, nil
}

// life asks how often a container was restarted, and whether it will be again.
func (s *socket) life(ctx context.Context, id string) (life, error) {
	ctx, cancel := context.WithTimeout(ctx, answerDeadline)
	defer cancel()
	resp, err := s.get(ctx, "/containers/"+id+"/json", nil)
	if err != nil {
		return life{}, err
	}
	defer resp.Body.Close()
	return decodeLife(resp.Body)
}

// lookAll asks for the lives of all containers of a list that run or are about to.
func (n *Names) lookAll(ctx context.Context, s *socket, all map[string]info) {
	left := maxLooks
	for id, in := range all {
		if in.lives && left > 0 && ctx.Err() == nil {
			left--
			n.look(ctx, s, id)
		}
	}
}

// Read implements collector.Extra: it gives the restarts that runtimes count. By them a container that crashes again and again stays in sight
// between its lives, when it has no cgroup.
func (n *Names) Read(now time.Time) ([]metric.Group, []metric.Gap) {
	return n.lives(now, func(l *life) bool { return true }), nil
}

// Killed implements collector.Killer.
func (n *Names) Killed() iter.Seq2[*metric.Entity, cluster.Kill] {
	n.mu.Lock()
	defer n.mu.Unlock()
	ends := map[*metric.Entity][]cluster.Kill{}
	for _, all := range n.infos {
		for _, k := range all {
			if k.last != nil && len(k.kills) > 0 {
				ends[k.last] = k.kills
			}
		}
	}
	return cluster.EachKill(ends)
}

// Crashing is an Extra of the fast lane: it gives the restarts of those that were started again at some time, or will be, or may be for all that is known, so that none is
// out of sight, or said to have ended, until the slow lane comes.
type Crashing struct{ Names *Names }

// Read implements collector.Extra.
func (c Crashing) Read(now time.Time) ([]metric.Group, []metric.Gap) {
	return c.Names.lives(now, func(l *life) bool { return l.restarts > 0 || l.resting || l.open }), nil
}

// lives gives the restarts of those containers that are asked for and in sight.
func (n *Names) lives(now time.Time, asked func(*life) bool) (out []metric.Group) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for owner, all := range n.infos {
		for id, k := range all {
			if !k.counted || !asked(&k.life) {
				continue
			}
			for _, e := range n.byID[id] {
				if ent := e.entity.Load(); ent != nil && (e.place.owner == owner || owner == "" && n.told(e.place) == k) {
					k.last = ent
				}
			}
			if k.last == nil && k.resting {
				k.last = n.guess(k, id)
			}
			if k.last != nil && n.inSight(k, now) {
				out = append(out, metric.Group{Entity: k.last, Points: []metric.Point{{ID: metric.Restarts, T: now.UnixMilli(), V: float64(k.restarts)}}})
			}
		}
	}
	return out
}

// inSight says whether a container is there, will be, or may be for all that is known. The caller holds mu.
func (n *Names) inSight(k *known, now time.Time) bool {
	if n.stands(k.last) {
		if k.runs || k.resting {
			k.stood = now
		}
		return true
	}
	if k.runs && !k.resting && !k.open && k.asks == 0 { // its runtime does not know yet, or its word has not come
		k.askAgain(now)
	}
	return k.resting || k.open || now.Sub(k.rested) < between || now.Sub(k.stood) < between
}

// stands says whether the cgroup of an entity is still asked for. The caller holds mu.
func (n *Names) stands(e *metric.Entity) bool {
	v, ok := n.paths.Load(e.ID)
	return ok && n.exists(e.ID) && v.(*entry).entity.Load() == e
}

// guess names a container that has not had a cgroup since this process looks. The caller holds mu.
func (n *Names) guess(k *known, id string) *metric.Entity {
	pl := place{kind: docker, runtime: k.from.runtime(), id: id, owner: k.from.owner}
	if pl.runtime == "podman" {
		pl.kind = podman
	}
	return entity(n.opt.Node, "/docker/"+id, pl, k.info)
}
