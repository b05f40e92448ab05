package main

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// FuzzFlagValues: a value of a flag that is taken is one that is shown as it will be read again.
func FuzzFlagValues(f *testing.F) {
	for _, s := range []string{"512Mi", "1GiB", "2e9", "1h30m", "15d", "2w", "500m", "-1", "0", "1e100", "9223372036854775807Gi", "0.5B", "1n", "", "8Ei", "7.99Ei"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var bytes int64
		if v := quantity(&bytes); v.Set(s) == nil {
			was := bytes
			if err := v.Set(v.String()); err != nil || bytes != was {
				t.Errorf("%q is %d bytes, shown as %q: %v", s, was, v, err)
			}
		}
		var much string
		if v := amount(&much); v.Set(s) == nil {
			if q, err := resource.ParseQuantity(much); err != nil || q.Sign() <= 0 {
				t.Errorf("%q was taken: %v, %v", s, q, err)
			}
		}
		var long time.Duration
		if v := days(&long); v.Set(s) == nil {
			was := long
			if err := v.Set(v.String()); err != nil || long != was {
				t.Errorf("%q is %v, shown as %q: %v", s, was, v, err)
			}
		}
	})
}

// A number of bytes that no int64 can be is refused by its name, and not taken for the largest that one is.
func TestBytesBeyondReach(t *testing.T) {
	f := func(s string, want int64) {
		t.Helper()
		var n int64
		err := quantity(&n).Set(s)
		if n != want || (err != nil) != (want == 0) || err != nil && !strings.Contains(err.Error(), strconv.Quote(s)) {
			t.Errorf("%q: got %d, %v, want %d", s, n, err, want)
		}
	}
	f("7Ei", 7<<60)
	f("7.99Ei", 9211842821808707339)
	f("9223372036854775806", math.MaxInt64-1)
	for _, s := range []string{"8Ei", "8EiB", "8.0Ei", "8192Pi", "9Ei", "100Ei", "900E", "9223372036854775807", "9223372036854775808", "9.3E", "1e19", "9007199254740992Ki"} {
		f(s, 0)
	}
}

// FuzzConfig: a file for --config names flags that there are, each once, with values that can be set or not, or is refused with its place.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{"listen: 127.0.0.1:0\nserver: [a, b]\n", "a: &x 1\nb: *x\n", "listen: {a: b}", "- 1", "? [a]\n: 1", "---\n---\n", "# nothing\n", "listen: 1\nlisten: 2", "!!binary x: y"} {
		f.Add(s)
	}
	root := (&app{}).root()
	f.Fuzz(func(t *testing.T, text string) {
		values, err := parseConfig(strings.NewReader(text), "config.yaml", root)
		if err != nil {
			if !strings.Contains(err.Error(), "config.yaml") {
				t.Errorf("%q: %v does not name the file", text, err)
			}
			return
		}
		for name := range values {
			if !hasFlag(root, name) {
				t.Errorf("%q: took the flag %q", text, name)
			}
		}
	})
}
