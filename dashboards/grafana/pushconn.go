package grafana

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/dial"
)

// maxAnswer is the longest answer that is read: a board.
const maxAnswer = 16 << 20

// conn asks one Grafana.
type conn struct {
	opts   PushOptions
	client *http.Client
}

func newConn(o PushOptions) *conn {
	c := &conn{opts: o, client: o.Client}
	if c.client == nil {
		c.client = dial.Client(dial.Plain())
	}
	return c
}

// statusError is an answer other than success.
type statusError struct {
	code    int
	message string
	hint    string // what a person can do
	kind    error  // one of the package's errors, or nil
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("it answered %d %s", e.code, http.StatusText(e.code))
	if e.message != "" {
		text += ": " + e.message
	}
	return text + e.hint
}

// Unwrap gives the package's error, for errors.Is.
func (e *statusError) Unwrap() error { return e.kind }

// do sends a request and decodes the answer into v, unless v is nil.
func (c *conn) do(ctx context.Context, method, path string, body, v any) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(c.opts.Timeout, 15*time.Second))
	defer cancel()
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.opts.URL, "/")+path, in)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return fmt.Errorf("cannot reach it: %w", err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("cannot read its answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return failure(resp, raw)
	}
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%w: cannot understand its answer to %s: %w", ErrNotGrafana, path, err)
	}
	return nil
}

// failure turns an answer into an error.
func failure(resp *http.Response, raw []byte) error {
	e := &statusError{code: resp.StatusCode}
	var said struct{ Message string }
	if json.Unmarshal(raw, &said) == nil {
		e.message = said.Message
	}
	switch {
	case e.code == http.StatusUnauthorized:
		e.kind, e.hint = ErrRefused, " (is the token right, and not expired? It is a service account's, or user:password)"
	case e.code == http.StatusForbidden:
		e.kind, e.hint = ErrRefused, " (the service account needs the role Editor)"
	case e.code == http.StatusConflict || e.code == http.StatusPreconditionFailed:
		e.kind, e.hint = ErrConflict, " (someone else changed it at the same moment, or the name is taken; push again)"
	case e.code/100 == 3:
		e.kind, e.message = ErrNotGrafana, fmt.Sprintf("go to %q", resp.Header.Get("Location"))
	}
	return e
}

// notFound says whether an error is the answer that there is no such thing.
func notFound(err error) bool {
	s, ok := errors.AsType[*statusError](err)
	return ok && s.code == http.StatusNotFound
}
