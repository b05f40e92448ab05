package ingest

import (
	"fmt"
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

// place leaves out what a node says of pods that are on another one: quietly of those that were on it until lately, as it need not know that they are another's. Of the live lane it leaves out pods that nobody knows, too: what is scaled rests on it.
// The history's may be of the past: a pod of the name may have been on the node before.
func (r *Receiver) place(c *converted, live bool, now time.Time) {
	if r.opts.Pods == nil {
		return
	}
	stray := func(b *metric.Batch, e *metric.Entity, at int64) (reason, bool) {
		if e.Level > metric.Pod || e.Pod == "" {
			return 0, false
		}
		switch node, since, known, inside := r.opts.Pods.Place(e.Namespace, e.Pod); {
		case known && node != "" && node != b.Node:
			why := rejectPod
			if r.opts.Pods.Left(e.Namespace, e.Pod, b.Node) { // it is still being ended there
				why = skipFormer
			}
			return why, live || !since.IsZero() && at > since.UnixMilli()
		case known && node == "", !known && inside: // the node may know it a moment sooner
			return skipPod, live
		}
		return 0, false
	}
	for _, b := range c.batches {
		var other *metric.Entity
		groups, gaps := b.Groups[:0], b.Gaps[:0]
		leave := func(e *metric.Entity, why reason, n int) {
			c.written -= n
			c.tally[why] += n
			if why == rejectPod {
				other = e
			}
		}
		for _, g := range b.Groups {
			at := now.UnixMilli()
			if len(g.Points) > 0 {
				at = g.Points[0].T
			}
			if why, out := stray(b, g.Entity, at); out {
				leave(g.Entity, why, len(g.Points))
				continue
			}
			groups = append(groups, g)
		}
		for _, g := range b.Gaps {
			if why, out := stray(b, g.Entity, now.UnixMilli()); out && why != skipFormer { // that it has ended there is true
				leave(g.Entity, why, 1)
				continue
			}
			gaps = append(gaps, g)
		}
		clear(b.Groups[len(groups):])
		clear(b.Gaps[len(gaps):])
		b.Groups, b.Gaps = groups, gaps
		if other != nil {
			r.senders.elsewhere(b.Node, fmt.Sprintf("the collector of node %q sends of pod \"%s/%s\", which is on another node: none of that is taken", b.Node, other.Namespace, other.Pod), now)
		}
	}
}
