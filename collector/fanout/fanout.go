// Package fanout is the live lane's end on a machine: every server gets the newest batch by remote write, each from a sender of its
// own, and none waits for another. A server whose name has several addresses, as a headless Service's has, is as many servers, which
// come and go while this runs.
package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Resolver finds the addresses of a name, as net.Resolver does.
type Resolver interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
}

// Options say who is sent to.
type Options struct {
	// Servers are their addresses, such as "https://plimsoll.example:8082".
	Servers []string
	// History is where the history lane goes: what is there gets full batches from it and needs none of this lane.
	History string
	// Source names this process; see remotewrite.SourceHeader.
	Source string
	// Client makes the client for a server. Its connections lead to the address, or where the URL's host says if that is empty.
	Client func(address string) *http.Client
	// Resolver looks names up; nil: all is left to the client.
	Resolver Resolver
	// Flags are how errors name where the servers come from.
	Flags dial.Flags
	// Logger gets what a person may have to act on; nil discards.
	Logger *slog.Logger
	// Registerer gets the own metrics; nil registers none.
	Registerer prometheus.Registerer
}

// Validate says what in the options cannot be.
func (o *Options) Validate() error {
	switch {
	case len(o.Servers) == 0:
		return errors.New("fanout: no servers")
	case o.Client == nil:
		return errors.New("fanout: no Client")
	}
	return nil
}

// Fanout sends to all servers.
type Fanout struct {
	opts    Options
	servers []*server
	sent    *prometheus.CounterVec
	dropped *prometheus.CounterVec // by reason: replaced, refused, unreachable
	lost    *prometheus.CounterVec // look-ups
}

// New makes a sender for each server; they send in Run.
func New(o Options) (*Fanout, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	own := promauto.With(o.Registerer)
	f := &Fanout{opts: o,
		sent:    own.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_collector_live_sent_total", Help: "Batches of the live lane that a server took."}, []string{"server"}),
		dropped: own.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_collector_live_dropped_total", Help: "Batches of the live lane that a server did not get, by reason: a newer one replaced it, the server refused it, or was not reached."}, []string{"server", "reason"}),
		lost:    own.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_collector_live_lookups_failed_total", Help: "Look-ups of a server's name that failed; its addresses stay as they were."}, []string{"server"})}
	for _, address := range o.Servers {
		u, err := url.Parse(address)
		if err != nil {
			return nil, fmt.Errorf("fanout: server %q is no address", dial.Redact(address)) // err would show a login
		}
		s := &server{fanout: f, name: address, url: strings.TrimSuffix(address, "/") + "/api/v1/write", log: o.Logger.With("server", address)}
		if _, err := netip.ParseAddr(u.Hostname()); err != nil && o.Resolver != nil && !dial.Loopback(u.Hostname()) && !dial.Proxied(u) {
			s.host = u.Hostname()
		}
		s.senders = map[string]*sender{"": s.sender("")}
		f.servers = append(f.servers, s)
	}
	return f, nil
}

// Take hands the batch to all senders and waits for none.
func (f *Fanout) Take(_ context.Context, b *metric.Batch) error {
	for _, s := range f.servers {
		s.each(func(x *sender) { x.offer(b) })
	}
	return nil
}

// Run sends until ctx ends.
func (f *Fanout) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, s := range f.servers {
		wg.Go(func() { s.run(ctx) })
	}
	wg.Wait()
	return nil
}

// Health says which servers have not been reached for a while.
func (f *Fanout) Health() error {
	var errs []error
	for _, s := range f.servers {
		errs = append(errs, s.health())
	}
	return errors.Join(errs...)
}
