package influx

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/store"
)

// chunkRows is how many rows the server puts into one piece of its answer.
const chunkRows = 5000

// ReadError is what the server answered instead of rows. It wraps the contract's error that it amounts to, if any.
type ReadError struct {
	Status  int // 200 when the error stood in the answer's body
	Message string
	is      error
}

func (e *ReadError) Error() string {
	if e.Status == http.StatusOK {
		return fmt.Sprintf("the server says %q", e.Message)
	}
	return fmt.Sprintf("the server answers %d %s: %q", e.Status, http.StatusText(e.Status), e.Message)
}

// Unwrap gives the contract's error.
func (e *ReadError) Unwrap() error { return e.is }

// readError classifies what the server says.
func readError(status int, message string) *ReadError {
	e := &ReadError{Status: status, Message: message}
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(message, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("max-select-point", "max-select-series", "max-select-buckets", "too many points", "query would exceed file limit"):
		e.is = store.ErrTooLarge
	case has("timeout reached", "query-timeout", "timed out"), status == http.StatusGatewayTimeout:
		e.is = context.DeadlineExceeded
	case store.Busy(status):
		e.is = store.ErrUnavailable
	case has("error parsing query"):
		e.is = store.ErrBadQuery
	}
	return e
}

// missing says whether an error only means that there is nothing yet: a measurement or roll-up that was never written.
func missing(err error) bool {
	var e *ReadError
	return errors.As(err, &e) && (strings.Contains(e.Message, "retention policy not found") || strings.Contains(e.Message, "measurement not found") ||
		strings.Contains(e.Message, "table") && strings.Contains(e.Message, "not found"))
}

// chunk is one piece of an answer.
type chunk[V any] struct {
	Results []struct {
		ID     int       `json:"statement_id"`
		Series []rows[V] `json:"series"`
		Error  string    `json:"error"`
	} `json:"results"`
	Error   string `json:"error"`
	Message string `json:"message"`
}

// rows are some of one series' rows.
type rows[V any] struct {
	Tags    map[string]string `json:"tags"`
	Columns []string          `json:"columns"`
	Values  V                 `json:"values"`
}

// cells are a row of anything.
type cells[T any] []T

// at returns the cell of a column; the zero value where there is no such column.
func (c cells[T]) at(column int) T {
	if column < 0 || column >= len(c) {
		var zero T
		return zero
	}
	return c[column]
}

// column returns a column's index, -1 if there is none.
func (r *rows[V]) column(name string) int {
	for i, c := range r.Columns {
		if c == name {
			return i
		}
	}
	return -1
}

// numbers are rows of numbers, NaN for what is null or something else. They are most of what is ever read, and are read without reflection.
type numbers struct {
	cells []float64
	ends  []int // of each row
}

// UnmarshalJSON reads an array of arrays.
func (n *numbers) UnmarshalJSON(b []byte) error {
	*n = numbers{cells: n.cells[:0], ends: n.ends[:0]}
	depth, from := 0, -1 // from is where a cell begins
	for i, c := range b {
		switch {
		case c == ' ', c == '\t', c == '\r', c == '\n':
		case depth < 2 && c == '[':
			depth++
			from = i + 1
		case depth == 1 && c == ',':
		case depth == 1 && c == ']':
			return nil // all is valid JSON
		case depth < 2, c == '"', c == '{', c == '[': // no table of numbers
			return n.slowly(b)
		case c == ',', c == ']':
			if cell := bytes.TrimSpace(b[from:i]); len(cell) > 0 {
				n.cells = append(n.cells, parsed(cell))
			}
			if from = i + 1; c == ']' {
				depth--
				n.ends = append(n.ends, len(n.cells))
			}
		}
	}
	return nil
}

// slowly reads what may be any JSON.
func (n *numbers) slowly(b []byte) error {
	*n = numbers{cells: n.cells[:0], ends: n.ends[:0]}
	var all [][]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	for _, row := range all {
		for _, cell := range row {
			n.cells = append(n.cells, parsed(cell))
		}
		n.ends = append(n.ends, len(n.cells))
	}
	return nil
}

func parsed(cell []byte) float64 {
	v, err := strconv.ParseFloat(string(cell), 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

// all are the rows.
func (n *numbers) all() iter.Seq[numberCells] {
	return func(yield func(numberCells) bool) {
		from := 0
		for _, to := range n.ends {
			if !yield(n.cells[from:to]) {
				return
			}
			from = to
		}
	}
}

// numberCells are a row of numbers.
type numberCells []float64

// at returns the cell of a column; NaN where there is no such column.
func (c numberCells) at(column int) float64 {
	if column < 0 || column >= len(c) {
		return math.NaN()
	}
	return c[column]
}

// ask sends InfluxQL and hands the rows to each as they come, so that they are held once. A statement about a measurement that was never
// written has no rows.
func ask[V any](ctx context.Context, r *Reader, p Place, text string, each func(statement int, s *rows[V]) error) error {
	resp, err := r.post(ctx, p, text)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // what it would say, reading has said
	if resp.StatusCode != http.StatusOK {
		return store.Unreachable(ctx, refusal(resp))
	}
	d, done := r.answers.Decoder(resp.Body)
	defer done()
	for first := true; ; first = false {
		var c chunk[V]
		if err := d.Decode(&c); err != nil {
			if errors.Is(err, io.EOF) && !first {
				return nil
			}
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return fmt.Errorf("cannot read the answer: %w", store.Unreachable(ctx, err))
		}
		if err := c.give(each); err != nil {
			return err
		}
	}
}

func (c *chunk[V]) give(each func(int, *rows[V]) error) error {
	if c.Error != "" {
		return readError(http.StatusOK, c.Error)
	}
	for i := range c.Results {
		res := &c.Results[i]
		if res.Error != "" {
			if err := readError(http.StatusOK, res.Error); !missing(err) {
				return err
			}
		}
		for j := range res.Series {
			if err := each(res.ID, &res.Series[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

// post sends InfluxQL. When the token is refused, the token file is read again.
func (r *Reader) post(ctx context.Context, p Place, text string) (*http.Response, error) {
	form := url.Values{"q": {text}, "db": {p.Database}, "epoch": {"ms"}, "chunked": {"true"}, "chunk_size": {strconv.Itoa(chunkRows)}}
	if p.Policy != "" {
		form.Set("rp", p.Policy)
	}
	body := form.Encode()
	for again := false; ; again = true {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.opts.Conn.Endpoint("query", nil), strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", "application/json")
		resp, err := r.opts.Conn.HTTP().Do(req)
		if err != nil || resp.StatusCode != http.StatusUnauthorized || again {
			return resp, store.Unreachable(ctx, dial.Hide(err))
		}
		_ = resp.Body.Close()
		if err := r.opts.Conn.ReadToken(); err != nil {
			return nil, err
		}
	}
}

// refusal is the error of an answer that is not 200.
func refusal(resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return fmt.Errorf("the server answers %s, and what else it says cannot be read: %w", resp.Status, err)
	}
	var c chunk[json.RawMessage]
	message := string(bytes.TrimSpace(body))
	if json.Unmarshal(body, &c) == nil && c.Error+c.Message != "" {
		message = c.Error + c.Message
	}
	return readError(resp.StatusCode, message)
}
