// Package strict reads YAML and JSON documents into Go values and refuses what does not fit: unknown and repeated
// fields, wrong types, aliases that blow up. Every error names its document, line, column and field. Case files and
// policy files are read with it.
package strict

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxDocument is the largest document that is read, in bytes.
const MaxDocument = 4 << 20

// Error says where a document cannot be read, and why. Line and Column count from 1; 0 means not known.
type Error struct {
	Document     int
	Line, Column int
	Field        string // path of the field, "" if it is not about one
	Err          error
}

// Error reads `document 2, line 14, column 3: policy.maxReplicas "x" is not a whole number`.
func (e *Error) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "document %d", e.Document)
	if e.Line > 0 {
		fmt.Fprintf(&s, ", line %d", e.Line)
	}
	if e.Column > 0 {
		fmt.Fprintf(&s, ", column %d", e.Column)
	}
	s.WriteString(": ")
	if e.Field != "" {
		s.WriteString(e.Field + ": ")
	}
	s.WriteString(e.Err.Error())
	return s.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrTooLarge is the cause of the error for a document above MaxDocument.
var ErrTooLarge = fmt.Errorf("the document is larger than %d MiB", MaxDocument>>20)

// Reader splits a stream into documents: YAML documents divided by "---", or JSON with one document a line.
type Reader struct {
	in     *bufio.Reader
	line   int    // lines read so far
	number int    // documents handed out
	kept   string // a line that belongs to the next document
	end    bool
}

// NewReader reads from r.
func NewReader(r io.Reader) *Reader { return &Reader{in: bufio.NewReaderSize(r, 64<<10)} }

// Document is one document, not yet decoded.
type Document struct {
	Number int // from 1
	Line   int // of its first line, from 1
	root   *yaml.Node
	nodes  map[string]*yaml.Node // by path, filled by Decode
	budget int
}

// Next returns the next document that is not empty, io.EOF after the last. After an *Error about one document the next
// one may be read.
func (r *Reader) Next() (*Document, error) {
	for {
		text, first, err := r.text()
		if err == nil || errors.Is(err, ErrTooLarge) {
			if err == nil && blank(text) {
				continue
			}
			r.number++
		}
		if err != nil {
			if errors.Is(err, ErrTooLarge) {
				return nil, &Error{Document: r.number, Line: first, Err: err}
			}
			return nil, err
		}
		return parse(r.number, first, text)
	}
}

// text collects the lines of one document and tells the number of its first.
func (r *Reader) text() (text string, first int, err error) {
	var b strings.Builder
	first, size := r.line+1, 0
	if r.kept != "" {
		first = r.line
		b.WriteString(r.kept)
		size, r.kept = len(r.kept), ""
	}
	for !r.end {
		line, err := r.readLine()
		if errors.Is(err, io.EOF) {
			r.end = true
		} else if err != nil {
			return "", first, fmt.Errorf("cannot read the input: %w", err)
		}
		if line == "" {
			break
		}
		r.line++
		if marker(line) || (strings.HasPrefix(line, "{") && oneLineJSON(b.String())) {
			r.kept = line
			break
		}
		if size += len(line); size <= MaxDocument {
			b.WriteString(line)
		}
	}
	switch {
	case size > MaxDocument:
		return "", first, ErrTooLarge
	case r.end && r.kept == "" && b.Len() == 0:
		return "", first, io.EOF
	}
	return b.String(), first, nil
}

// readLine reads a line with its end; of a line longer than a document only the beginning is kept.
func (r *Reader) readLine() (string, error) {
	var b strings.Builder
	for {
		part, err := r.in.ReadSlice('\n')
		if b.Len() <= MaxDocument {
			b.Write(part)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return b.String(), err
		}
	}
}

// marker says whether a line divides documents.
func marker(line string) bool {
	rest, ok := strings.CutPrefix(line, "---")
	return ok && (rest == "" || strings.ContainsRune(" \t\r\n", rune(rest[0])))
}

// oneLineJSON says whether what was read so far is one whole JSON object on one line.
func oneLineJSON(s string) bool {
	s = strings.TrimRight(s, "\r\n")
	return strings.HasPrefix(s, "{") && !strings.Contains(s, "\n") && json.Valid([]byte(s))
}

// blank says whether a document has nothing but markers, comments and directives.
func blank(text string) bool {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line == "---" || line == "..." || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "%") || strings.HasPrefix(line, "--- #") {
			continue
		}
		return false
	}
	return true
}

// syntaxLine finds the line in an error of the YAML parser.
var syntaxLine = regexp.MustCompile(`^yaml: line (\d+): `)

// parse reads the text of one document.
func parse(number, first int, text string) (*Document, error) {
	d := &Document{Number: number, Line: first}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		e := &Error{Document: number, Line: first, Err: errors.New("cannot be read as YAML: " + strings.TrimPrefix(err.Error(), "yaml: "))}
		if m := syntaxLine.FindStringSubmatch(err.Error()); m != nil {
			n, _ := strconv.Atoi(m[1])
			e.Line += n - 1
			e.Err = errors.New("cannot be read as YAML: " + strings.TrimPrefix(err.Error(), m[0]))
		}
		return nil, e
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, &Error{Document: number, Line: first, Err: errors.New("the document is empty")}
	}
	d.root = doc.Content[0]
	return d, nil
}
