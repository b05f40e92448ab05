package main

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// FuzzFlagValues: a value of a flag that is taken is one that is shown as it will be read again.
func FuzzFlagValues(f *testing.F) {
	for _, s := range []string{"512Mi", "1GiB", "2e9", "1h30m", "15d", "2w", "500m", "-1", "0", "1e100", "9223372036854775807Gi", "0.5B", "1n", ""} {
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
