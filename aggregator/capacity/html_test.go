package capacity

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden pages")

type reporter interface{ HTML(w io.Writer) error }

func fixtures(t *testing.T) map[string]reporter {
	t.Helper()
	cpu, memory := 0.5, gi
	fit, err := Fit(fixtureCapacity(), Need{CPU: &cpu, Memory: &memory})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]reporter{"capacity": fixtureCapacity(), "machine": fixtureMachine(), "fit": fit, "rightsize": fixtureRightsize(),
		"empty": &CapacityReport{Start: fixtureEnd, End: fixtureEnd}}
}

// TestPages holds the pages against the golden ones, which people have looked at. All have the style of page/style.css, word for
// word; in the golden ones but the first its name stands for it.
func TestPages(t *testing.T) {
	style, err := os.ReadFile("page/style.css")
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range fixtures(t) {
		var b bytes.Buffer
		if err := r.HTML(&b); err != nil {
			t.Fatal(err)
		}
		head, rest, ok := strings.Cut(b.String(), "<style>"+string(style)+"</style>")
		if !ok {
			t.Errorf("page %s has not the style of page/style.css", name)
		}
		page := head + "<style>page/style.css</style>" + rest
		if name == "capacity" {
			page = b.String()
		}
		file := filepath.Join("testdata", name+".html")
		if *update {
			if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), page); d != "" {
			t.Errorf("%s is not as in testdata (go test ./aggregator/capacity -run Pages -update):\n%s", file, d)
		}
	}
}

// TestPagesStandAlone looks for anything that a page would fetch or run, and for names that were not escaped.
func TestPagesStandAlone(t *testing.T) {
	for name, r := range fixtures(t) {
		var b bytes.Buffer
		if err := r.HTML(&b); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"<script", "<link", "<img", "http:", "https:", "url(", "@import", "<b onmouse", "ZgotmplZ", "NaN", "Inf", "<no value>", "%!"} {
			if strings.Contains(b.String(), bad) {
				t.Errorf("page %s has %q in it", name, bad)
			}
		}
	}
}

// TestLargePages shows at most five hundred rows, and counts the rest.
func TestLargePages(t *testing.T) {
	r := fixtureCapacity()
	for i := range 2000 {
		r.Scopes = append(r.Scopes, Scope{Level: NodeLevel, Name: name("node", i), CPU: Room{FreeByRequest: at(1)}})
	}
	fit, err := Fit(r, Need{CPU: at(1)})
	if err != nil {
		t.Fatal(err)
	}
	sizes := fixtureRightsize()
	for range 2003 - len(sizes.Rows) {
		sizes.Rows = append(sizes.Rows, sizes.Rows[0])
	}
	for what, x := range map[string]reporter{"capacity": r, "fit": fit, "rightsize": sizes} {
		var b bytes.Buffer
		if err := x.HTML(&b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "1503 more are not shown; the table and CSV have them.") || b.Len() > 2<<20 {
			t.Errorf("page %s of 2,003 rows has %d bytes, and does not say what is left out", what, b.Len())
		}
	}
}
