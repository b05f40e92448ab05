package remote

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// QueryError is what the engine answered instead of data. It wraps the contract's error that it amounts to, if any.
type QueryError struct {
	Status  int
	Type    string // errorType of the API, if any
	Message string
	is      error
}

func (e *QueryError) Error() string {
	return fmt.Sprintf("the engine answers %d %s: %q", e.Status, http.StatusText(e.Status), e.Message)
}

// Unwrap gives the contract's error.
func (e *QueryError) Unwrap() error { return e.is }

// queryError classifies what the engine says.
func queryError(status int, typ, message string) *QueryError {
	e := &QueryError{Status: status, Type: typ, Message: message}
	switch {
	case status == http.StatusTooManyRequests: // a limit of requests, not of what one asks for
		e.is = store.ErrUnavailable
	case strings.Contains(message, "too many samples"), strings.Contains(message, "exceeded maximum resolution"), strings.Contains(message, "cannot select more than"),
		strings.Contains(message, "limit"):
		e.is = store.ErrTooLarge
	case typ == "timeout", status == http.StatusGatewayTimeout:
		e.is = context.DeadlineExceeded
	case store.Busy(status):
		e.is = store.ErrUnavailable
	case typ == "bad_data", status == http.StatusBadRequest:
		e.is = store.ErrBadQuery
	}
	return e
}

// ask sends a query and reads the answer as it comes.
func (r *Reader) ask(ctx context.Context, path string, form url.Values, limit int) ([]store.Series, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, store.Unreachable(ctx, dial.Hide(err))
	}
	defer func() { _ = resp.Body.Close() }() // what it would say, reading has said
	if resp.StatusCode != http.StatusOK {
		return nil, store.Unreachable(ctx, refusal(resp))
	}
	d, done := r.answers.Decoder(resp.Body)
	defer done()
	a := answer{d: d, limit: limit}
	if err := a.read(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("cannot read the answer: %w", store.Unreachable(ctx, err))
	}
	if a.status != "success" {
		return nil, queryError(resp.StatusCode, a.errorType, a.message)
	}
	if a.partial {
		return nil, &QueryError{Status: resp.StatusCode, Message: "a part of the data alone (isPartial: true); bring its storage nodes back", is: store.ErrUnavailable}
	}
	slices.SortFunc(a.out, func(x, y store.Series) int {
		return slices.CompareFunc(x.Labels, y.Labels, func(a, b metric.Label) int {
			return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Value, b.Value))
		})
	})
	return a.out, nil
}

// refusal is the error of an answer that is not 200.
func refusal(resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return fmt.Errorf("the engine answers %s, and what else it says cannot be read: %w", resp.Status, err)
	}
	var e struct{ ErrorType, Error string }
	if json.Unmarshal(body, &e) != nil || e.Error == "" {
		e.Error = string(bytes.TrimSpace(body))
	}
	return queryError(resp.StatusCode, e.ErrorType, e.Error)
}

// answer reads the API's JSON, one series at a time.
type answer struct {
	d         *json.Decoder
	limit     int
	points    int
	status    string
	errorType string
	message   string
	partial   bool // a storage node of VictoriaMetrics' cluster did not answer
	out       []store.Series
}

// series is one element of the result; a vector's has value, a matrix's values.
type series struct {
	Metric map[string]string `json:"metric"`
	Value  *sample           `json:"value"`
	Values []sample          `json:"values"`
}

// sample is [seconds, "value"].
type sample store.Sample

// UnmarshalJSON reads a sample.
func (s *sample) UnmarshalJSON(b []byte) error {
	inner := bytes.TrimSpace(b)
	if len(inner) < 2 || inner[0] != '[' || inner[len(inner)-1] != ']' {
		return fmt.Errorf("%.40q is not a sample", b)
	}
	t, v, ok := bytes.Cut(inner[1:len(inner)-1], []byte(","))
	if !ok {
		return fmt.Errorf("%.40q is not a sample", b)
	}
	seconds, err := strconv.ParseFloat(string(bytes.TrimSpace(t)), 64)
	if err != nil || math.Abs(seconds) > 1e13 {
		return fmt.Errorf("%.40q is not a time", t)
	}
	if s.V, err = strconv.ParseFloat(string(bytes.Trim(v, `" `)), 64); err != nil && !errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("%.40q is not a value", v)
	}
	s.T = int64(math.Round(seconds * 1000))
	return nil
}

// read reads the whole answer.
func (a *answer) read() error {
	return a.object(func(key string) error {
		switch key {
		case "status":
			return a.d.Decode(&a.status)
		case "errorType":
			return a.d.Decode(&a.errorType)
		case "error":
			return a.d.Decode(&a.message)
		case "isPartial":
			return a.d.Decode(&a.partial)
		case "data":
			return a.object(func(key string) error {
				if key == "result" {
					return a.result()
				}
				return a.skip()
			})
		}
		return a.skip()
	})
}

func (a *answer) skip() error {
	var v json.RawMessage
	return a.d.Decode(&v)
}

// object gives the keys of an object; f reads the value.
func (a *answer) object(f func(key string) error) error {
	if err := a.delim('{'); err != nil {
		return err
	}
	for a.d.More() {
		t, err := a.d.Token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return fmt.Errorf("%v is not a key", t)
		}
		if err := f(key); err != nil {
			return err
		}
	}
	return a.delim('}')
}

func (a *answer) delim(want json.Delim) error {
	t, err := a.d.Token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("got %v, want %q", t, want)
	}
	return nil
}

// result reads the series.
func (a *answer) result() error {
	if err := a.delim('['); err != nil {
		return err
	}
	for a.d.More() {
		var s series
		if err := a.d.Decode(&s); err != nil {
			return err
		}
		if s.Value != nil {
			s.Values = append(s.Values, *s.Value)
		}
		if a.points += len(s.Values); a.points > a.limit {
			return fmt.Errorf("%w: more than %d points", store.ErrTooLarge, a.limit)
		}
		a.out = append(a.out, s.series())
	}
	return a.delim(']')
}

func (s *series) series() store.Series {
	out := store.Series{Labels: make([]metric.Label, 0, len(s.Metric)), Samples: make([]store.Sample, len(s.Values))}
	for k, v := range s.Metric {
		if k != "__name__" && v != "" {
			out.Labels = append(out.Labels, metric.Label{Name: k, Value: v})
		}
	}
	slices.SortFunc(out.Labels, func(a, b metric.Label) int { return strings.Compare(a.Name, b.Name) })
	for i, x := range s.Values {
		out.Samples[i] = store.Sample(x)
	}
	return out
}
