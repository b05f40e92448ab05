package tsdb

import (
	"slices"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/internal/store"
)

// Reasons of a condition, as Health gives them.
const (
	// ReasonDiskFull: no data is taken because the disk has less room than is kept free.
	ReasonDiskFull = "DiskFull"
	// ReasonWriteFailed: a write failed; the engine is reopened once a probe write succeeds.
	ReasonWriteFailed = "WriteFailed"
	// ReasonClosed: the store was closed.
	ReasonClosed = "Closed"
	// ReasonMaintenance: blocks could not be written or merged; the head grows until it succeeds.
	ReasonMaintenance = "MaintenanceFailed"
	// ReasonDamaged: a query met damaged data in a block.
	ReasonDamaged = "DamagedBlock"
	// ReasonRepaired: something damaged was cut or set aside when the store was opened. Data is taken.
	ReasonRepaired = "Repaired"
	// ReasonSeriesLimit: new series are left out because there are too many.
	ReasonSeriesLimit = "SeriesLimit"
)

// order is the order of weight; the first condition that holds is the one Health tells. Those before
// healthyFrom mean that the store does not take data.
var order = [...]string{ReasonClosed, ReasonDiskFull, ReasonWriteFailed, ReasonMaintenance, ReasonSeriesLimit, ReasonDamaged, ReasonRepaired}

const healthyFrom = 3

type condition struct {
	message string
	since   time.Time
}

// conditions are what is wrong at present, by reason.
type conditions struct {
	mu    sync.Mutex
	holds map[string]condition
}

// set makes a condition hold and says whether it did not before.
func (c *conditions) set(reason, message string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holds == nil {
		c.holds = map[string]condition{}
	}
	old, was := c.holds[reason]
	if was {
		now = old.since
	}
	c.holds[reason] = condition{message, now}
	return !was
}

// clear ends a condition.
func (c *conditions) clear(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.holds, reason)
}

func (c *conditions) get(reason string) (condition, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x, ok := c.holds[reason]
	return x, ok
}

// fill writes the weightiest condition into h.
func (c *conditions) fill(h *store.Health) {
	h.OK = true
	for i, reason := range order {
		if x, ok := c.get(reason); ok {
			h.OK, h.Reason, h.Message, h.Since = i >= healthyFrom, reason, x.message, x.since
			return
		}
	}
}

// Health returns the state of the store. OK means that it takes data; a reason may be given all the same
// (something was repaired, a block is damaged). Series counts the head's, Bytes is at most ten seconds old.
func (db *DB) Health() store.Health {
	h := store.Health{Bytes: db.bytes.Load()}
	db.cond.fill(&h)
	if !db.mu.TryRLock() {
		return h // being reopened
	}
	defer db.mu.RUnlock()
	if db.gen == nil {
		return h
	}
	head := db.gen.tsdb.Head()
	h.Series = int(head.NumSeries())
	var starts []int64
	for _, m := range db.gen.tsdb.BlockMetas() {
		starts = append(starts, m.MinTime)
	}
	if t := head.MinTime(); h.Series > 0 && t <= head.MaxTime() {
		starts = append(starts, t)
	}
	if len(starts) > 0 {
		h.Oldest = time.UnixMilli(slices.Min(starts))
	}
	return h
}
