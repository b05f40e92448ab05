package remote

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Class is what an answer means for what is to be sent.
type Class uint8

// The classes.
const (
	// Transient: the engine is not reached, answers too slowly, 429 or 5xx. The record is to be sent again.
	Transient Class = iota
	// Configuration: 401, 403, 404 and others that a person has to mend. The record is to be sent again, seldom.
	Configuration
	// TooLarge: 413. The record is to be sent in parts.
	TooLarge
	// Refused: 400 and its like. The engine will never take it.
	Refused
)

// String is the class as a metric's label.
func (c Class) String() string {
	return [...]string{"transient", "configuration", "too_large", "refused"}[c]
}

// SendError is why a record was not sent.
type SendError struct {
	Class      Class
	Status     int           // zero: there was no answer
	RetryAfter time.Duration // what the engine asks for; zero: nothing
	Message    string
	err        error
}

func (e *SendError) Error() string {
	if e.Status == 0 {
		return fmt.Sprintf("cannot reach the engine: %v", e.err)
	}
	return fmt.Sprintf("the engine answers %d %s: %q", e.Status, http.StatusText(e.Status), e.Message)
}

// Unwrap gives the network's error.
func (e *SendError) Unwrap() error { return e.err }

// classify says what an answer that is no success means.
func classify(status int) Class {
	switch {
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		return Transient
	case status == http.StatusRequestEntityTooLarge:
		return TooLarge
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity, status == http.StatusConflict:
		return Refused
	}
	return Configuration
}

// unreached says what a request without an answer means: a certificate that is not believed has to be mended by a person.
func unreached(err error) Class {
	var cert *tls.CertificateVerificationError
	if errors.As(err, &cert) {
		return Configuration
	}
	return Transient
}

// maxRetryAfter is the longest wait that an engine can ask for.
const maxRetryAfter = 10 * time.Minute

// retryAfter reads the header in both forms, seconds and date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	var d time.Duration
	if n, err := strconv.Atoi(v); err == nil {
		d = time.Duration(min(max(n, 0), 3600)) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		d = t.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}
