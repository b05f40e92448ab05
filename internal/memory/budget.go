package memory

import (
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// Budget is how many bytes of memory a process is to stay within, of all kinds; 0: nobody said. What others send is bounded by it, as a name
// that is made up costs as much as one of a machine.
type Budget int64

// Least is the smallest budget: half is what a process needs that watches its own machine.
const Least Budget = 256 << 20

// What others' state may cost, with the room that the collector of Go needs for it. Measured with a sender that made up names for two minutes.
const (
	ofEntity = 32 << 10 // an entity at the door, in the live picture and in what is served of it
	ofSeries = 4 << 10  // a series' labels at the door, its samples in the picture
	ofKept   = 8 << 10  // a series in the head of the embedded store
)

// Of returns the budget that was asked for, else that of GOMEMLIMIT, else another.
func Of(asked int64, otherwise Budget) Budget {
	if asked > 0 {
		return Budget(asked)
	}
	if soft := debug.SetMemoryLimit(-1); soft != math.MaxInt64 {
		return max(Budget(soft), Least)
	}
	return otherwise
}

// Machine returns four fifths of what this process may have: of its cgroup's limit, else of the machine's memory; 0 where neither can be read.
func Machine() Budget {
	most, err := memlimit.FromSystem()
	if err != nil {
		most = math.MaxUint64
	}
	if limit, err := memlimit.FromCgroup(); err == nil { // where there is none it may be very large
		most = min(most, limit)
	}
	if most == math.MaxUint64 {
		return 0
	}
	return max(Budget(most/5*4), Least)
}

// theirs is what is left for others' state.
func (b Budget) theirs() int { return int(b - Least/2) }

// Entities returns how many entities of others may be known, 0 for a budget of 0.
func (b Budget) Entities() int { return b.bounded(ofEntity) }

// Series returns how many series of others may be known at the door, 0 for a budget of 0.
func (b Budget) Series() int { return b.bounded(ofSeries) }

// Kept returns how many series of others the embedded store may keep in memory, 0 for a budget of 0.
func (b Budget) Kept() int { return b.bounded(ofKept) }

func (b Budget) bounded(cost int) int {
	if b == 0 {
		return 0
	}
	return b.theirs() / cost
}
