package queue

import (
	"hash/fnv"
	"os"
	"time"
)

// maxAsleep is how much the age of the records grows at most over a reboot, where only the wall clock tells how long
// the machine was off.
const maxAsleep = 24 * time.Hour

// instant is one moment by all clocks, as the cursor keeps it.
type instant struct {
	queue  int64 // the queue's clock, ms
	wall   int64 // Unix ms
	uptime time.Duration
	boot   uint64 // which run of the machine the uptime is of
}

// ageClock is the queue's clock, in milliseconds. It begins as the wall clock and runs with the uptime, so that steps of the
// wall clock do nothing to the age of a record. It never runs back.
type ageClock struct {
	start  int64
	from   time.Duration
	uptime func() time.Duration
}

func (c *ageClock) now() int64 { return c.start + max(c.uptime()-c.from, 0).Milliseconds() }

// wake starts the clock again from the last known moment, and not before the newest record.
func wake(o *Options, last instant, newest int64) *ageClock {
	now, wall := o.uptime(), o.now().UnixMilli()
	start := wall // nothing is known: begin
	switch {
	case last.queue != 0 && last.boot == o.boot() && last.boot != 0:
		start = last.queue + max(now-last.uptime, 0).Milliseconds()
	case last.queue != 0:
		start = last.queue + min(max(wall-last.wall, 0), maxAsleep.Milliseconds())
	case newest != 0:
		start = newest + min(max(wall-newest, 0), maxAsleep.Milliseconds())
	}
	return &ageClock{start: max(start, newest, 1), from: now, uptime: o.uptime}
}

// instant is the present moment.
func (q *Queue) instant() instant {
	return instant{queue: q.clock.now(), wall: q.opts.now().UnixMilli(), uptime: q.opts.uptime(), boot: q.opts.boot()}
}

// bootID names this run of the machine; zero if it cannot be told.
func bootID() uint64 {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write(b)
	return h.Sum64()
}

// marks remember when which number was appended, for as long as records are fresh.
type marks struct {
	at  []time.Duration
	seq []uint64
}

func (m *marks) note(now time.Duration, seq uint64, freshFor time.Duration) {
	if n := len(m.at); n == 0 || now-m.at[n-1] >= freshFor/16 {
		m.at, m.seq = append(m.at, now), append(m.seq, seq)
	}
	m.drop(now, freshFor)
}

func (m *marks) drop(now, freshFor time.Duration) {
	for len(m.at) > 0 && now-m.at[0] > freshFor {
		m.at, m.seq = m.at[1:], m.seq[1:]
	}
}

// floor is the lowest number that is fresh; next if none is.
func (m *marks) floor(now, freshFor time.Duration, next uint64) uint64 {
	m.drop(now, freshFor)
	if len(m.seq) == 0 {
		return next
	}
	return m.seq[0]
}
