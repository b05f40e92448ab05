package capacity

import "testing"

// No amount has more digits than its number can mean.
func TestDigits(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(bytesText(512<<20), "512Mi")
	f(bytesText(1<<63), "8192Pi")
	f(bytesText(1e300), "8.88e+284Pi")
	f(bytesText(-1e300), "-8.88e+284Pi")
	f(coresText(1e300), "1e+300")
	f(raw(1<<60), "1152921504606846976")
	f(share(0.7), "70 %")
	f(share(1e300), "1e+302 %")
}
