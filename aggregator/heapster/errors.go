package heapster

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"plimsoll.dev/plimsoll/internal/store"
)

// StatusError is an error that knows its HTTP status. The server turns it into a body and a log line.
type StatusError struct {
	Status int
	Err    error
}

// Error returns the text of the error alone; the status travels beside it.
func (e *StatusError) Error() string { return e.Err.Error() }

// Unwrap returns the error without its status.
func (e *StatusError) Unwrap() error { return e.Err }

// HTTPStatus returns the status to answer with.
func (e *StatusError) HTTPStatus() int { return e.Status }

func badRequest(format string, args ...any) error {
	return &StatusError{http.StatusBadRequest, fmt.Errorf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &StatusError{http.StatusNotFound, fmt.Errorf(format, args...)}
}

// historyError gives the status to an error of the history.
func historyError(err error) error {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, store.ErrBadQuery):
		status = http.StatusBadRequest
	case errors.Is(err, store.ErrTooLarge):
		status = http.StatusUnprocessableEntity
	case errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrReadOnly):
		status = http.StatusServiceUnavailable
	case errors.Is(err, context.DeadlineExceeded):
		status = http.StatusGatewayTimeout
	}
	return &StatusError{status, fmt.Errorf("cannot read the history: %w", err)}
}
