package identity

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	f := func(name string, changed bool) {
		t.Helper()
		got := Clean(name)
		if (got != name) != changed || strings.ContainsAny(got, "\x00\n\r\t\x1b\u009b\u202e\u2066\u2028") || !utf8.ValidString(got) {
			t.Errorf("%q: got %q, want changed %v", name, got, changed)
		}
		if changed && got == Clean(strings.ToValidUTF8(name, "")+"x") {
			t.Errorf("%q shares its name with another", name)
		}
	}
	f("", false)
	f("web-1", false)
	f("größe/ⅹ 漢字", false)
	f("web\x1b[2J", true)
	f("web\nn2   99 %", true)
	f("web\x1b]52;c;aGk=\a", true)
	f("\u202egpj.exe", true)
	f("a\u2028b", true)
	for _, r := range "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u061c\u115f\u3164\uffa0\u180e\ufe0f\U000e0100\U000e0041\u00a0\u2003\u202f\u3000\u2800" {
		f("n"+string(r)+"1", true)
		f(string(r), true)
		f("n1"+string(r), true)
	}
	f("n1 ", true)
	f(" n1", true)
	f("a b", false)
	f("\xff", true)
	f("\x00", true)
	if Clean("n1\x00") == Clean("n1") {
		t.Error("a name that looks like another is that one")
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b[2J")
	f.Fuzz(func(t *testing.T, name string) {
		if got := Clean(name); Plain(got) != got || got == "" && name != "" {
			t.Errorf("%q: got %q", name, got)
		}
	})
}
