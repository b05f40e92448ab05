package wiring

import (
	"time"

	"plimsoll.dev/plimsoll/collector"
	"plimsoll.dev/plimsoll/internal/store/influx"
)

// Influx keeps the history in InfluxDB.
type Influx struct {
	Conn    influx.ConnOptions
	Encoder influx.EncoderOptions
	// Retention is that of a database that is made because there is none.
	Retention time.Duration
	// LateQuiet is how long nothing late must have come before it is rolled up.
	LateQuiet time.Duration
	// RollsUp says whether this process rolls up what comes late, as one alone is to.
	RollsUp bool
	Queue   Queue
}

// writing opens the queue and what empties it. The server may be away: what is appended waits in the queue.
func (o Influx) writing(e *environment) (*influx.Conn, *influx.Outbox, error) {
	log := e.named("influx")
	o.Conn.Logger = log
	conn, err := influx.NewConn(o.Conn)
	if err != nil {
		return nil, nil, &UsageError{err}
	}
	e.life.Opened("connections to InfluxDB", func() error { conn.Close(); return nil })
	q, err := o.Queue.open(e, "influx")
	if err != nil {
		return nil, nil, err
	}
	h, err := influx.NewOutbox(influx.OutboxOptions{Conn: conn, Encoder: o.Encoder, Queue: q, Retention: o.Retention, RollsUp: o.RollsUp, LateQuiet: o.LateQuiet,
		Logger: log, Registerer: e.registry})
	if err != nil {
		return nil, nil, err
	}
	e.life.Runs("influx writer", h.Run)
	e.life.Runs("influx set-up", h.SetUp)
	return conn, h, nil
}

func (o Influx) openWriting(e *environment) (collector.Sink, error) {
	_, h, err := o.writing(e)
	if err != nil {
		return nil, err
	}
	e.sends(h)
	return toStore{h}, nil
}

func (o Influx) open(e *environment) (history, error) {
	conn, h, err := o.writing(e)
	if err != nil {
		return nil, err
	}
	reader, err := influx.NewReader(influx.ReaderOptions{Conn: conn, Logger: e.named("influx"), Registerer: e.registry})
	if err != nil {
		return nil, err
	}
	e.life.Opened("the reader of InfluxDB", reader.Close)
	e.keeps(h.Health, h.Conditions)
	return struct {
		*influx.Outbox
		*influx.Reader
	}{h, reader}, nil
}
