package casefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/autoscaler/policy/strict"
)

// Reader reads the cases of a stream one after the other.
type Reader struct{ docs *strict.Reader }

// NewReader reads from r.
func NewReader(r io.Reader) *Reader { return &Reader{strict.NewReader(r)} }

// Next returns the input of the next case, io.EOF after the last. Its errors about a case are *strict.Error and name
// document, line, column and field.
func (r *Reader) Next() (policy.Input, error) {
	doc, err := r.docs.Next()
	if err != nil {
		return policy.Input{}, err
	}
	c := Case{Options: policy.DefaultOptions()}
	if err := doc.Decode(&c); err != nil {
		return policy.Input{}, err
	}
	in, err := c.Input()
	var p *problem
	if errors.As(err, &p) {
		return policy.Input{}, doc.At(p.field, p.err)
	}
	return in, err
}

// ErrNoCase is the error for input without a single document.
var ErrNoCase = errors.New("the input holds no case")

// Run decides every case read from r and writes one line of JSON for each to w. At the first case that cannot be read it
// stops with an error; the decisions of the cases before it have been written, and nothing of that case.
func Run(r io.Reader, w io.Writer) error {
	return Each(r, func(d policy.Decision) error {
		line, err := json.Marshal(d)
		if err != nil {
			return fmt.Errorf("cannot write the decision as JSON: %w", err)
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("cannot write the decision: %w", err)
		}
		return nil
	})
}

// Each decides every case read from r and hands the decisions on, for other outputs than JSON.
func Each(r io.Reader, each func(policy.Decision) error) error {
	cases := NewReader(r)
	for n := 0; ; n++ {
		in, err := cases.Next()
		switch {
		case errors.Is(err, io.EOF) && n == 0:
			return ErrNoCase
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := each(policy.Decide(in)); err != nil {
			return err
		}
	}
}
