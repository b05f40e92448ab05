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
	"strings"
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

// Reader splits a stream into documents: YAML documents divided by "---" or ended by "...", or JSON objects one after the other.
type Reader struct {
	in     *bufio.Reader
	line   int    // lines read so far
	number int    // documents handed out
	kept   string // a line that belongs to the next document
	rest   chunk  // what follows the object handed out last
	end    bool
}

// NewReader reads from r.
func NewReader(r io.Reader) *Reader { return &Reader{in: bufio.NewReaderSize(r, 64<<10)} }

// Next returns the next document that is not empty, io.EOF after the last. After an *Error about one document the next
// one may be read.
func (r *Reader) Next() (*Document, error) {
	for {
		c, err := r.rest, error(nil)
		if r.rest = (chunk{}); c.text == "" {
			c.text, c.line, err = r.text()
		}
		switch {
		case errors.Is(err, ErrTooLarge):
			r.number++
			return nil, &Error{Document: r.number, Line: c.line, Err: err}
		case err != nil:
			return nil, err
		case blank(c.text):
			continue
		}
		r.number++
		c, r.rest = c.splitJSON()
		return parse(r.number, c)
	}
}

// text collects the lines of one document and tells the number of its first.
func (r *Reader) text() (text string, first int, err error) {
	var b strings.Builder
	first, size := r.line+1, 0
	prev := r.kept // the line before
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
		if isMarker(line, "---") || opens(line) && closes(prev) && json.Valid([]byte(b.String())) {
			r.kept = line
			break
		}
		if isMarker(line, "...") {
			break
		}
		prev = line
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

// isMarker says whether a line is the marker "---" or "...", with what may follow it.
func isMarker(line, marker string) bool {
	rest, ok := strings.CutPrefix(line, marker)
	return ok && (rest == "" || strings.ContainsRune(" \t\r\n", rune(rest[0])))
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
