package process

import (
	"maps"
	"slices"
)

// service is a service with its replicas.
type service struct {
	spec     Service
	desired  int32
	gone     bool // removed; forgotten when its last replica is
	replicas map[int]*replica
}

// ordered returns all replicas by number.
func (svc *service) ordered() []*replica {
	return slices.SortedFunc(maps.Values(svc.replicas), func(a, b *replica) int { return a.ordinal - b.ordinal })
}

// active returns the replicas that are not on their way out, by number.
func (svc *service) active() []*replica {
	return slices.DeleteFunc(svc.ordered(), func(r *replica) bool { return r.stopped })
}

// roll renews replicas whose service has changed since they were started, one at a time: the next one when all
// that were renewed are ready. One that is not ready has nothing to lose and is renewed at once.
func (svc *service) roll() {
	active := svc.active()
	busy := slices.ContainsFunc(active, func(r *replica) bool {
		return r.renewed || r.want.same(&svc.spec) && !r.now.Ready
	})
	for _, r := range active {
		if r.want.same(&svc.spec) {
			r.want = svc.spec // drain and readiness may have changed: they count from the next start on
			continue
		}
		if busy && r.now.Ready {
			continue
		}
		busy = true
		r.want, r.renewed = svc.spec, true
		select {
		case r.renew <- struct{}{}:
		default: // told already, and not begun: it will begin with this
		}
	}
}
