// Package memory keeps a process small that is asked for much at once. Go's collector lets the heap grow to twice of what was in use at its
// last turn, and a few large answers under way double that too; with a soft limit it comes round sooner while there is little else to keep.
package memory

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"
)

const (
	// least is the limit of a process that needs little itself.
	least = 384 << 20
	// room is how many times what it needs a process may have: more than the collector takes by itself, so that one which needs much is not slower.
	room = 2.5
	// tight is the same where there is no more in the budget: less, and collecting takes most of the time.
	tight = 1.25
	// calm is how long something has to be kept to be taken for needed, and not for an answer under way.
	calm = 30
)

const live = "/gc/heap/live:bytes"

// Run sets the limit once a second, until ctx ends, so that the process stays within its budget as long as it can. Where somebody has set a limit, with GOMEMLIMIT, it is
// theirs.
func (b Budget) Run(ctx context.Context) error {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		<-ctx.Done()
		return nil
	}
	defer debug.SetMemoryLimit(math.MaxInt64)
	k := keeper{budget: b}
	sample := []metrics.Sample{{Name: live}}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		metrics.Read(sample)
		debug.SetMemoryLimit(k.limit(sample[0].Value.Uint64()))
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// keeper has what was in use in the last seconds.
type keeper struct {
	budget Budget
	used   [calm]uint64
	n      int
}

// limit adds a second and returns the limit for the next.
func (k *keeper) limit(used uint64) int64 {
	k.used[k.n%calm] = used
	k.n++
	needs := slices.Min(k.used[:min(k.n, calm)])
	most := int64(room * float64(needs))
	if k.budget > 0 { // near its budget a process collects more often, until it would do little else
		most = min(most, max(int64(k.budget/4*3), int64(tight*float64(needs))))
	}
	return max(least, most)
}
