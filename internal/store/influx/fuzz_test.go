package influx

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"
)

// FuzzRefusal: whatever a server says of a write, the answer is of a class that there is, waits no longer than allowed, is no longer than is
// shown, and drops no more points than it says.
func FuzzRefusal(f *testing.F) {
	f.Add(400, "partial write: field type conflict: input field \"a\" on measurement \"b\" is type float, already exists as type integer dropped=3", "")
	f.Add(400, "unable to parse 'x': missing fields", "")
	f.Add(422, "dropped 99999999999999999999 points outside retention policy", "")
	f.Add(429, "", "NaN")
	f.Add(503, "max-series-per-database limit exceeded", "1e309")
	f.Add(401, "\xff", "Wed, 21 Oct 2026 07:28:00 GMT")
	f.Add(0, "x", "-1")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, status int, message, retry string) {
		a := classify(&influxhttp.Error{StatusCode: status, Message: message, Header: http.Header{"Retry-After": {retry}}}, now)
		if a.class >= numClasses || a.class == stored || a.wait < 0 || a.wait > maxWait || a.dropped < -1 || len(a.message) > 1100 {
			t.Errorf("%d %q %q: got %+v", status, message, retry, a)
		}
		_ = setting(strings.ToLower(message))
		_ = classify(errors.New(message), now)
	})
}
