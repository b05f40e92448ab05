package wiring

import (
	"net/http"

	"plimsoll.dev/plimsoll/collector"
	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/remotewrite"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/decisions"
	"plimsoll.dev/plimsoll/internal/store/remote"
)

// Remote keeps the history in a remote-write engine, which answers PromQL.
type Remote struct {
	URL, QueryURL string
	Login         dial.Options
	// ToServer says that a Plimsoll server takes it, which is told who sends and what only the live picture needs.
	ToServer bool
	Queue    Queue
	// Decisions have no place in remote write: they are kept here.
	Decisions Embedded
}

// remoteHistory is a history of which other servers have all but the decisions.
type remoteHistory struct {
	store.Appender
	store.Querier
	store.DecisionLog
}

// writing opens the queue and what empties it. Its connections are its own: on one with the live lane a backlog would go before the
// present.
func (o Remote) writing(e *environment) (remote.EndpointOptions, *remote.Writer, error) {
	end, labels := remote.EndpointOptions{WriteURL: o.URL, QueryURL: o.QueryURL, Headers: http.Header{}}, identity.Labels
	login, err := e.login(o.Login)
	if err != nil {
		return end, nil, err
	}
	end.Transport = login
	if o.ToServer {
		end.Headers.Set(remotewrite.SourceHeader, e.source)
		labels = identity.Wire
	}
	q, err := o.Queue.open(e, "remote")
	if err != nil {
		return end, nil, err
	}
	w, err := remote.NewWriter(remote.WriterOptions{Endpoint: end, Queue: q, Flags: o.Login.Flags, Labels: labels, Logger: e.named("remote"), Registerer: e.registry})
	if err != nil {
		return end, nil, err
	}
	e.life.Opened("connections to "+o.URL, w.Close)
	e.life.Runs("remote writer", w.Run)
	return end, w, nil
}

func (o Remote) openWriting(e *environment) (collector.Sink, error) {
	_, w, err := o.writing(e)
	return e.sends(w, err)
}

func (o Remote) open(e *environment) (history, error) {
	data, err := e.claim(o.Decisions.Dir)
	if err != nil {
		return nil, err
	}
	end, w, err := o.writing(e)
	if err != nil {
		return nil, err
	}
	reader, err := remote.NewReader(remote.ReaderOptions{Endpoint: end})
	if err != nil {
		return nil, err
	}
	e.life.Opened("the reader of "+o.URL, reader.Close)
	decided, err := decisions.Open(data, decisions.Options{MaxBytes: o.Decisions.MaxBytes, Retention: o.Decisions.Retention,
		Report: func(what string) { e.named("store").Warn("store repaired", "what", what) }})
	if err != nil {
		return nil, err
	}
	e.life.Opened("the decision log", decided.Close)
	e.life.Runs("decision log", decided.Run)
	e.keepsElsewhere(w)
	return remoteHistory{w, reader, decided}, nil
}
