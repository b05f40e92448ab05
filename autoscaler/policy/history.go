package policy

import (
	"math"
	"slices"
	"time"
)

// noiseRefresh is how often a History estimates the noise anew.
const noiseRefresh = 5 * time.Second

// History holds a target's total load of each of the last 300 seconds and knows its noise. It is not safe for
// concurrent use; it starts nothing and reads no clock.
type History struct {
	windows []time.Duration
	ring    [historySeconds]float64 // NaN: no value in that second
	last    int64                   // Unix second of the newest value; 0: none yet
	noise   []WindowNoise
	noiseAt time.Time
	second  WindowNoise // of the newest second
	spike   float64
	moving  [(historySeconds + 63) / 64]uint64 // by slot, the seconds in which load went from pod to pod
}

// NewHistory makes a History for windows of these lengths, shortest first (Windows).
func NewHistory(windows []time.Duration) *History {
	h := &History{windows: slices.Clone(windows)}
	h.clear()
	return h
}

func (h *History) clear() {
	for i := range h.ring {
		h.ring[i] = math.NaN()
	}
	h.last = 0
}

// Add notes the total load of the second that contains t, in the metric's unit (cores, bytes): usage of all counted pods
// over the last second. Seconds between the last Add and this one stay without a value; a second that was added before is
// replaced; what is not a number is a second without a value. A clock that goes back by more than the history starts it
// anew.
func (h *History) Add(t time.Time, x float64) {
	s := t.Unix()
	if math.IsInf(x, 0) {
		x = math.NaN()
	}
	switch {
	case h.last == 0 || s-h.last >= historySeconds || h.last-s >= historySeconds:
		h.clear()
		h.last = s
	case s > h.last:
		for i := h.last + 1; i < s; i++ {
			h.ring[slot(i)] = math.NaN()
		}
		h.last = s
	}
	h.ring[slot(s)] = x
	h.moving[slot(s)/64] &^= 1 << (slot(s) % 64)
}

// Moving notes of the second that contains t, which was added, that load went from pod to pod in it: what stands out there is that it was seen with both.
func (h *History) Moving(t time.Time) { h.moving[slot(t.Unix())/64] |= 1 << (slot(t.Unix()) % 64) }

// Noise returns the noise of each window, estimated anew at most every 5 s. The caller must not change the answer.
func (h *History) Noise(now time.Time) []WindowNoise {
	if age := now.Sub(h.noiseAt); h.noise == nil || age >= noiseRefresh || age < 0 {
		series := h.Series()
		h.noise, h.noiseAt = Noise(series, h.windows), now
		h.second, h.spike = Noise(series, []time.Duration{time.Second})[0], Spike(h.still(series))
		h.second.Known = h.second.Known && len(series) >= secondKnown
	}
	return h.noise
}

// secondKnown is how many seconds must be known for the newest to be trusted.
const secondKnown = 60

// Newest returns the noise of one second, and the Spike of the history, as old as the Noise; known is false in the first minute.
func (h *History) Newest(now time.Time) (noise, spike float64, known bool) {
	h.Noise(now)
	return h.second.StdErr, h.spike, h.second.Known
}

// still is a series without the seconds in which load went from pod to pod; it writes into it.
func (h *History) still(series []float64) []float64 {
	for i := range series {
		if k := slot(h.last - int64(len(series)-1-i)); h.moving[k/64]&(1<<(k%64)) != 0 {
			series[i] = math.NaN()
		}
	}
	return series
}

// Series returns the values held, one a second, oldest first, NaN where there is none; nil before the first Add.
func (h *History) Series() []float64 {
	if h.last == 0 {
		return nil
	}
	out := make([]float64, 0, historySeconds)
	for s := h.last - historySeconds + 1; s <= h.last; s++ {
		if len(out) == 0 && math.IsNaN(h.ring[slot(s)]) {
			continue // before the first value
		}
		out = append(out, h.ring[slot(s)])
	}
	return out
}

// slot is where a second is kept.
func slot(s int64) int {
	i := int(s % historySeconds)
	if i < 0 {
		i += historySeconds
	}
	return i
}
