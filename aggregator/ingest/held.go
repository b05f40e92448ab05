package ingest

import (
	"fmt"
	"maps"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
)

// held is what a sender has of the table, or all addresses of one login together.
type held struct {
	series, entities int
	labels           int64
	of               *held // the login's; nil where this is that
}

// A sender may have as much as is free: half of the table if it is alone, and half of what the others leave. All addresses of one login together may have three
// times as much: three quarters. So whoever comes next finds room, whatever those before have made up.
const senderShare, loginShare = 1, 3

// share is how many times what is free it may have.
func (h *held) share() int {
	if h.of == nil {
		return loginShare
	}
	return senderShare
}

// add counts what is had more.
func (h *held) add(series, entities int, labels int64) {
	for ; h != nil; h = h.of {
		h.series += series
		h.entities += entities
		h.labels += labels
	}
}

// space says whether there is room for another series of the request's sender.
func (t *table) space() bool {
	for h := t.holds(); h != nil; h = h.of {
		if h.series >= h.share()*(t.most.series-len(t.series)) || h.labels >= int64(h.share())*(t.most.labels-t.labels) {
			return false
		}
	}
	return true
}

// seat says whether there is room for another entity of a sender that has these already.
func (t *table) seat(h *held) bool {
	for ; h != nil; h = h.of {
		if h.entities >= h.share()*(t.most.entities-len(t.entities)) {
			return false
		}
	}
	return true
}

// holds returns what the request's sender has.
func (t *table) holds() *held {
	if t.holder == nil {
		t.holder = t.heldBy(bySender+t.from.name, t.heldBy(byLogin+t.from.login, nil))
	}
	return t.holder
}

func (t *table) heldBy(key string, of *held) *held {
	h := t.by[key]
	if h == nil {
		h = &held{of: of}
		t.by[key] = h
	}
	return h
}

// full says who has the most places, all addresses of one login together, as a sentence.
func (t *table) full() string {
	first, name := &held{}, ""
	addresses := map[*held]int{}
	for key, h := range t.by {
		if h.of != nil {
			addresses[h.of]++
			continue
		}
		if n, most := t.part(h), t.part(first); n > most || n == most && (name == "" || key < name) {
			first, name = h, key
		}
	}
	who := fmt.Sprintf("%q", strings.TrimPrefix(strings.TrimPrefix(name, byLogin), noLogin))
	if n := addresses[first]; n > 1 {
		who = fmt.Sprintf("%s, from %d addresses,", who, n)
	}
	return fmt.Sprintf("too many series are being sent; %s has the most places, %d of %d for series and %d of %d for containers, pods and machines: look for labels that change all the time there, or give more with --memory",
		who, first.series, t.most.series, first.entities, t.most.entities)
}

// part is how much of the table it has, of what it has the most of.
func (t *table) part(h *held) float64 {
	return max(float64(h.series)/float64(t.most.series), float64(h.entities)/float64(t.most.entities), float64(h.labels)/float64(t.most.labels))
}

// bySender and byLogin are before the names in by, and noLogin before an address in the place of a login.
const bySender, byLogin, noLogin = "sender ", "login ", "at "

// sweep forgets what has not been sent for age milliseconds; it says whether that made room for another series.
func (t *table) sweep(now, age int64) bool {
	if now-t.swept < 10_000 && now >= t.swept {
		return t.space()
	}
	t.swept = now
	for key, k := range t.series {
		if now-k.used > age {
			delete(t.series, key)
			t.labels -= int64(len(key))
			k.by.add(-1, 0, -int64(len(key)))
		}
	}
	maps.DeleteFunc(t.entities, func(_ metric.Entity, n *named) bool {
		if now-n.used <= age {
			return false
		}
		n.by.add(0, -1, 0)
		return true
	})
	maps.DeleteFunc(t.by, func(_ string, h *held) bool { return h.series == 0 && h.entities == 0 })
	t.holder = nil // it may have been forgotten
	return t.space()
}
