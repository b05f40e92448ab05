package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/disk"
	"plimsoll.dev/plimsoll/internal/lifecycle"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/queue"
	"plimsoll.dev/plimsoll/internal/remotewrite"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/decisions"
	"plimsoll.dev/plimsoll/internal/store/remote"
)

// remoteOptions say where another remote-write engine is; without an URL there is none.
type remoteOptions struct {
	url, queryURL, tokenFile, caFile string
}

func (o *remoteOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.url, "remote-url", "", "keep the history in a remote-write engine (Prometheus, Mimir, VictoriaMetrics), such as http://127.0.0.1:9090/api/v1/write")
	f.StringVar(&o.queryURL, "remote-query-url", "", "where that engine answers PromQL; made of --remote-url if empty")
	f.StringVar(&o.tokenFile, "remote-token-file", "", "file with user:password, or a bearer token, for the engine")
	f.StringVar(&o.caFile, "remote-ca-file", "", "PEM file with the certificate authority of the engine")
}

func (o *remoteOptions) validate() error {
	if o.url == "" {
		if o.queryURL != "" || o.tokenFile != "" || o.caFile != "" {
			return usagef("--remote-query-url, --remote-token-file and --remote-ca-file need --remote-url")
		}
		return nil
	}
	err := remoteFlags.Check(o.url)
	if err == nil && o.queryURL != "" {
		err = dial.Flags{Address: "--remote-query-url", TokenFile: remoteFlags.TokenFile}.Check(o.queryURL)
	}
	if err != nil {
		return &usageError{err}
	}
	return nil
}

// remoteHistory queues what is appended, from where it goes to a remote-write engine.
type remoteHistory struct {
	queue  *queue.Queue
	writer *remote.Writer
	flags  dial.Flags
	log    *slog.Logger
}

// remoteFlags are the flags by which an engine is found.
var remoteFlags = dial.Flags{Address: "--remote-url", CAFile: "--remote-ca-file", TokenFile: "--remote-token-file"}

// openRemoteWriter opens the writing half: the queue and what empties it.
func openRemoteWriter(o historyOptions, end remote.EndpointOptions, flags dial.Flags, log *slog.Logger, reg prometheus.Registerer, life *lifecycle.Life) (*remoteHistory, error) {
	h := &remoteHistory{flags: flags, log: logOf(log, "remote")}
	sender, err := remote.NewSender(remote.SenderOptions{Endpoint: end, Logger: h.log})
	if err != nil {
		return nil, err
	}
	life.Opened("connections to "+end.WriteURL, func() error { sender.Close(); return nil })
	if h.queue, err = openQueue(o, "remote", log, reg, life); err != nil {
		return nil, err
	}
	if h.writer, err = remote.NewWriter(remote.WriterOptions{Sender: sender, Source: &inOrder{queue: h.queue}, DeadLetters: deadRecords{h.queue}, Logger: h.log, Registerer: reg, Fix: h.fix}); err != nil {
		return nil, err
	}
	life.Runs("remote writer", h.writer.Run)
	return h, nil
}

// openRemote opens a history in another engine. Remote write has no place for decisions: those stay in the data folder.
func openRemote(o historyOptions, log *slog.Logger, reg prometheus.Registerer, life *lifecycle.Life) (*history, error) {
	login, err := dial.New(dial.Options{Flags: remoteFlags, CAFile: o.remote.caFile, TokenFile: o.remote.tokenFile, Logger: logOf(log, "login")})
	if err != nil {
		return nil, &usageError{err}
	}
	end := remote.EndpointOptions{WriteURL: o.remote.url, QueryURL: o.remote.queryURL, Transport: login}
	h, err := openRemoteWriter(o, end, remoteFlags, log, reg, life)
	if err != nil {
		return nil, err
	}
	reader, err := remote.NewReader(remote.ReaderOptions{Endpoint: end})
	if err != nil {
		return nil, err
	}
	life.Opened("the reader of "+o.remote.url, reader.Close)
	data, err := disk.Claim("data folder", o.data)
	if err != nil {
		return nil, err
	}
	life.Opened("the data folder", data.Release)
	decided, err := decisions.Open(data, decisions.Options{MaxBytes: int64(o.retentionBytes), Retention: time.Duration(o.retention),
		Report: func(what string) { logOf(log, "store").Warn("store repaired", "what", what) }})
	if err != nil {
		return nil, err
	}
	life.Opened("the decision log", decided.Close)
	life.Runs("decision log", decided.Run)
	return &history{Appender: h, Querier: reader, DecisionLog: decided, health: h.queue.Health, conditions: h.conditions}, nil
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
