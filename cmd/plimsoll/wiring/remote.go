package wiring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/collector"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/disk"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/queue"
	"plimsoll.dev/plimsoll/internal/remotewrite"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/decisions"
	"plimsoll.dev/plimsoll/internal/store/remote"
)

// Remote keeps the history in a remote-write engine, which answers PromQL.
type Remote struct {
	URL, QueryURL string
	Login         dial.Options
	// ToServer says that a Plimsoll server takes it, which is told who sends.
	ToServer bool
	Queue    Queue
	// Decisions have no place in remote write: they are kept here.
	Decisions Embedded
}

// remoteHistory queues what is appended, from where it goes to a remote-write engine.
type remoteHistory struct {
	end    remote.EndpointOptions
	queue  *queue.Queue
	writer *remote.Writer
	flags  dial.Flags
	log    *slog.Logger
}

// writing opens the writing half: the queue and what empties it. Its connections are its own: on one with the live lane a backlog
// would go before the present.
func (o Remote) writing(e *environment) (*remoteHistory, error) {
	login, err := e.login(o.Login)
	if err != nil {
		return nil, err
	}
	h := &remoteHistory{end: remote.EndpointOptions{WriteURL: o.URL, QueryURL: o.QueryURL, Headers: http.Header{}, Transport: login}, flags: o.Login.Flags, log: e.named("remote")}
	if o.ToServer {
		h.end.Headers.Set(remotewrite.SourceHeader, e.source)
	}
	sender, err := remote.NewSender(remote.SenderOptions{Endpoint: h.end, Logger: h.log})
	if err != nil {
		return nil, err
	}
	e.life.Opened("connections to "+o.URL, func() error { sender.Close(); return nil })
	if h.queue, err = o.Queue.open(e, "remote"); err != nil {
		return nil, err
	}
	if h.writer, err = remote.NewWriter(remote.WriterOptions{Sender: sender, Source: &inOrder{queue: h.queue}, DeadLetters: deadRecords{h.queue}, Logger: h.log, Registerer: e.registry, Fix: h.fix}); err != nil {
		return nil, err
	}
	e.life.Runs("remote writer", h.writer.Run)
	return h, nil
}

func (o Remote) openWriting(e *environment) (collector.Sink, error) {
	h, err := o.writing(e)
	if err != nil {
		return nil, err
	}
	e.sends(h.queue.Health, h.conditions)
	return toStore{h}, nil
}

func (o Remote) open(e *environment) (history, error) {
	h, err := o.writing(e)
	if err != nil {
		return nil, err
	}
	reader, err := remote.NewReader(remote.ReaderOptions{Endpoint: h.end})
	if err != nil {
		return nil, err
	}
	e.life.Opened("the reader of "+o.URL, reader.Close)
	data, err := disk.Claim("data folder", o.Decisions.Dir)
	if err != nil {
		return nil, err
	}
	e.life.Opened("the data folder", data.Release)
	decided, err := decisions.Open(data, decisions.Options{MaxBytes: o.Decisions.MaxBytes, Retention: o.Decisions.Retention,
		Report: func(what string) { e.named("store").Warn("store repaired", "what", what) }})
	if err != nil {
		return nil, err
	}
	e.life.Opened("the decision log", decided.Close)
	e.life.Runs("decision log", decided.Run)
	e.keeps(h.queue.Health, h.conditions)
	return struct {
		store.Appender
		store.Querier
		store.DecisionLog
	}{h, reader, decided}, nil
}

// recordPoints bounds a record: the sums of a large cluster are too much for one.
const recordPoints = 5000

// Append encodes the batch and queues it. On an error a part of it may be queued; to append it again is harmless.
func (h *remoteHistory) Append(ctx context.Context, b *metric.Batch) error {
	for _, part := range remotewrite.Split(b, recordPoints) {
		record, points, _, err := remote.Encode(part, time.Now()) // what is left out could never be stored
		if err != nil {
			return err
		}
		if record == nil {
			continue
		}
		if err := h.queue.Append(ctx, record, queue.Meta{Points: points}); err != nil {
			if errors.Is(err, queue.ErrFull) {
				return fmt.Errorf("%w: %w", store.ErrReadOnly, err)
			}
			return err
		}
	}
	return nil
}

// fix says what can be done about a record that was not sent.
func (h *remoteHistory) fix(e *remote.SendError) string { return h.flags.Fix(e.Status, e.Unwrap()) }

// conditions say what keeps the queue from emptying.
func (h *remoteHistory) conditions() []condition.Condition {
	out := queueConditions(h.queue)
	if w := h.writer.Health(); !w.OK() {
		out = append(out, w)
	}
	return out
}

// inOrder hands the queue's records out one by one, oldest first, as engines want them.
type inOrder struct {
	queue *queue.Queue

	mu    sync.Mutex
	batch *queue.Batch
	next  int
}

// Next waits for a record.
func (s *inOrder) Next(ctx context.Context) (remote.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.batch == nil || s.next == len(s.batch.Records) {
		b, err := s.queue.Backlog(ctx)
		if err != nil {
			return remote.Record{}, err
		}
		s.batch, s.next = b, 0
	}
	b, i := s.batch, s.next
	s.next++
	return remote.Record{Data: b.Records[i].Data, Points: b.Records[i].Points, Done: func() error { b.AckRecord(i); return nil }}, nil
}

// deadRecords keeps what the engine refuses for ever.
type deadRecords struct{ queue *queue.Queue }

// SetAside keeps a record with what the engine said.
func (d deadRecords) SetAside(record []byte, reason string) error {
	return d.queue.Dead(record, queue.Meta{Points: 1}, reason)
}
