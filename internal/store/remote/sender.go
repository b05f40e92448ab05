package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
)

// maxParts is the most requests that a record is sent in when the engine refuses parts of it; what is not told apart by then is
// refused as a whole.
const maxParts = 200

// Encode makes a record for the queue of a batch: a remote write 2.0 request, with the labels that each entity is to have (identity.Labels
// for an engine, identity.Wire for a server of ours). What can never be stored is left out and counted. The record is nil if nothing is left.
func Encode(b *metric.Batch, labels func(*metric.Entity) []metric.Label, now time.Time) (record []byte, points int, left remotewrite.Left, err error) {
	b, left = remotewrite.Clean(b, now)
	if points = b.Samples(); points == 0 && len(b.Gaps) == 0 {
		return nil, 0, left, nil
	}
	record, err = remotewrite.Encode(b, labels)
	return record, points, left, err
}

// SenderOptions say where records go.
type SenderOptions struct {
	Endpoint EndpointOptions
	Logger   *slog.Logger // nil: nothing is logged
}

// sendTimeout is a request's.
const sendTimeout = 30 * time.Second

// Sender gives records to an engine. It is safe for concurrent use.
type Sender struct {
	opts    SenderOptions
	client  *http.Client
	version atomic.Uint32 // remotewrite.Version; zero: 2.0 is tried, but was never confirmed
	refuses atomic.Pointer[refusing]
}

// NewSender returns a sender. It starts nothing.
func NewSender(o SenderOptions) (*Sender, error) {
	if err := o.Endpoint.Validate(); err != nil {
		return nil, fmt.Errorf("cannot send by remote write: %w", err)
	}
	if o.Endpoint.WriteURL == "" {
		return nil, errors.New("cannot send by remote write: no remote write URL")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Sender{opts: o, client: o.Endpoint.client()}, nil
}

// Close closes the connections that are kept alive.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// Refusal is a part of a record that the engine will never take.
type Refusal struct {
	Record  []byte // a record that holds this part alone
	Samples int
	Message string // the engine's words
}

// Send gives a record to the engine. With a nil error the engine has everything but what it refused, which is for the dead
// letters. An error is a *SendError (or the context's); then the whole record is to be sent again, which is harmless, and what was
// refused does not count.
func (s *Sender) Send(ctx context.Context, record []byte) ([]Refusal, error) {
	err := s.post(ctx, func() ([]byte, error) { return record, nil }, func() ([]byte, error) {
		r, err := remotewrite.Decode(record)
		if err != nil {
			return nil, err
		}
		return r.Encode(remotewrite.V1)
	})
	if errors.Is(err, remotewrite.ErrBroken) {
		return []Refusal{{Record: record, Message: err.Error()}}, nil
	}
	class, ok := divisible(err)
	if !ok {
		if err == nil {
			s.refuses.Store(nil)
		}
		return nil, err
	}
	if known := s.refuses.Load().again(err); known != nil {
		return nil, known
	}
	whole, derr := remotewrite.Decode(record)
	if derr != nil {
		return []Refusal{{Record: record, Message: derr.Error()}}, nil //nolint:nilerr // what cannot be read is refused for ever
	}
	d := division{left: maxParts}
	refused, derr := s.divide(ctx, whole, err, class, &d)
	if derr != nil || d.accepted || len(refused) == 0 || !slices.ContainsFunc(refused, func(f Refusal) bool { return !ofSamples(f.Message) }) {
		return refused, derr
	}
	if err := s.refusesAll(ctx, whole, err); err != nil {
		return nil, err
	}
	return refused, nil
}

// division is how far a record has been sent in parts.
type division struct {
	left     int  // requests that may still be spent
	accepted bool // some part was
}

// refusesAll says whether a refusal that we do not know, of a whole record, is about something that a person can mend: an engine that
// refuses every series, and of a record of one also a request without any, would refuse all others too.
func (s *Sender) refusesAll(ctx context.Context, r *remotewrite.Request, refusal error) error {
	if r.Series() == 1 {
		empty, _ := r.Halves()
		v := func(v remotewrite.Version) func() ([]byte, error) {
			return func() ([]byte, error) { return empty.Encode(v) }
		}
		if s.post(ctx, v(remotewrite.V2), v(remotewrite.V1)) == nil {
			return nil
		}
	}
	var se *SendError
	errors.As(refusal, &se)
	known := &refusing{as: SendError{Class: Configuration, Status: se.Status, Message: se.Message}}
	s.refuses.Store(known)
	return &known.as
}

// refusing is what an engine says that refuses everything.
type refusing struct {
	as    SendError
	asked atomic.Int32
}

// again says whether an engine still refuses everything, without asking for each part: it says the same. Every tenth time it is asked.
func (r *refusing) again(err error) error {
	var se *SendError
	if r == nil || !errors.As(err, &se) || se.Class != Refused || se.Message != r.as.Message || r.asked.Add(1)%10 == 0 {
		return nil
	}
	return &r.as
}

// divisible says whether an error calls for sending the parts.
func divisible(err error) (Class, bool) {
	var se *SendError
	if errors.As(err, &se) && (se.Class == TooLarge || se.Class == Refused) {
		return se.Class, true
	}
	return 0, false
}

// divide sends the halves of what was refused with err.
func (s *Sender) divide(ctx context.Context, r *remotewrite.Request, err error, class Class, d *division) ([]Refusal, error) {
	var se *SendError
	if class == TooLarge && r.Series() < 2 {
		return nil, err
	}
	if errors.As(err, &se) && r.Series() < 2 || d.left <= 0 && class == Refused {
		record, err := r.Encode(remotewrite.V2)
		return []Refusal{{Record: record, Samples: r.Samples(), Message: se.Message}}, err
	}
	var out []Refusal
	a, b := r.Halves()
	for _, half := range []*remotewrite.Request{a, b} {
		d.left--
		err := s.post(ctx, func() ([]byte, error) { return half.Encode(remotewrite.V2) }, func() ([]byte, error) { return half.Encode(remotewrite.V1) })
		class, ok := divisible(err)
		if !ok {
			if err != nil {
				return nil, err
			}
			d.accepted = true
			continue
		}
		refused, err := s.divide(ctx, half, err, class, d)
		if err != nil {
			return nil, err
		}
		out = append(out, refused...)
	}
	return out, nil
}

// post sends a request in the version that the engine takes.
func (s *Sender) post(ctx context.Context, v2, v1 func() ([]byte, error)) error {
	known := remotewrite.Version(s.version.Load())
	if known != remotewrite.V1 {
		body, err := v2()
		if err != nil {
			return err
		}
		confirmed, err := s.once(ctx, body, remotewrite.V2)
		var se *SendError
		errors.As(err, &se)
		switch {
		case confirmed:
			if known == 0 {
				s.version.Store(uint32(remotewrite.V2))
			}
			return err
		case known == remotewrite.V2 && err != nil, se != nil && se.Status != http.StatusUnsupportedMediaType && se.Class != Refused:
			return err
		}
	}
	body, err := v1()
	if err != nil {
		return err
	}
	_, err = s.once(ctx, body, remotewrite.V1)
	if err == nil && known != remotewrite.V1 {
		s.version.Store(uint32(remotewrite.V1))
		s.opts.Logger.Info("engine takes remote write 1.0 only", "url", s.opts.Endpoint.WriteURL)
	}
	return err
}

// once sends one request. confirmed says that the engine knows 2.0.
func (s *Sender) once(ctx context.Context, body []byte, v remotewrite.Version) (confirmed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.opts.Endpoint.WriteURL, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	remotewrite.SetHeader(r.Header, v)
	resp, err := s.client.Do(r)
	if err != nil {
		return false, &SendError{Class: unreached(err), err: dial.Hide(err)}
	}
	defer func() { _ = resp.Body.Close() }() // what it would say, reading has said
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return false, &SendError{Class: Transient, err: err}
	}
	message := strings.TrimSpace(string(text))
	confirmed = v == remotewrite.V2 && resp.Header.Get(remotewrite.WrittenHeader) != ""
	if resp.StatusCode/100 == 2 {
		return confirmed, nil
	}
	return confirmed, &SendError{Class: classify(resp.StatusCode, message), Status: resp.StatusCode, Message: message, RetryAfter: retryAfter(resp.Header, time.Now())}
}
