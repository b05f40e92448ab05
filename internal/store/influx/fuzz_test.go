package influx

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
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

// FuzzNumbers reads rows of numbers as encoding/json does, whatever stands in them.
func FuzzNumbers(f *testing.F) {
	for _, s := range []string{`[[1700000000000,1.5],[1700000010000,null]]`, ` [ [ 1 , 2e3 ] , [ ] ] `, `[["a",1],[true,{"b":[1,2]}]]`, `[]`, `[[[1,2],3]]`, `[1,[2]]`, `null`, `{}`, `[[-0.5,"x,]\"["]]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if !json.Valid(b) {
			t.Skip()
		}
		var got, want numbers
		err, wantErr := json.Unmarshal(b, &got), want.slowly(b)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, want %v", b, err, wantErr)
		}
		if err != nil {
			return
		}
		if !slices.Equal(got.ends, want.ends) || !slices.EqualFunc(got.cells, want.cells, func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }) {
			t.Errorf("%q: got %v, want %v", b, got, want)
		}
	})
}
