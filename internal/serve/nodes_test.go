package serve

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhichNodes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "senders.yaml")
	write := func(text string) string {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	f := func(rule string, c Caller, want []string) {
		t.Helper()
		s, err := NewSenders(rule)
		if err != nil {
			t.Fatal(err)
		}
		if s.bind(&c); !cmp.Equal(want, c.Nodes) {
			t.Errorf("%q by %q: got %#v, want %#v", c.Name, rule, c.Nodes, want)
		}
	}
	ann := Caller{Name: "ann"}
	f("", ann, nil)
	f("any", ann, nil)
	f("named", ann, []string{"ann"})
	f("named", Caller{}, []string{})
	f("named", Caller{Name: "system:node:n1", Extra: map[string][]string{dnsNames: {"n1.example"}}}, []string{"n1", "n1.example"})
	f("named", Caller{Name: "x", Nodes: []string{"n1"}}, []string{"n1"}) // who checked the login knows better
	f(write("ann: [n1, n2]\nbob: ['*']\n"), ann, []string{"n1", "n2"})
	f(file, Caller{Name: "bob"}, nil)
	f(file, Caller{Name: "eve"}, []string{})
	f(file, Caller{Name: "*"}, []string{})
	f(write("'*': ['=']\nann: []\n"), ann, []string{})
	f(file, Caller{Name: "eve"}, []string{"eve"})
	f(file, Caller{Name: "*"}, []string{"*"})

	s, err := NewSenders(write("ann: [n1]"))
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range []string{"", "ann: n1: x", "- ann"} {
		write(broken)
		if err := s.Read(); err == nil {
			t.Errorf("%q was read", broken)
		}
		if s.bind(&ann); !cmp.Equal(ann.Nodes, []string{"n1"}) {
			t.Errorf("after %q: got %v", broken, ann.Nodes)
		}
		ann.Nodes = nil
	}
	for _, rule := range []string{t.TempDir(), file + "x"} {
		if _, err := NewSenders(rule); err == nil {
			t.Errorf("%q was read", rule)
		}
	}
}
