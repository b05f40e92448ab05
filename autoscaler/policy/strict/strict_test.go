package strict

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
)

// kinds has a field of every kind that is read.
type kinds struct {
	Text   string            `json:"text"`
	Yes    bool              `json:"yes"`
	Small  int32             `json:"small"`
	Big    *int64            `json:"big"`
	Share  float64           `json:"share"`
	At     time.Time         `json:"at"`
	For    time.Duration     `json:"for"`
	Amount resource.Quantity `json:"amount"`
	List   []inner           `json:"list"`
	Map    map[string]int32  `json:"map"`
	inner  int               //nolint:unused // the decoder must leave it alone
	Embedded
	Hidden string `json:"-"`
}

type inner struct {
	Name string `json:"name"`
}

// Embedded is read as if its fields were those of kinds.
type Embedded struct {
	Inside string `json:"inside"`
}

const every = `text: a
yes: true
small: -3
big: 9000000000
share: 0.5
at: 2026-01-01T00:00:00Z
for: 1m30s
amount: 150m
list: [{name: x}, {}]
map: {a: 1}
inside: b
`

func TestDecode(t *testing.T) {
	doc, err := NewReader(strings.NewReader(every)).Next()
	if err != nil {
		t.Fatal(err)
	}
	var got kinds
	if err := doc.Decode(&got); err != nil {
		t.Fatal(err)
	}
	big := int64(9000000000)
	want := kinds{Text: "a", Yes: true, Small: -3, Big: &big, Share: 0.5, At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), For: 90 * time.Second,
		Amount: resource.MustParse("150m"), List: []inner{{"x"}, {}}, Map: map[string]int32{"a": 1}, Embedded: Embedded{"b"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(kinds{}), cmp.Comparer(func(a, b resource.Quantity) bool { return a.Cmp(b) == 0 })); diff != "" {
		t.Error(diff)
	}
	if err := doc.At("list[1].name", errors.New("is missing")); err.Error() != "document 1, line 9, column 19: list[1].name: is missing" {
		t.Error(err)
	}
}

func TestDecodeErrors(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		doc, err := NewReader(strings.NewReader(in)).Next()
		if err == nil {
			err = doc.Decode(&kinds{})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error with %q", in, err, want)
		}
	}
	f("txt: a", `document 1, line 1, column 1: unknown field "txt"`)
	f("Hidden: a", `unknown field "Hidden"`)
	f("inner: 1", `unknown field "inner"`)
	f("text: 1", `text: must be text; write "1" with quotes`)
	f("yes: yes", `yes: "yes" is not true or false`)
	f("small: 2147483648", `small: "2147483648" is too large`)
	f("small: 1.5", `small: "1.5" is not a whole number`)
	f("share: much", `share: "much" is not a number`)
	f("at: now", `at: "now" is not a time`)
	f("for: 3", `for: "3" is not a duration`)
	f("amount: [1]", `amount: must be a single value, not a list`)
	f("amount: 1e99999", `an exponent that is out of reach`)
	f("list: {name: x}", `list: must be a list, not a mapping`)
	f("list:\n- name: x\n- nam: y", `line 3, column 3: list[1]: unknown field "nam"`)
	f("map: {a: 1, a: 2}", `map: field "a" is given twice`)
	f("map: {a: }", `column 10: map.a: has no value`)
	f("map: {a: ~}", `map.a: has no value`)
	f("? [a]\n: b", `names of fields must be plain text`)
	f("<<: {text: a}", `names of fields must be plain text`)
	f("just text", `must be a mapping, not "just text"`)
	f("text: 'a", `cannot be read as YAML`)
}

// TestDocuments: however documents follow each other, none is passed over, and each knows where it stands.
func TestDocuments(t *testing.T) {
	f := func(in string, want ...string) {
		t.Helper()
		var got []string
		for r := NewReader(strings.NewReader(in)); ; {
			doc, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			var k kinds
			if err == nil {
				err = doc.Decode(&k)
			}
			var e *Error
			switch {
			case errors.As(err, &e):
				got = append(got, e.Error())
			case err != nil:
				t.Fatal(err)
			default:
				got = append(got, k.Text+doc.At("text", errors.New("")).Error()[len("document 1, "):])
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
	}
	a, b := `aline 1, column 10: text: `, `bline 2, column 10: text: `
	f("text: a\n---\ntext: b\n", "aline 1, column 7: text: ", "bline 3, column 7: text: ")
	f("text: a\n...\ntext: b\n...\n", "aline 1, column 7: text: ", "bline 3, column 7: text: ")
	f("text: a\n... # end\n---\ntext: b\n", "aline 1, column 7: text: ", "bline 4, column 7: text: ")
	f(`{"text": "a"}`+"\n"+`{"text": "b"}`+"\n", a, b)
	f(`{"text": "a"}{"text": "b"}`, a, "bline 1, column 23: text: ")
	f(`{"text": "a"} {"text": "b"}`+"\n---\n"+`{"text": "c"}`, a, "bline 1, column 24: text: ", "cline 3, column 10: text: ")
	f("{\n  \"text\": \"a\"\n}\n{\n\t\"text\": \"b\"\n} \n\n {\"text\": \"c\"}\n", "aline 2, column 11: text: ", "bline 5, column 10: text: ", "cline 8, column 11: text: ")
	f("---\n\n# two\n"+`{"text": "a"}`+"\n"+`{"text": "b"}`, "aline 4, column 10: text: ", "bline 5, column 10: text: ")
	f("  "+`{"text": "a"}`+"\n  "+`{"text": "b"}`+"\n", "aline 1, column 12: text: ", "bline 2, column 12: text: ")
	f("text: |\n  {}\n  {}\n", "{}\n{}\nline 1, column 7: text: ")
	f(`{"text": "a"}`+"\ntext: b\n", "document 1, line 1: cannot be read as YAML: did not find expected <document start>")
	f("text: a\n--- {text: b}\n", "aline 1, column 7: text: ", "bline 2, column 12: text: ")
	f(`{"text": "a"} {"txt": "b"}`, a, `document 2, line 1, column 16: unknown field "txt"`)
}

// TestAliases: aliases are followed, and what they blow up to is bounded.
func TestAliases(t *testing.T) {
	var in strings.Builder
	in.WriteString("list: &a [" + strings.Repeat("{name: x}, ", 1000) + "]\n")
	for i := range 2000 {
		fmt.Fprintf(&in, "---\nlist: [%d]\n", i)
	}
	r := NewReader(strings.NewReader(in.String()))
	if doc, err := r.Next(); err != nil || doc.Decode(&kinds{}) != nil {
		t.Fatalf("the first document: %v", err)
	}
	type deep struct {
		A [][][]inner `json:"a"`
	}
	row := "[" + strings.Repeat("*x, ", 200) + "]"
	text := "a:\n- - &x [" + strings.Repeat("{name: y}, ", 200) + "]\n- &y " + row + "\n" + strings.Repeat("- *y\n", 200)
	doc, err := NewReader(strings.NewReader(text)).Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Decode(&deep{}); err == nil || !strings.Contains(err.Error(), "holds more than") {
		t.Errorf("eight million values by aliases: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(every)
	f.Add(every + "---\n" + every)
	f.Add("{\"text\": \"a\"}\n{\"text\": \"b\"}\n")
	f.Add("a: &a\n- *a\n")
	f.Add("text: a\n...\ntext: b\n")
	f.Add("{\"text\": \"a\"} {\n\"text\": \"b\"\n}\n {}")
	f.Fuzz(func(t *testing.T, in string) {
		r := NewReader(strings.NewReader(in))
		for {
			doc, err := r.Next()
			if err == nil {
				err = doc.Decode(&kinds{})
			}
			var e *Error
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil && !errors.As(err, &e):
				t.Fatalf("an error without a place: %v", err)
			}
		}
	})
}
