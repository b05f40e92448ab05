package ingest

import (
	"net/http"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/serve"
)

// screen leaves out the batches of nodes that the sender does not speak for, and says why not of the last.
func (r *Receiver) screen(c *converted, who *speaker, now time.Time) (refused error) {
	kept := c.batches[:0]
	for i, b := range c.batches {
		var err error
		if i >= r.most.nodes {
			err = serve.Errorf(http.StatusRequestEntityTooLarge, "the request has samples of more than %d nodes", r.most.nodes)
		} else {
			err = r.senders.admit(b.Node, who, now)
		}
		if err == nil {
			kept = append(kept, b)
			continue
		}
		refused = err
		n := samplesOf(b)
		c.written -= n
		c.tally[rejectNode] += n
	}
	if len(c.batches) == 0 && c.node != "" { // nothing of what it says can be used, which a person has to know of
		refused = r.senders.admit(c.node, who, now)
	}
	clear(c.batches[len(kept):])
	c.batches = kept
	return refused
}

// samplesOf counts what a batch holds as convert does: its samples, and the series that ended.
func samplesOf(b *metric.Batch) int {
	n := len(b.Gaps)
	for i := range b.Groups {
		n += len(b.Groups[i].Points)
	}
	return n
}
