package influx

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/store"
)

// Errors of set-up that callers can test for with errors.Is.
var (
	// ErrUnauthorized is a token that the server does not know.
	ErrUnauthorized = errors.New("InfluxDB does not accept the token")
	// ErrForbidden is a right that the token does not have.
	ErrForbidden = errors.New("the token lacks a right")
	// ErrNoOrg is an organization that does not exist, or that the token may not see.
	ErrNoOrg = errors.New("no such organization")
	// ErrNotInflux is a server that is none of the InfluxDBs we know.
	ErrNotInflux = errors.New("not an InfluxDB that we know")
)

// requestTimeout is the deadline of a request whose caller sets none.
const requestTimeout = 30 * time.Second

// do sends a request to the server's API; body and answer are JSON, either may be nil.
func (c *Conn) do(ctx context.Context, method, path string, query url.Values, body, answer any) error {
	ctx, cancel := deadline(ctx)
	defer cancel()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.Endpoint(path, query), in)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	_, err = c.send(r, answer)
	return err
}

// deadline bounds a request whose caller does not.
func deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, requestTimeout)
}

// maxReply bounds an answer that is read whole.
const maxReply = 16 << 20

// send sends a request, reads the answer, and returns its headers.
func (c *Conn) send(r *http.Request, answer any) (http.Header, error) {
	header, b, err := c.exchange(r)
	if err != nil || answer == nil {
		return header, err
	}
	if err := json.Unmarshal(b, answer); err != nil {
		return header, fmt.Errorf("cannot read the answer of InfluxDB at %q (%s): %w", c.opts.URL, clip(string(b), 80), err)
	}
	return header, nil
}

// exchange sends a request and reads the answer, which must tell no error.
func (c *Conn) exchange(r *http.Request) (http.Header, []byte, error) {
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot reach InfluxDB at %q: %s: %w", dial.Redact(c.opts.URL), explain(err), dial.Hide(err))
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the answer of InfluxDB at %q: %w", dial.Redact(c.opts.URL), err)
	}
	if resp.StatusCode >= 300 {
		return nil, nil, c.hint(statusError(resp.StatusCode, b))
	}
	return resp.Header, b, nil
}

// hint says of a refused token where it came from.
func (c *Conn) hint(err error) error {
	switch {
	case !errors.Is(err, ErrUnauthorized):
		return err
	case c.opts.TokenFile == "":
		return fmt.Errorf("%w: no token file is given", err)
	}
	return fmt.Errorf("%w: it is from file %q, which on 1.x holds user:password", err, c.opts.TokenFile)
}

// status is an answer that tells an error.
type status struct {
	code    int
	message string
	kind    error
}

func (e *status) Error() string {
	m := fmt.Sprintf("InfluxDB answers %d: %s", e.code, e.message)
	if e.kind != nil {
		m = fmt.Sprintf("%v (%s)", e.kind, m)
	}
	return m
}

func (e *status) Unwrap() error { return e.kind }

func statusError(code int, body []byte) error {
	var j struct{ Message, Error string }
	e := &status{code: code, message: strings.TrimSpace(string(body))}
	if json.Unmarshal(body, &j) == nil && j.Message+j.Error != "" {
		e.message = j.Message
		if e.message == "" {
			e.message = j.Error
		}
	}
	e.message = clip(e.message, 300)
	switch {
	case store.Busy(code):
		e.kind = store.ErrUnavailable
	case code == http.StatusUnauthorized:
		e.kind = ErrUnauthorized
	case code == http.StatusForbidden:
		e.kind = ErrForbidden
	}
	return e
}

// statusOf is the status of an answer that told an error, 0 if there was none.
func statusOf(err error) int {
	var e *status
	if errors.As(err, &e) {
		return e.code
	}
	return 0
}

// table is one series of an InfluxQL answer.
type table struct {
	Name    string
	Columns []string
	Values  [][]any
}

// col returns a row's column as text, "" if there is none.
func (t *table) col(row []any, name string) string {
	for i, c := range t.Columns {
		if c == name && i < len(row) && row[i] != nil {
			return fmt.Sprint(row[i])
		}
	}
	return ""
}

// influxQL runs one statement. Errors of InfluxQL come with status 200, inside of the answer.
func (c *Conn) influxQL(ctx context.Context, statement string) ([]table, error) {
	ctx, cancel := deadline(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Endpoint("query", nil), strings.NewReader(url.Values{"q": {statement}}.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	var a struct {
		Results []struct {
			Series []table
			Error  string
		}
		Error string
	}
	if _, err := c.send(r, &a); err != nil {
		return nil, fmt.Errorf("cannot run %q: %w", clip(statement, 100), err)
	}
	if len(a.Results) > 0 && a.Error == "" {
		a.Error = a.Results[0].Error
	}
	if a.Error != "" {
		return nil, fmt.Errorf("cannot run %q: %w", clip(statement, 100), qlError(a.Error))
	}
	if len(a.Results) == 0 {
		return nil, nil
	}
	return a.Results[0].Series, nil
}

// qlError is an error inside of an answer.
func qlError(message string) error {
	for _, s := range []string{"not authorized", "requires admin", "no privileges"} {
		if strings.Contains(strings.ToLower(message), s) {
			return &status{code: http.StatusForbidden, message: message, kind: ErrForbidden}
		}
	}
	return &status{code: http.StatusOK, message: message}
}

// ident writes a name of InfluxQL.
func ident(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
