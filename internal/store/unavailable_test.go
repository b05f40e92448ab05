package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"syscall"
	"testing"
)

func TestUnreachable(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	f := func(ctx context.Context, err error, want bool) {
		t.Helper()
		got := Unreachable(ctx, err)
		if errors.Is(got, ErrUnavailable) != want || !errors.Is(got, err) || err != nil && got.Error() != err.Error() {
			t.Errorf("%v is %v, want unavailable %v", err, got, want)
		}
	}
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	f(t.Context(), nil, false)
	f(t.Context(), errors.New("nonsense"), false)
	f(t.Context(), &url.Error{Op: "Post", Err: dial}, true)
	f(t.Context(), fmt.Errorf("cannot reach it: %w", &url.Error{Op: "Post", Err: errors.New("x509")}), true)
	f(t.Context(), &net.OpError{Op: "read", Err: syscall.ECONNRESET}, true)
	f(t.Context(), io.ErrUnexpectedEOF, true)
	f(t.Context(), &url.Error{Err: context.DeadlineExceeded}, false) // it was reached, and is slow
	f(ended, &url.Error{Err: errors.New("x")}, false)
	f(t.Context(), &url.Error{Err: context.Canceled}, false)
	f(ended, &url.Error{Err: &net.OpError{Op: "dial", Err: context.DeadlineExceeded}}, true)
}
