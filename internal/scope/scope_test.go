package scope

import (
	"regexp"
	"testing"
)

// What a scope sees, and its pattern says the same.
func TestSees(t *testing.T) {
	names := []string{"", "a", "ab", "b", "b.c", "bxc", "system@node", "a\nb", "\n"}
	for _, c := range []struct {
		name string
		s    Scope
		want []string
	}{
		{"nothing", Scope{}, nil},
		{"whole", Whole(), names},
		{"two", Of(false, false, "b", "a", "a"), []string{"a", "b"}},
		{"a name that looks like a pattern", Of(false, false, "b.c"), []string{"b.c"}},
		{"machines", Of(true, false), []string{"", "system@node"}},
		{"one and machines", Of(true, false, "a"), []string{"", "a", "system@node"}},
		{"every", Of(false, true), []string{"a", "ab", "b", "b.c", "bxc", "a\nb", "\n"}},
		{"every and machines", Of(true, true), names},
	} {
		want := map[string]bool{}
		for _, n := range c.want {
			want[n] = true
		}
		pattern, except, all := c.s.Pattern()
		re := regexp.MustCompile("^(?s:" + pattern + ")$")
		filter := c.s.Filter()
		for _, n := range names {
			if got := c.s.Sees(n); got != want[n] || filter(n) != got {
				t.Errorf("%s: sees %q: %v", c.name, n, got)
			}
			if got := all || re.MatchString(n) != except; got != want[n] {
				t.Errorf("%s: pattern %q (except %v) matches %q: %v", c.name, pattern, except, n, got)
			}
		}
		if c.s.Nothing() != (len(c.want) == 0) {
			t.Errorf("%s: nothing is %v", c.name, c.s.Nothing())
		}
	}
	if Of(false, false, "a", "b") != Of(false, false, "b", "a", "b") {
		t.Error("the order of the names tells scopes apart")
	}
	if !From(t.Context()).Nothing() || From(With(t.Context(), Whole())) != Whole() {
		t.Error("a context's scope is not what was put in")
	}
}
