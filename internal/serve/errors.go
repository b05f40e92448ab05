package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/internal/store"
)

// clientGone is the status of a request whose client went away; nobody reads it but the metrics.
const clientGone = 499

// StatusError is an error that knows its HTTP status. An error of another type may tell its own by an HTTPStatus method.
type StatusError struct {
	Status int
	Err    error
}

// Error returns the wrapped error's text.
func (e *StatusError) Error() string { return e.Err.Error() }

// Unwrap returns the wrapped error.
func (e *StatusError) Unwrap() error { return e.Err }

// HTTPStatus returns the status to answer with.
func (e *StatusError) HTTPStatus() int { return e.Status }

// Errorf makes an error with a status.
func Errorf(status int, format string, args ...any) error {
	return &StatusError{status, fmt.Errorf(format, args...)}
}

// BadRequest makes an error of what was asked.
func BadRequest(format string, args ...any) error {
	return Errorf(http.StatusBadRequest, format, args...)
}

// NotFound makes an error of something that is not there.
func NotFound(format string, args ...any) error {
	return Errorf(http.StatusNotFound, format, args...)
}

// Unavailable makes an error that will pass.
func Unavailable(format string, args ...any) error {
	return Errorf(http.StatusServiceUnavailable, format, args...)
}

// ReadError gives the status to an error of the store that what was read from.
func ReadError(what string, err error) error {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, store.ErrBadQuery):
		status = http.StatusBadRequest
	case errors.Is(err, store.ErrTooLarge):
		status = http.StatusUnprocessableEntity
	case errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrReadOnly), errors.Is(err, store.ErrUnavailable):
		status = http.StatusServiceUnavailable
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		status = statusOf(err)
	}
	return Errorf(status, "cannot read %s: %w", what, err)
}

// statusOf maps an error to its status, once and for all routes.
func statusOf(err error) int {
	var known interface{ HTTPStatus() int }
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return known.HTTPStatus()
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	case errors.Is(err, context.Canceled):
		return clientGone
	}
	return http.StatusInternalServerError
}

// answer runs a handler and turns its error into a status, a body and, where a person may have to act, a log line.
func answer(h func(http.ResponseWriter, *http.Request) error, log *slog.Logger) http.Handler {
	var lines sync.Map // *seldom, by status
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		status := statusOf(err)
		if status >= 500 {
			of, _ := lines.LoadOrStore(status, &seldom{every: 10 * time.Second})
			if n, ok := of.(*seldom).line(); ok {
				log.Warn("request failed", "path", r.URL.Path, "caller", CallerOf(r.Context()).Name, "status", status, "failed", n, "err", err)
			}
		}
		writeTo(w, r, status, err.Error())
	})
}

// writeTo writes an error as whoever asked reads it: at a path of a cluster's API kubectl does too, which wants a Status.
func writeTo(w http.ResponseWriter, r *http.Request, status int, text string) {
	if !strings.HasPrefix(r.URL.Path, "/apis/") {
		WriteProblem(w, status, text)
		return
	}
	writeBody(w, status, map[string]any{"kind": "Status", "apiVersion": "v1", "metadata": struct{}{}, "status": "Failure", "code": status, "message": text,
		"reason": strings.ReplaceAll(http.StatusText(status), " ", ""), "schema": problemSchema, "error": text})
}

// problemSchema is that of an error's body.
const problemSchema = "plimsoll.dev/error/v1"

// WriteProblem writes the body of every error answer. Where the answer has begun already the header stands and
// the client sees a cut body.
func WriteProblem(w http.ResponseWriter, status int, text string) {
	writeBody(w, status, map[string]any{"schema": problemSchema, "status": status, "error": text})
}

func writeBody(w http.ResponseWriter, status int, body map[string]any) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	if (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable) && h.Get("Retry-After") == "" {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client went away: nothing to tell it
}
