package remotewrite

import "net/http"

// LaneHeader names the lane that a request belongs to. Collectors send "live" on the live lane; everything
// else is history.
const LaneHeader = "Plimsoll-Lane"

// LiveLane is the value of LaneHeader for batches that are for the live picture only.
const LiveLane = "live"

// LiveFullLane is the same for a batch of everything: the history has it from elsewhere, and its pace is the slow one's.
const LiveFullLane = "live-full"

// SourceHeader names the process that sends: any text that no other process has. By it two collectors that were given the
// same node's name are told apart from one that was started again.
const SourceHeader = "Plimsoll-Source"

// SetLiveHeader sets the headers of a request for the live picture only.
func SetLiveHeader(h http.Header, fast bool) {
	SetHeader(h, V2)
	h.Set(LaneHeader, LiveFullLane)
	if fast {
		h.Set(LaneHeader, LiveLane)
	}
}
