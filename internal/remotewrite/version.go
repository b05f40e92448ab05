package remotewrite

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/exp/api/remote"
)

// Version is a version of remote write.
type Version uint8

// The versions.
const (
	V1 Version = 1
	V2 Version = 2
)

// String is the version as people write it.
func (v Version) String() string {
	if v == V1 {
		return "remote write 1.0"
	}
	return "remote write 2.0"
}

// Encoding is the content encoding of both versions.
const Encoding = string(remote.SnappyBlockCompression)

// WrittenHeader is the header in which a receiver of 2.0 says how many samples it wrote. An answer of success without it comes
// from a receiver that does not know 2.0, and has written nothing.
const WrittenHeader = "X-Prometheus-Remote-Write-Samples-Written"

// SetHeader sets the headers that a request of a version must have.
func SetHeader(h http.Header, v Version) {
	h.Set("Content-Encoding", Encoding)
	if v == V1 {
		h.Set("Content-Type", "application/x-protobuf")
		h.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
		return
	}
	h.Set("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
	h.Set("X-Prometheus-Remote-Write-Version", "2.0.0")
}

// Answer is what a receiver says to a request.
type Answer struct {
	Written int // samples
	Status  int // of an error; zero is 500
	// RetryAfter is how many seconds the sender is to wait; zero is not said.
	RetryAfter int
}

// Handler returns a handler that takes both versions. door stands before everything; take is called with requests whose content type
// is one of the two.
func Handler(door func(http.Handler) http.Handler, take func(r *http.Request, v Version) (Answer, error)) http.Handler {
	return remote.NewWriteHandler(receiver(take), remote.MessageTypes{remote.WriteV2MessageType, remote.WriteV1MessageType},
		remote.WithWriteHandlerMiddlewares(door))
}

// receiver is a function as the library wants it.
type receiver func(r *http.Request, v Version) (Answer, error)

// Store is called by the library.
func (f receiver) Store(r *http.Request, t remote.WriteMessageType) (*remote.WriteResponse, error) {
	v := V2
	if t == remote.WriteV1MessageType {
		v = V1
	}
	a, err := f(r, v)
	out := remote.NewWriteResponse()
	out.Samples = a.Written
	if err == nil {
		return out, nil
	}
	if a.Status == 0 {
		a.Status = http.StatusInternalServerError
	}
	out.SetStatusCode(a.Status)
	if a.RetryAfter > 0 {
		out.SetExtraHeader("Retry-After", strconv.Itoa(a.RetryAfter))
	}
	return out, err
}
