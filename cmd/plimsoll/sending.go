package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/collector/fanout"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/lifecycle"
	"plimsoll.dev/plimsoll/internal/remotewrite"
	"plimsoll.dev/plimsoll/internal/serve"
	"plimsoll.dev/plimsoll/internal/store/remote"
)

// The flags by which a collector finds its servers and its history.
var (
	serverFlags  = dial.Flags{Address: "--server", CAFile: "--server-ca-file", TokenFile: "--server-token-file"}
	historyFlags = dial.Flags{Address: "--history", CAFile: "--history-ca-file", TokenFile: "--history-token-file"}
)

// openSinks opens what an agent sends to: a sender for each server, and the queue before the history.
func (o *agentOptions) openSinks(log *slog.Logger, reg prometheus.Registerer, life *lifecycle.Life) (*sinks, error) {
	login, err := dial.New(dial.Options{Flags: serverFlags, CAFile: o.caFile, TokenFile: o.tokenFile, Logger: logOf(log, "login")})
	if err != nil {
		return nil, &usageError{err}
	}
	out := &sinks{}
	source := rand.Text()
	history := o.history // where remote write takes the history; "" where InfluxDB does
	if history == "" && o.influx.url == "" {
		history = strings.TrimSuffix(o.servers[0], "/") + "/api/v1/write"
	}
	if len(o.servers) > 0 {
		f, err := fanout.New(fanout.Options{Servers: o.servers, History: history, Source: source, Client: login.ClientTo, Resolver: net.DefaultResolver,
			Flags: serverFlags, Logger: logOf(log, "live"), Registerer: reg})
		if err != nil {
			return nil, err
		}
		life.Runs("live lane", f.Run)
		out.live = f
		out.checks = append(out.checks, serve.Check{Name: "live", Test: f.Health})
	}
	switch {
	case o.influx.url != "":
		h, err := openInfluxWriter(o.historyOptions, len(o.servers) == 0, log, reg, life)
		if err != nil {
			return nil, err
		}
		out.history = toStore{h}
		out.queue(h.queue.Health, h.conditions)
	case history != "none":
		end, flags, err := o.historyEnd(history, source, log)
		if err != nil {
			return nil, err
		}
		h, err := openRemoteWriter(o.historyOptions, end, flags, log, reg, life)
		if err != nil {
			return nil, err
		}
		out.history = toStore{h}
		out.queue(h.queue.Health, h.conditions)
	}
	return out, nil
}

// historyEnd is where the history goes, and with whose login: the servers' is for the servers alone. Its connections are its own: on
// one with the live lane a backlog would go before the present.
func (o *agentOptions) historyEnd(history, source string, log *slog.Logger) (remote.EndpointOptions, dial.Flags, error) {
	end := remote.EndpointOptions{WriteURL: history, Headers: http.Header{}}
	login := dial.Options{Flags: historyFlags, CAFile: o.historyCAFile, TokenFile: o.historyTokenFile, Logger: logOf(log, "login")}
	if slices.ContainsFunc(o.servers, func(s string) bool { return dial.SameServer(s, history) }) {
		login.Flags, login.CAFile, login.TokenFile = serverFlags, o.caFile, o.tokenFile
		end.Headers.Set(remotewrite.SourceHeader, source)
	}
	transport, err := dial.New(login)
	if err != nil {
		return end, login.Flags, &usageError{err}
	}
	end.Transport = transport
	return end, login.Flags, nil
}

// queue adds the checks of a history that is queued: that it is taken, and that it is sent on.
func (s *sinks) queue(health func() condition.Condition, conditions func() []condition.Condition) {
	s.checks = append(s.checks, serve.Check{Name: "queue", Test: func() error { return healthError(health()) }},
		serve.Check{Name: "history", Test: func() error { return unsent(conditions(), time.Now()) }})
}

// unsent says what has kept the history from being sent for a while.
func unsent(all []condition.Condition, now time.Time) error {
	var errs []error
	for _, c := range all {
		if c.Type == "HistorySent" && now.Sub(c.Since) > 10*time.Second {
			errs = append(errs, fmt.Errorf("%s for %s: %s", c.Reason, now.Sub(c.Since).Round(time.Second), c.Message))
		}
	}
	return errors.Join(errs...)
}
