package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
)

func TestHelpFitsANarrowTerminal(t *testing.T) {
	var out bytes.Buffer
	a := &app{streams: streams{in: strings.NewReader(""), out: &out, err: io.Discard}, env: os.LookupEnv}
	root := a.root()
	for _, cmd := range append(root.Commands(), root) {
		if cmd.Hidden || cmd.Name() == "completion" {
			continue
		}
		out.Reset()
		wrapHelp(cmd, 80)
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		text, examples := out.String(), cmd.Example
		for line := range strings.Lines(text) {
			if line = strings.TrimRight(line, "\n"); len([]rune(line)) > 80 && !strings.Contains(examples, line) && !strings.HasPrefix(line, "  plimsoll ") {
				t.Errorf("%s --help has a line of %d columns: %q", cmd.Name(), len([]rune(line)), line)
			}
		}
		if len(strings.Fields(text)) < 20 {
			t.Errorf("%s --help says only %q", cmd.Name(), text)
		}
	}
}

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
