package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// ErrLongValue is an answer of which more would have to be held in memory than may be.
var ErrLongValue = errors.New("the answer cannot be held")

// Answers bound what the answers of an engine hold in memory while they are read: an engine that is broken, or is none, may send a value without end.
// The zero value may be used, by several goroutines.
type Answers struct{ held atomic.Int64 }

const (
	// mostOfAnswer is how many bytes of an answer may wait for the end of a value: 5,000 rows, which InfluxDB sends as one, have under 1 MB, and so has
	// a series of 11,000 points.
	mostOfAnswer = 8 << 20
	// mostOfAnswers is the same of all answers together.
	mostOfAnswers = 2 * mostOfAnswer
)

// Decoder decodes an answer value by value. What it holds is given back by done, which the caller must call.
func (a *Answers) Decoder(body io.Reader) (d *json.Decoder, done func()) {
	r := &held{from: body, of: a}
	r.d = json.NewDecoder(r)
	return r.d, func() { r.holds(0) }
}

// held is an answer that is being read.
type held struct {
	from io.Reader
	of   *Answers
	d    *json.Decoder
	read int64 // bytes
	has  int64 // of those that are counted
}

// holds counts n bytes instead of those that were, and returns how many all answers hold.
func (h *held) holds(n int64) int64 {
	all := h.of.held.Add(n - h.has)
	h.has = n
	return all
}

// Read reads on, unless too much waits already.
func (h *held) Read(p []byte) (int, error) {
	switch own := h.read - h.d.InputOffset(); {
	case own > mostOfAnswer:
		return 0, fmt.Errorf("%w: one value of it has more than %d bytes", ErrLongValue, mostOfAnswer)
	case h.holds(own) > mostOfAnswers && own > mostOfAnswer/8:
		return 0, fmt.Errorf("%w: answers that are being read have more than %d bytes together", ErrLongValue, mostOfAnswers)
	}
	n, err := h.from.Read(p)
	h.read += int64(n)
	return n, err
}
