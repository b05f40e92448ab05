package remote

import (
	"net/http"
	"testing"
	"time"
)

// FuzzRetryAfter: an engine can ask for a wait, and for no longer than is allowed.
func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "5", "-1", "99999999999999999999", "1e9", "Wed, 21 Oct 2026 07:28:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "\xff"} {
		f.Add(s, 429)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, v string, status int) {
		if got := retryAfter(http.Header{"Retry-After": {v}}, now); got < 0 || got > maxRetryAfter {
			t.Errorf("%q: got %v", v, got)
		}
		if e := (&SendError{Status: status, Class: classify(status, v), Message: v}); e.Error() == "" {
			t.Errorf("%d %q: no words", status, v)
		}
	})
}
