package kube

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	claimsEvery = 10 * time.Second
	claimWait   = 5 * time.Second  // for one answer
	goneAfter   = 30 * time.Second // an installation makes the APIServices last
)

// ClaimsOptions say which versions of API groups are whose.
type ClaimsOptions struct {
	Config *API
	// Service is NAMESPACE/NAME of the one that is to answer for the names, such as "v1beta1.metrics.k8s.io". Those that the
	// API server does not let us read were not given to it.
	Service string
	Names   []string
	Logger  *slog.Logger // nil discards
}

// Claims knows which versions of API groups that were given to a Service are another's by now. It takes none of them back.
type Claims struct {
	opts ClaimsOptions
	log  *slog.Logger
	all  *APIServices

	mu   sync.Mutex
	lost map[string]Lost
}

// Lost is a version of an API group that was given to a Service, and leads elsewhere.
type Lost struct {
	Name  string
	To    string    // "Service NAMESPACE/NAME", or "the API server itself"; "": the APIService is gone
	Since time.Time // as far as this process knows
}

// NewClaims makes Claims; it asks nothing before Run.
func NewClaims(o ClaimsOptions) (*Claims, error) {
	all, err := NewAPIServices(o.Config)
	if err != nil {
		return nil, err
	}
	return &Claims{opts: o, log: cmp.Or(o.Logger, slog.New(slog.DiscardHandler)), all: all, lost: map[string]Lost{}}, nil
}

// Run asks again and again until ctx ends.
func (c *Claims) Run(ctx context.Context) error {
	tick := time.NewTicker(claimsEvery)
	defer tick.Stop()
	for {
		for _, name := range c.opts.Names {
			c.look(ctx, name)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look asks for one. While the API server does not answer, what was known stays: that it is away is told elsewhere.
func (c *Claims) look(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, claimWait)
	defer cancel()
	s, err := c.all.Get(ctx, name)
	switch {
	case err == nil && s.Service == c.opts.Service, errors.Is(err, ErrNotToldOf):
		c.holds(name)
	case err == nil && s.Service == "":
		c.misses(name, "the API server itself")
	case err == nil:
		c.misses(name, "Service "+s.Service)
	case errors.Is(err, ErrNoAPIService):
		c.misses(name, "")
	}
}

func (c *Claims) holds(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, was := c.lost[name]; was {
		delete(c.lost, name)
		c.log.Info("an API that led elsewhere does so no more", "api", name)
	}
}

func (c *Claims) misses(name, to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if was, ok := c.lost[name]; ok && was.To == to {
		return
	}
	c.lost[name] = Lost{name, to, time.Now()}
	if to != "" {
		c.log.Warn("an API that was ours leads elsewhere: another answers for it", "api", name, "to", to)
	}
}

// Lost returns those that lead elsewhere, by their names.
func (c *Claims) Lost(now time.Time) []Lost {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Lost
	for _, l := range c.lost {
		if l.To != "" || now.Sub(l.Since) >= goneAfter {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b Lost) int { return strings.Compare(a.Name, b.Name) })
	return out
}
