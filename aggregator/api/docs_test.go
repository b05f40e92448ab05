package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const docs = "../../docs/api.md"

// example marks a block of docs/api.md that is made from a golden file, or from the n-th answer in one.
var example = regexp.MustCompile("(?s)<!-- example: (\\S+?)(?: (\\d+))? -->\n```(?:json|text)\n.*?\n```\n")

// The examples in docs/api.md are the goldens; -update rewrites them.
func TestDocsShowTheGoldens(t *testing.T) {
	old, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	got := example.ReplaceAllStringFunc(string(old), func(block string) string {
		n++
		m := example.FindStringSubmatch(block)
		body, kind, err := exampleOf(m[1], m[2])
		if err != nil {
			t.Errorf("%s: %v", m[1], err)
			return block
		}
		head, _, _ := strings.Cut(block, "\n")
		return head + "\n```" + kind + "\n" + strings.TrimSpace(body) + "\n```\n"
	})
	if n < 17 {
		t.Errorf("%s has %d examples; their form is %s", docs, n, example)
	}
	if *update {
		if err := os.WriteFile(docs, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != string(old) {
		t.Errorf("%s does not show what the goldens say; run this test with -update", docs)
	}
}

// exampleOf returns the body of an example: JSON, small things on one line, or one request of a text golden.
func exampleOf(file, nth string) (body, kind string, err error) {
	raw, err := os.ReadFile(filepath.Join("../..", file))
	if err != nil {
		return "", "", err
	}
	if strings.HasSuffix(file, ".json") {
		var b strings.Builder
		err := compact(&b, bytes.TrimSpace(raw), "")
		return b.String(), "json", err
	}
	parts := strings.Split("\n"+string(raw), "\nGET ")[1:]
	i := 1
	if nth != "" {
		if _, err := fmt.Sscan(nth, &i); err != nil {
			return "", "", err
		}
	}
	if i > len(parts) {
		return "", "", fmt.Errorf("has %d answers, not %d", len(parts), i)
	}
	return "GET " + parts[i-1], "text", nil
}

// compact writes JSON so that what fits on a line is on one.
func compact(to *strings.Builder, raw []byte, indent string) error {
	var flat bytes.Buffer
	if err := json.Compact(&flat, raw); err != nil {
		return err
	}
	if flat.Len()+len(indent) <= 110 || flat.Bytes()[0] != '{' && flat.Bytes()[0] != '[' {
		to.Write(flat.Bytes())
		return nil
	}
	if flat.Bytes()[0] == '[' {
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return err
		}
		to.WriteString("[")
		for i, item := range items {
			to.WriteString(comma(i) + "\n" + indent + "  ")
			if err := compact(to, item, indent+"  "); err != nil {
				return err
			}
		}
		to.WriteString("\n" + indent + "]")
		return nil
	}
	return compactObject(to, flat.Bytes(), indent)
}

// compactObject keeps the order of the fields, and puts short ones beside each other.
func compactObject(to *strings.Builder, raw []byte, indent string) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return err
	}
	to.WriteString("{")
	width := 1000
	for i := 0; d.More(); i++ {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		var v strings.Builder
		if err := compact(&v, value, indent+"  "); err != nil {
			return err
		}
		field := fmt.Sprintf("%q: %s", key, v.String())
		to.WriteString(comma(i))
		if width+len(field) > 110 || strings.Contains(field, "\n") {
			to.WriteString("\n" + indent + "  ")
			width = len(indent)
		} else {
			to.WriteString(" ")
		}
		to.WriteString(field)
		if width += len(field) + 2; strings.Contains(field, "\n") {
			width = 1000
		}
	}
	to.WriteString("\n" + indent + "}")
	return nil
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

// Every path, parameter and order is in the documentation.
func TestDocsNameEverything(t *testing.T) {
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, r := range newAPI(t, nil).Routes() {
		words = append(words, strings.ReplaceAll(r.Pattern, "...", ""))
	}
	for _, key := range sortKeys {
		words = append(words, "`"+key+"`")
	}
	for _, w := range append(words, "`q`", "`limit`", "`sort`", "`namespace`", "`action`", "`start`", "`window`", "`level`", "`by`", "`cpu`", "`memory`", "`format`", "`view`", "`workload`", "Retry-After") {
		if !strings.Contains(string(text), w) {
			t.Errorf("%s does not tell of %s", docs, w)
		}
	}
}
