package main

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/serve"
)

// openSinks opens what an agent sends to: a sender for each server, and the queue before the history.
func (o *agentOptions) openSinks(log *slog.Logger, reg prometheus.Registerer, life *lifecycle) (*sinks, error) {
	config, err := clientTLS(o.caFile)
	if err != nil {
		return nil, err
	}
	auth, err := readAuth(o.tokenFile)
	if err != nil {
		return nil, err
	}
	out := &sinks{}
	history := o.history // where remote write takes the history; "" where InfluxDB does
	if history == "" && o.influx.url == "" {
		history = strings.TrimSuffix(o.servers[0], "/") + "/api/v1/write"
	}
	if len(o.servers) > 0 {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 2, IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: true}}
		f := newFanout(o.servers, history, client, auth, logOf(log, "live"), reg, life)
		out.live = f
		out.checks = append(out.checks, serve.Check{Name: "live", Test: func() error {
			var errs []error
			for _, s := range f {
				errs = append(errs, s.health())
			}
			return errors.Join(errs...)
		}})
	}
	switch {
	case o.influx.url != "":
		h, err := openInfluxWriter(o.historyOptions, len(o.servers) == 0, log, reg, life)
		if err != nil {
			return nil, err
		}
		out.history = toStore{h}
		out.checks = append(out.checks, serve.Check{Name: "queue", Test: func() error { return healthError(h.health()) }})
	case history != "none":
		h, err := openRemoteWriter(o.historyOptions, endpoint(history, "", config, auth), log, reg, life)
		if err != nil {
			return nil, err
		}
		out.history = toStore{h}
		out.checks = append(out.checks, serve.Check{Name: "queue", Test: func() error { return healthError(h.health()) }})
	}
	return out, nil
}
