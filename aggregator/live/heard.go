package live

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/internal/identity"
)

// Heard says why the picture shows nothing of the present, as a clause for people; nil where it does.
func (p *Picture) Heard(now time.Time) error {
	s := p.Snapshot(now)
	fresh := func(it *Item) bool { return it.Any() && !it.Silent() && !it.Ended }
	var last time.Time
	for _, list := range [][]*Item{s.Nodes, s.Containers, s.Pods} {
		if slices.ContainsFunc(list, fresh) {
			return nil
		}
		for _, it := range list {
			if it.Gap != nil && it.Gap.Since.After(last) {
				last = it.Gap.Since
			}
		}
	}
	if last.IsZero() {
		return errors.New("no machine has sent a sample yet")
	}
	return fmt.Errorf("nothing has been heard of any machine since %s", last.UTC().Format(time.RFC3339))
}

// Collected returns when a collector was last heard of on a node; zero if never, or so long ago that the node is forgotten.
func (p *Picture) Collected(node string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u := p.tree.byKey[identity.NodeKey(node)]; u != nil {
		return millis(u.collected)
	}
	return time.Time{}
}
