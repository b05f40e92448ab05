package remote

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"regexp"
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
	// Limited: a limit that the operator has set is reached. The same.
	Limited
	// TooLarge: 413. The record is to be sent in parts; one series alone waits until the limit is raised.
	TooLarge
	// Refused: 400 and its like. The engine will never take what it refuses while it takes other samples.
	Refused
)

// String is the class as a metric's label.
func (c Class) String() string {
	return [...]string{"transient", "configuration", "limit", "too_large", "refused"}[c]
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
func classify(status int, message string) Class {
	switch {
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		return Transient
	case status == http.StatusRequestEntityTooLarge:
		return TooLarge
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity:
		if limits.MatchString(message) {
			return Limited
		}
		return Refused
	case status == http.StatusConflict && ofSamples(message): // Thanos
		return Refused
	}
	return Configuration
}

// limits is how engines say that a limit of how many series there may be is reached: Cortex and Mimir do with 400, and name the setting.
// A limit of one series (its labels, their length) is not meant.
var limits = regexp.MustCompile(`(?i)series limit|limit of series|max-(global-)?series|max(imum)? (active )?series|active series|quota`)

// ofSamples says whether an engine speaks of samples that it will never take: out of order, too old, of another value than before, from
// the future, with labels that it forbids; Thanos calls all of it a conflict.
func ofSamples(message string) bool { return aboutSamples.MatchString(message) }

var aboutSamples = regexp.MustCompile(`(?i)out[ -]of[ -](order|bounds)|too[ -]old|too[ -]far|duplicate|conflict|new-value-for-timestamp|label|metric[ -]name|timestamp`)

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
