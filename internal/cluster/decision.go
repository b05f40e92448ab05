package cluster

import (
	"encoding/json"
	"time"
)

// Decision is one entry of the decision log: what was decided for a target, and why, in one sentence.
type Decision struct {
	Time time.Time `json:"time"`
	Target
	Action  string `json:"action"` // Hold, Up, Down
	From    int32  `json:"from"`
	To      int32  `json:"to"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	// Detail is the whole decision as plimsoll.dev/decision/v1.
	Detail json.RawMessage `json:"detail,omitempty"`
}
