package ingest

import (
	"maps"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
)

// held is what a sender has of the table.
type held struct {
	series, entities int
	labels           int64
}

// shareOf is how many times what is free a sender may have: nearly all of the table if it is alone, and never all.
const shareOf = 8

// space says whether there is room for another series of the request's sender.
func (t *table) space() bool {
	h := t.by[t.sender]
	if h == nil {
		h = &held{}
	}
	return h.series < shareOf*(t.most.series-len(t.series)) && h.labels < shareOf*(t.most.labels-t.labels)
}

// seat says whether there is room for another entity of a sender that has these already.
func (t *table) seat(h *held) bool { return h.entities < shareOf*(t.most.entities-len(t.entities)) }

// holds returns what the request's sender has.
func (t *table) holds() *held {
	h := t.by[t.sender]
	if h == nil {
		h = &held{}
		t.by[strings.Clone(t.sender)] = h
	}
	return h
}

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
			k.by.series--
			k.by.labels -= int64(len(key))
		}
	}
	maps.DeleteFunc(t.entities, func(_ metric.Entity, n *named) bool {
		if now-n.used <= age {
			return false
		}
		n.by.entities--
		return true
	})
	maps.DeleteFunc(t.by, func(_ string, h *held) bool { return h.series == 0 && h.entities == 0 })
	return t.space()
}
