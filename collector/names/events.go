package names

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// event is what is read of one message of /events: Docker's, and podman's in Docker's form. The attributes
// of a container's event hold its name, its image and all its labels.
type event struct {
	Type   string `json:"Type"`
	Action string `json:"Action"`
	Actor  struct {
		ID         string            `json:"ID"`
		Attributes map[string]string `json:"Attributes"`
	} `json:"Actor"`
}

// change is what an event means to the names.
type change struct {
	id      string
	info    info
	removed bool
	turn    bool // it began or ended: how often it was restarted, and whether it will be, may be another
}

// asChange says what an event means; false if nothing.
func (ev *event) asChange() (change, bool) {
	if ev.Type != "" && ev.Type != "container" || !hex64(ev.Actor.ID) {
		return change{}, false
	}
	c := change{id: ev.Actor.ID}
	switch ev.Action {
	case "create", "start", "rename", "init", "update", "die", "died":
		a := ev.Actor.Attributes
		c.turn = ev.Action == "start" || ev.Action == "die" || ev.Action == "died"
		c.info = infoOf(a["name"], a["image"], a)
		return c, c.info.name != ""
	case "destroy", "remove":
		c.removed = true
		return c, true
	}
	return change{}, false
}

// errLongEvent says that a line of the stream is longer than any event.
var errLongEvent = fmt.Errorf("an event is longer than %d bytes", maxEvent)

// decodeEvents reads a stream of events, one JSON value a line, and hands on what each means until the
// stream ends. A line that is no event is passed over and counted; one that is too long ends the stream.
func decodeEvents(r io.Reader, apply func(change)) (bad int, err error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, 4096), maxEvent)
	for sc.Scan() {
		line := sc.Bytes()
		if len(line) == 0 {
			continue
		}
		var ev event
		if json.Unmarshal(line, &ev) != nil {
			bad++
			continue
		}
		if c, ok := ev.asChange(); ok {
			apply(c)
		}
	}
	err = sc.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		err = errLongEvent
	}
	if err == nil {
		err = io.EOF
	}
	return bad, err
}
