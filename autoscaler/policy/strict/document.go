package strict

import (
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Document is one document, not yet decoded.
type Document struct {
	Number int    // from 1
	Line   int    // of its first line, from 1
	Text   string // as it stands in the stream
	column int    // of what is left out of that line
	root   *yaml.Node
	nodes  map[string]*yaml.Node // by path, filled by Decode
	budget int
}

// chunk is text of one document or more, and where it begins: its line from 1, and the bytes of that line before it.
type chunk struct {
	text         string
	line, column int
}

// splitJSON takes the first object off a text in which another one follows it.
func (c chunk) splitJSON() (head, rest chunk) {
	at := c
	for line := range strings.Lines(c.text) {
		if !blank(line) {
			break
		}
		at = chunk{text: at.text[len(line):], line: at.line + 1}
	}
	d := json.NewDecoder(strings.NewReader(at.text))
	var object json.RawMessage
	if !opens(at.text) || d.Decode(&object) != nil {
		return c, rest
	}
	end := int(d.InputOffset())
	head, rest = at, chunk{text: at.text[end:], line: at.line, column: at.column + end}
	if head.text = at.text[:end]; !opens(strings.TrimLeft(rest.text, " \t\r\n")) {
		return c, chunk{}
	}
	if i := strings.LastIndexByte(head.text, '\n'); i >= 0 {
		rest.line, rest.column = at.line+strings.Count(head.text, "\n"), end-i-1
	}
	return head, rest
}

// opens and closes say whether a line begins and ends as an object of JSON does. Inside of one a line that opens never follows
// one that closes, so that what was read is looked through only where it may be whole.
func opens(line string) bool  { return strings.HasPrefix(strings.TrimLeft(line, " \t"), "{") }
func closes(line string) bool { return strings.HasSuffix(strings.TrimRight(line, " \t\r\n"), "}") }

// syntaxLine finds the line in an error of the YAML parser.
var syntaxLine = regexp.MustCompile(`^yaml: line (\d+): `)

// parse reads the text of one document.
func parse(number int, c chunk) (*Document, error) {
	d := &Document{Number: number, Line: c.line, Text: c.text, column: c.column}
	var doc, more yaml.Node
	in := yaml.NewDecoder(strings.NewReader(c.text))
	err := in.Decode(&doc)
	if err == nil {
		if err = in.Decode(&more); err == nil {
			return nil, d.failf(&more, "", "more follows after the end of the document; begin the next one with \"---\"")
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, d.syntax(err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, &Error{Document: number, Line: c.line, Err: errors.New("the document is empty")}
	}
	d.root = doc.Content[0]
	return d, nil
}

// syntax makes an error of one of the YAML parser.
func (d *Document) syntax(err error) *Error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	e := &Error{Document: d.Number, Line: d.Line}
	if m := syntaxLine.FindStringSubmatch(err.Error()); m != nil {
		n, _ := strconv.Atoi(m[1])
		e.Line += n - 1
		text = strings.TrimPrefix(err.Error(), m[0])
	}
	e.Err = errors.New("cannot be read as YAML: " + text)
	return e
}
