package ingest

import (
	"strings"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// converted is what one request holds.
type converted struct {
	batches []*metric.Batch
	written int // samples in the batches, and stale markers
	unseen  int // of them those that the live picture has no room for
	tally   tally
	over    map[string]int // samples for whose series there is no room, by node
	why     string         // who has the room
	lag     float64        // seconds between the newest sample and now; NaN without one
	node    string         // of the first series that is known
	newest  int64          // the time of the newest sample, of those that are from the future too
}

// limit counts samples for whose series there is no room with their node, of so many nodes at most.
func (c *converted) limit(s *series, most int) {
	node := s.value("node")
	if node == "" {
		node, _, _ = strings.Cut(s.value("instance"), ":")
	}
	node = identity.Clean(node)
	if c.node == "" {
		c.node = node // who is told
	}
	if _, ok := c.over[node]; !ok && len(c.over) >= most {
		return
	}
	if c.over == nil {
		c.over = map[string]int{}
	}
	c.over[node] += len(s.samples)
}
