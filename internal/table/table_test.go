package table

import (
	"strings"
	"testing"
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
	only := &Table{}
	only.Say("Only this.")
	f("sentences alone", "Only this.\n", func(b *strings.Builder) error { return only.Write(b, false, true) })
}
