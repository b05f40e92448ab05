package store

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
)

// Unreachable marks the error of a request to an engine as ErrUnavailable where the way there failed: nobody answers, or the answer broke off. That ctx
// has ended is another thing, unless nobody was reached until then.
func Unreachable(ctx context.Context, err error) error {
	var request *url.Error
	var network *net.OpError
	switch reached := !errors.As(err, &network) || network.Op != "dial"; {
	case err == nil, errors.Is(err, context.Canceled), reached && (ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded)):
		return err
	case network != nil, errors.As(err, &request), errors.Is(err, io.ErrUnexpectedEOF):
		return &unavailable{err}
	}
	return err
}

// Busy says whether an engine's answer is that it cannot be asked now: it starts, or has too much to do, or what is before it does not reach it.
func Busy(status int) bool {
	return status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests || status == http.StatusBadGateway
}

// unavailable is an error that is ErrUnavailable too, with the text that it had.
type unavailable struct{ error }

// Unwrap returns both.
func (u *unavailable) Unwrap() []error { return []error{u.error, ErrUnavailable} }
