package terminal

import "testing"

func TestWrap(t *testing.T) {
	f := func(text string, width int, want string) {
		t.Helper()
		if got := wrap(text, width); got != want {
			t.Errorf("wrap(%q, %d): got %q, want %q", text, width, got, want)
		}
	}
	f("one two\nthree", 7, "one two\nthree")
	f("one two three", 8, "one two\nthree")
	f("one two three", 80, "one two three")
	f("±±± ±±±", 7, "±±± ±±±")
	f("unbreakable", 4, "unbreakable")
	f("", 4, "")
}
