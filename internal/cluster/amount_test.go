package cluster

import "testing"

// No text keeps the parser of quantities busy: those that would are refused, and all that Kubernetes writes are read.
func TestParseQuantity(t *testing.T) {
	f := func(s string, want bool) {
		t.Helper()
		if _, err := ParseQuantity(s); (err == nil) != want {
			t.Errorf("%q: got %v, want it read: %v", s, err, want)
		}
	}
	for _, s := range []string{"500m", "1Gi", "1e3", "12E6", "1e-9", "9E-300", "1.5", "+1e+3", "2E", "1Ei", "999E", "-999E"} {
		f(s, true)
	}
	for _, s := range []string{"9E-700000000", "9E70000000000000000", "1e-7000", "1E+99999", "x", "", "1e99.9", "1e21", "1000E", "-1000E", "1e100", "-1e100", "1000000000000000000000"} {
		f(s, false)
	}
	if WithinReach("9E-700000000 ") == nil { // quantities in JSON are read without the space
		t.Error("a space hides an exponent")
	}
}

// Whatever is read comes back at once, as it was written by Kubernetes.
func FuzzParseQuantity(f *testing.F) {
	for _, s := range []string{"512Mi", "1e100", "9E-999", "500m", "-1", "0.5", ".5e9", "1n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := ParseQuantity(s)
		if err != nil {
			return
		}
		if m := MilliOf(q); q.Sign() > 0 && m <= 0 || q.Sign() < 0 && m > 1 { // the library rounds a billionth below zero up to 1
			t.Errorf("%q is %d thousandths", s, m)
		}
		again, err := ParseQuantity(q.String())
		if err != nil || again.Cmp(q) != 0 {
			t.Errorf("%q is written %q: %v", s, q.String(), err)
		}
	})
}
