package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"
)

// frame is one event, ready to be written. Streams share it; the room that it takes comes back when the last has let it go.
type frame struct {
	event string
	bytes []byte
	held  *held
}

// held is who still has a frame.
type held struct {
	by    atomic.Int32
	room  *atomic.Int64
	frame frame // until nobody has it any more
}

// again gives the frame to one more, if somebody still has it.
func (h *held) again() (frame, bool) {
	for {
		n := h.by.Load()
		if n == 0 {
			return frame{}, false
		}
		if h.by.CompareAndSwap(n, n+1) {
			return h.frame, true
		}
	}
}

// made is what was made of a view last.
type made struct {
	held *held
	size int
	at   time.Time
}

func (f frame) hold() {
	if f.held != nil {
		f.held.by.Add(1)
	}
}

func (f frame) letGo() {
	if f.held != nil && f.held.by.Add(-1) == 0 {
		f.held.frame = frame{}
		f.held.room.Add(int64(len(f.bytes)))
	}
}

// newFrame writes v as an event; id 0 writes none.
func newFrame(event string, id int64, v any) (frame, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: %s\n", event)
	if id != 0 {
		fmt.Fprintf(&b, "id: %d\n", id)
	}
	b.WriteString("data: ")
	if err := json.NewEncoder(&b).Encode(v); err != nil { // one line, with its end
		return frame{}, fmt.Errorf("cannot write the event %q as JSON: %w", event, err)
	}
	b.WriteByte('\n')
	return frame{event: event, bytes: b.Bytes()}, nil
}
