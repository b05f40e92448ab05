package api

import (
	"maps"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

const (
	killMemory = 15 * time.Minute // how long an OOM kill hurts
	maxKills   = 16384            // containers remembered at most
)

type killState struct {
	count float64
	rose  time.Time // when the count was last seen to rise; zero: not while we watched
	seen  time.Time
}

// kills remembers when each container's count of OOM kills last rose, across its restarts. It has one owner, which locks.
type kills struct {
	began time.Time // of the first snapshot
	by    map[identity.Key]killState
}

func newKills() *kills { return &kills{by: map[identity.Key]killState{}} }

// feed takes the counts of a snapshot, and forgets containers that have been gone for long.
func (k *kills) feed(s *live.Snapshot) {
	if k.began.IsZero() {
		k.began = s.Time
	}
	for _, it := range s.Containers {
		v, ok := it.Get(metric.OOMKills)
		if !ok {
			continue
		}
		key := identity.KeyOf(it.Entity)
		st, known := k.by[key]
		if !known && len(k.by) >= maxKills {
			continue
		}
		// After a reset, and in a container that began while we watched, the count began at zero: whatever
		// it shows then is new.
		if known && v.V != st.count && v.V > 0 || !known && v.V > 0 && it.Start.After(k.began) {
			st.rose = v.T
		}
		k.by[key] = killState{count: v.V, rose: st.rose, seen: s.Time}
	}
	maps.DeleteFunc(k.by, func(_ identity.Key, st killState) bool { return s.Time.Sub(st.seen) > killMemory })
}

// age returns how long ago a container was last seen to be killed; ok is false if not lately.
func (k *kills) age(e *metric.Entity, now time.Time) (time.Duration, bool) {
	st, known := k.by[identity.KeyOf(e)]
	if !known || st.rose.IsZero() {
		return 0, false
	}
	d := max(now.Sub(st.rose), 0)
	return d, d < killMemory
}
