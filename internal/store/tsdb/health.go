package tsdb

import (
	"time"

	"plimsoll.dev/plimsoll/internal/condition"
)

// Reasons of a condition, as Health gives them.
const (
	// ReasonDiskFull: no data is accepted because the disk has less room than is kept free.
	ReasonDiskFull = "DiskFull"
	// ReasonWriteFailed: a write failed; the engine is reopened once a probe write succeeds.
	ReasonWriteFailed = "WriteFailed"
	// ReasonClosed: the store was closed.
	ReasonClosed = "Closed"
	// ReasonMaintenance: blocks could not be written or merged; the head grows until it succeeds.
	ReasonMaintenance = "MaintenanceFailed"
	// ReasonDamaged: a query met damaged data in a block.
	ReasonDamaged = "DamagedBlock"
	// ReasonRepaired: something damaged was cut or set aside when the store was opened, or found lost, in the last day. Data is accepted.
	ReasonRepaired = "Repaired"
	// ReasonSeriesLimit: new series were left out in the last minute because there are too many.
	ReasonSeriesLimit = "SeriesLimit"
)

// repairedFor is how long it is told that something was repaired.
const repairedFor = 24 * time.Hour

// newConditions makes the store's conditions, in the order of weight.
func newConditions(now func() time.Time) *condition.Set {
	return &condition.Set{Type: "HistoryWritable", Now: now, Blocks: []string{ReasonClosed, ReasonDiskFull, ReasonWriteFailed},
		Tells: []string{ReasonMaintenance, ReasonSeriesLimit, ReasonDamaged, ReasonRepaired}}
}

// Health says whether the store accepts data; a reason may be given all the same (something was repaired, a block is damaged).
func (db *DB) Health() condition.Condition { return db.cond.Health() }

// Conditions are what keeps the store from taking data, or some of it; nothing where it takes all.
func (db *DB) Conditions() (out []condition.Condition) {
	if h := db.Health(); !h.OK() {
		out = append(out, h)
	}
	for _, reason := range []string{ReasonSeriesLimit, ReasonRepaired} {
		if c, ok := db.cond.Get(reason); ok {
			c.Type = "HistoryWhole"
			out = append(out, c)
		}
	}
	return out
}

// Stats is how much the store has.
type Stats struct {
	Series int   // in the head
	Bytes  int64 // in the folder, at most ten seconds ago
}

// Stats returns how much the store has; while it is reopened, what is known without it.
func (db *DB) Stats() Stats {
	s := Stats{Bytes: db.bytes.Load()}
	if !db.mu.TryRLock() {
		return s // being reopened
	}
	defer db.mu.RUnlock()
	if db.gen != nil {
		s.Series = int(db.gen.tsdb.Head().NumSeries())
	}
	return s
}
