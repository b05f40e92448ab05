package table

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestTable(t *testing.T) {
	x := New("NAME", "+NODE", "CPU")
	x.Add("a", "n1", "250m")
	x.Add("long-name", "n2", "2")
	x.Say("Two rows.")
	f := func(what, want string, write func(*strings.Builder) error) {
		t.Helper()
		var b strings.Builder
		if err := write(&b); err != nil || b.String() != want {
			t.Errorf("%s: got %q, %v; want %q", what, b.String(), err, want)
		}
	}
	f("narrow", "Two rows.\nNAME        CPU\na           250m\nlong-name   2\n", func(b *strings.Builder) error { return x.Write(b, false, true) })
	f("wide", "Two rows.\nNAME        NODE   CPU\na           n1     250m\nlong-name   n2     2\n", func(b *strings.Builder) error { return x.Write(b, true, true) })
	f("no header", "Two rows.\na           250m\nlong-name   2\n", func(b *strings.Builder) error { return x.Write(b, false, false) })
	f("CSV", "NAME,NODE,CPU\na,n1,250m\nlong-name,n2,2\n", func(b *strings.Builder) error { return x.CSV(b, true) })
	f("CSV, no header", "a,n1,250m\nlong-name,n2,2\n", func(b *strings.Builder) error { return x.CSV(b, false) })
	x.Fold("dark", "n3", "-")
	f("narrow, folded", "Two rows.\nNAME        CPU\na           250m\nlong-name   2\n", func(b *strings.Builder) error { return x.Write(b, false, true) })
	f("wide, folded", "Two rows.\nNAME        NODE   CPU\na           n1     250m\nlong-name   n2     2\ndark        n3     -\n", func(b *strings.Builder) error { return x.Write(b, true, true) })
	f("CSV, folded", "a,n1,250m\nlong-name,n2,2\ndark,n3,-\n", func(b *strings.Builder) error { return x.CSV(b, false) })
	only := &Table{}
	only.Say("Only this.")
	f("sentences alone", "Only this.\n", func(b *strings.Builder) error { return only.Write(b, false, true) })
}

// A name from outside cannot steer the terminal, make a row or a column of its own, or push the other columns out of sight.
func TestNamesAreWrittenSafely(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		x := New("NAME", "CPU")
		x.Add(name, "1")
		x.Say("about " + name)
		var b strings.Builder
		if err := x.Write(&b, false, false); err != nil {
			t.Fatal(err)
		}
		if got := b.String(); got != "about "+want+"\n"+want+"   1\n" {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	f("web-1", "web-1")
	f("日本 é a\u0301 👩‍💻", "日本 é a\u0301 👩‍💻")
	f("a\x1b[2J\x1b]52;c;aGk=\a", `a\x1b[2J\x1b]52;c;aGk=\a`)
	f("a\nroot  ok", `a\nroot  ok`)
	f("a\tb\vc\fd\re", `a\tb\vc\fd\re`)
	f("a\u009b31m\u0085\x7f", `a\u009b31m\u0085\x7f`)
	f("a\u202egnp.exe\u2066", `a\u202egnp.exe\u2066`)
	f("a\u2028b\u00adc\u200bd\ufeff", `a\u2028b\u00adc\u200bd\ufeff`)
	f("a\xffb\xc2", "a\ufffdb\ufffd")
	f("a\u00a0b", "a\u00a0b") // a space that does not break
}

// A name of any length leaves the other columns in sight, and is told from others; who asks for the wide table gets it whole.
func TestLongNames(t *testing.T) {
	long := strings.Repeat("ö", 1500)
	names := []string{long + "a" + long, long + "b" + long, "first-" + long + "-web", "first-" + long + "-db", "web"}
	x := New("NAME", "CPU", "WHY", "+NODE")
	for _, n := range names {
		x.Add(n, "1", strings.Repeat("why ", 100), "n1")
	}
	f := func(wide bool) []string {
		t.Helper()
		var b strings.Builder
		if err := x.Write(&b, wide, false); err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	}
	seen := map[string]bool{}
	for i, line := range f(false) {
		name, rest, _ := strings.Cut(line, " ")
		if n := utf8.RuneCountInString(name); n > 64 || seen[name] {
			t.Errorf("got %q of %d characters, seen before: %v", name, n, seen[name])
		}
		if rest = strings.TrimSpace(rest); rest != strings.TrimSpace("1   "+strings.Repeat("why ", 100)) {
			t.Errorf("beside %q: got %q, want the rest whole", names[i], rest)
		}
		seen[name] = true
	}
	for name := range seen {
		if strings.HasPrefix(name, "first-ö") != (strings.HasSuffix(name, "-web") || strings.HasSuffix(name, "-db")) {
			t.Errorf("got %q, want its beginning and its end", name)
		}
	}
	x.Add(names[1], "2", "again")
	if lines := f(false); strings.Fields(lines[5])[0] != strings.Fields(lines[1])[0] {
		t.Errorf("one name is cut in two ways: %q and %q", lines[1], lines[5])
	}
	for i, line := range f(true)[:len(names)] {
		if !strings.HasPrefix(line, names[i]+" ") {
			t.Errorf("wide: got %.80q, want the whole name", line)
		}
	}
}

// What we say stays whole, where a name is cut: it may be a command.
func TestWhatIsSaidStaysWhole(t *testing.T) {
	said, long := strings.Repeat("left as it is ", 10), strings.Repeat("x", 300)
	x := New("NAME", "=WHAT", "NOTE")
	x.Add(said, said, "")
	x.Add(long, long, "")
	var b strings.Builder
	if err := x.Write(&b, false, false); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if strings.Count(lines[0], said) != 1 || strings.Count(lines[1], strings.Repeat("x", 127)) != 2 || strings.Contains(lines[1], strings.Repeat("x", 256)) {
		t.Errorf("got %q", lines)
	}
}

// A spreadsheet takes no name for a formula, and numbers stay numbers.
func TestCSVHasNoFormulas(t *testing.T) {
	f := func(cell, want string) {
		t.Helper()
		x := New("NAME")
		x.Add(cell)
		var b strings.Builder
		if err := x.CSV(&b, false); err != nil || b.String() != want+"\n" {
			t.Errorf("%q: got %q, %v; want %q", cell, b.String(), err, want)
		}
	}
	f("=cmd|'/c calc'!A0", "'=cmd|'/c calc'!A0")
	f("@SUM(1)", "'@SUM(1)")
	f("+1+2", "'+1+2")
	f("-2+3", "'-2+3")
	f("-web", "'-web")
	f(" =1", "' =1")
	f("\t=1", `\t=1`)
	f("＝1", "'＝1")
	f("-", "-")
	f("-1.5", "-1.5")
	f("-1.5e+06", "-1.5e+06")
	f("+1", "+1")
	f("a=b", "a=b")
	f(`say "hi", twice`, `"say ""hi"", twice"`)
	f("a\nb\x1b[2J", `a\nb\x1b[2J`)
}

// JSON on a terminal steers it as little, and says the same.
func TestJSON(t *testing.T) {
	f := func(in string) {
		t.Helper()
		raw, err := json.MarshalIndent(map[string]string{in: in}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		out := JSON(raw)
		var back map[string]string
		if err := json.Unmarshal(out, &back); err != nil || back[in] != in || bytes.IndexFunc(out, concealed) >= 0 {
			t.Errorf("%q: got %q, which reads as %q, %v", in, out, back, err)
		}
	}
	f("web")
	f("a\x1b[2J\u009b31m\x7f\u202e\ufeff\U000e0041 日本\n\t")
}

func FuzzSafe(f *testing.F) {
	for _, s := range []string{"web-1", "a\x1b[2J", "\xff\xc2", "\u202e", "日本", "=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Safe(s)
		if !utf8.ValidString(got) || Safe(got) != got {
			t.Errorf("%q: got %q, which is not safe", s, got)
		}
		for _, r := range got {
			if r < ' ' || r >= 0x7f && r < 0xa0 || unicode.Is(unicode.Bidi_Control, r) {
				t.Errorf("%q: got %q, which has %U", s, got, r)
			}
		}
	})
}
