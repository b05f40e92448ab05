package live

import (
	"strings"
	"testing"
)

// TestHeard: a picture says when it has nothing of the present, and since when.
func TestHeard(t *testing.T) {
	p := newPicture(t, Options{})
	f := func(s float64, want string) {
		t.Helper()
		got := ""
		if err := p.Heard(sec(s)); err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("at %v s: got %q, want %q", s, got, want)
		}
	}
	f(0, "no machine has sent a sample yet")
	for i := range 3 {
		at := sec(float64(i))
		apply(t, p, tick(at, cpu(node("n1"), at, float64(i), 1), cpu(web(1), at, float64(i), 1)))
	}
	f(2.5, "")
	f(60, "nothing has been heard of any machine since 2026-03-01T12:00:02Z")
	apply(t, p, tick(sec(61), cpu(web(2), sec(61), 1, 1))) // of a machine without values of its own, too
	f(61.5, "")
}
