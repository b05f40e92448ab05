package process

import (
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzOutput: whatever a replica writes, a few lines of it are kept, each of a bounded length, that can be shown.
func FuzzOutput(f *testing.F) {
	for _, s := range []string{"", "one\ntwo\r\n", "\n\n\n", "\xff\xfe", strings.Repeat("x", 3*maxLine) + "\n", "no end", "\x1b[2J\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var o output
		o.read(strings.NewReader(text), slog.New(slog.DiscardHandler), func(int) {})
		lines := o.all()
		if len(lines) > keptLines {
			t.Errorf("%q: %d lines", text, len(lines))
		}
		for _, l := range append(lines, o.last()) {
			if len(l) > maxLine || !utf8.ValidString(l) || strings.ContainsAny(l, "\n") {
				t.Errorf("%q: kept %q", text, l)
			}
		}
	})
}
