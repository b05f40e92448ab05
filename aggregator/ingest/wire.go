package ingest

import (
	"net/http"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
)

// Encode returns the batch as a remote write 2.0 request; see remotewrite.Encode.
func Encode(b *metric.Batch) ([]byte, error) { return remotewrite.Encode(b) }

// SetLiveHeader sets the headers of a request for the live picture only.
func SetLiveHeader(h http.Header, fast bool) {
	remotewrite.SetHeader(h, remotewrite.V2)
	h.Set(LaneHeader, LiveFullLane)
	if fast {
		h.Set(LaneHeader, LiveLane)
	}
}
