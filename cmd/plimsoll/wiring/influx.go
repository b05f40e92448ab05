package wiring

import (
	"time"

	"plimsoll.dev/plimsoll/collector"
	"plimsoll.dev/plimsoll/internal/store/influx"
)

// Influx keeps the history in InfluxDB.
type Influx struct {
	Conn   influx.ConnOptions
	Outbox influx.OutboxOptions // Conn and Queue are made of the other two
	Queue  Queue
	// Interval is how often the history has a sample; zero: 10 s.
	Interval time.Duration
}

// writing opens the queue and what empties it. The server may be away: what is appended waits in the queue.
func (o Influx) writing(e *environment) (*influx.Conn, *influx.Outbox, error) {
	o.Conn.Logger = e.named("influx")
	conn, err := influx.NewConn(o.Conn)
	if err != nil {
		return nil, nil, &UsageError{err}
	}
	e.life.Opened("connections to InfluxDB", func() error { conn.Close(); return nil })
	q, err := o.Queue.open(e, "influx")
	if err != nil {
		return nil, nil, err
	}
	o.Outbox.Conn, o.Outbox.Queue, o.Outbox.Logger, o.Outbox.Registerer = conn, q, o.Conn.Logger, e.registry
	h, err := influx.NewOutbox(o.Outbox)
	if err != nil {
		return nil, nil, err
	}
	e.life.Runs("influx writer", h.Run)
	e.life.Runs("influx set-up", h.SetUp)
	return conn, h, nil
}

func (o Influx) openWriting(e *environment) (collector.Sink, error) {
	_, h, err := o.writing(e)
	return e.sends(h, err)
}

func (o Influx) open(e *environment) (history, error) {
	if _, err := e.claim(o.Queue.Dir); err != nil {
		return nil, err
	}
	conn, h, err := o.writing(e)
	if err != nil {
		return nil, err
	}
	reader, err := influx.NewReader(influx.ReaderOptions{Conn: conn, Cluster: o.Outbox.Encoder.Cluster, Interval: o.Interval, Logger: e.named("influx"), Registerer: e.registry})
	if err != nil {
		return nil, err
	}
	e.life.Opened("the reader of InfluxDB", reader.Close)
	e.keepsElsewhere(h)
	if h.HasModel() {
		e.heapster = h
	}
	return struct {
		*influx.Outbox
		*influx.Reader
	}{h, reader}, nil
}
