package ingest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/snappy"

	"plimsoll.dev/plimsoll/internal/serve"
)

// whole is a body that was read.
type whole struct{ *bytes.Buffer }

// Close does nothing: the buffer is the door's.
func (whole) Close() error { return nil }

// body reads the request's body, which must come at a pace and find its place in memory; release gives that back.
func (r *Receiver) body(w http.ResponseWriter, req *http.Request, raw *bytes.Buffer) (release func(), err error) {
	raw.Reset()
	taken := int64(0)
	release = func() { r.bodies.give(taken) }
	if req.ContentLength > r.most.body {
		return release, serve.Errorf(http.StatusRequestEntityTooLarge, "the body has %d bytes, the limit is %d", req.ContentLength, r.most.body)
	}
	rc, began := http.NewResponseController(w), time.Now()
	for from := io.LimitReader(req.Body, r.most.body+1); ; {
		n := int64(raw.Len())
		_ = rc.SetReadDeadline(began.Add(r.most.bodyTime + time.Duration(n)*time.Second/bodyPace)) // not supported by test recorders
		if n >= firstBytes {
			if !r.bodies.take(firstBytes) {
				return release, serve.Errorf(http.StatusTooManyRequests, "too many requests are being read, try again in a second")
			}
			taken += firstBytes
		}
		more, err := io.CopyN(raw, from, firstBytes)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return release, serve.Errorf(http.StatusRequestTimeout, "the body came too slowly: %w", err)
		case int64(raw.Len()) > r.most.body || errors.As(err, new(*http.MaxBytesError)):
			return release, serve.Errorf(http.StatusRequestEntityTooLarge, "the body has more than %d bytes, which is the limit", r.most.body)
		case err != nil && !errors.Is(err, io.EOF):
			return release, serve.BadRequest("cannot read the body: %w", err)
		case more < firstBytes:
			return release, nil
		}
	}
}

// budget is an amount of which everybody takes a part, or none where too little is left.
type budget struct{ left atomic.Int64 }

func (b *budget) take(n int64) bool {
	if b.left.Add(-n) >= 0 {
		return true
	}
	b.left.Add(n)
	return false
}

func (b *budget) give(n int64) { b.left.Add(n) }

// decompress unpacks a body into *into.
func (r *Receiver) decompress(raw []byte, into *[]byte) ([]byte, error) {
	size, err := snappy.DecodedLen(raw)
	if err != nil {
		return nil, serve.BadRequest("the body is not snappy: %w", err)
	}
	if int64(size) > r.most.decoded {
		return nil, serve.Errorf(http.StatusRequestEntityTooLarge, "the body has %d bytes when decompressed, the limit is %d", size, r.most.decoded)
	}
	if size > 64*len(raw)+64 {
		return nil, serve.BadRequest("the body is not snappy: %d bytes cannot hold %d", len(raw), size)
	}
	if cap(*into) < size {
		*into = make([]byte, size)
	}
	out, err := snappy.Decode((*into)[:size], raw)
	if err != nil {
		return nil, serve.BadRequest("the body is not snappy: %w", err)
	}
	return out, nil
}
