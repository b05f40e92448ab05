package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
)

// bodyLimit is how much of an answer is read: of 100,000 pods a list has some 30 MiB.
const bodyLimit = 64 << 20

// door is the way to the API server. The clients of custom and external metrics take no context and would read anything: here their calls end
// with Run and with their deadline, and what is too long, or would take minutes to read, is no answer.
type door struct {
	run atomic.Pointer[context.Context]
}

func (d *door) open(ctx context.Context) { d.run.Store(&ctx) }

func (d *door) wrap(next http.RoundTripper) http.RoundTripper { return &way{d, next} }

// way is a transport.
type way struct {
	door *door
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (w *way) RoundTrip(req *http.Request) (*http.Response, error) {
	run := w.door.run.Load()
	if run == nil {
		return nil, errors.New("nothing is read yet")
	}
	ctx, cancel := context.WithTimeout(req.Context(), deadline)
	defer cancel()
	defer context.AfterFunc(*run, cancel)()
	resp, err := w.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, bodyLimit+1))
	switch err = errors.Join(err, resp.Body.Close()); {
	case err != nil:
		return nil, err
	case len(raw) > bodyLimit:
		return nil, fmt.Errorf("the answer is longer than %d MiB", bodyLimit>>20)
	case endless(raw):
		return nil, errors.New("the answer has a number with an exponent of more than three digits")
	}
	resp.Header.Del("Retry-After") // the client would sleep and try again; the Reader has its own pace
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	return resp, nil
}

// WrappedRoundTripper has client-go find what is wrapped.
func (w *way) WrappedRoundTripper() http.RoundTripper { return w.next }

// endless says whether JSON holds a number, or a string that is one, with an exponent of more than three digits: Kubernetes' quantities take
// minutes to read 1e-2147483647.
func endless(raw []byte) bool {
	number := func(c byte) bool { return c >= '0' && c <= '9' || c == '.' || c == '+' || c == '-' }
	for i, c := range raw {
		if c != 'e' && c != 'E' || i == 0 || !number(raw[i-1]) {
			continue
		}
		begin, end := i, i+1
		for begin > 0 && number(raw[begin-1]) {
			begin--
		}
		for end < len(raw) && number(raw[end]) {
			end++
		}
		before, after := byte(' '), byte(' ')
		if begin > 0 {
			before = raw[begin-1]
		}
		if end < len(raw) {
			after = raw[end]
		}
		if len(bytes.TrimLeft(raw[i+1:end], "+-")) > 3 && bytes.IndexByte([]byte("\":,[ \t\r\n"), before) >= 0 && bytes.IndexByte([]byte("\",]} \t\r\n"), after) >= 0 {
			return true
		}
	}
	return false
}
