package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/table"
)

// client asks a server's public API; the command line has no private door.
type client struct {
	server    string
	login     dial.Options
	timeout   time.Duration
	otherwise string // what else a person can do where no server is
	http      *http.Client
}

// flags adds the flags by which the server is found, with the time that its answers usually take at most.
func (c *client) flags(f *pflag.FlagSet, wait time.Duration) {
	f.StringVar(&c.server, "server", "http://127.0.0.1:8082", "the server's address")
	loginFlags(f, &c.login, serverFlags, "the server")
	durationVar(f, &c.timeout, "timeout", wait, "how long to wait for the server")
}

// name is the server's address as it may be shown.
func (c *client) name() string { return dial.Redact(c.server) }

// open reads the files that the flags name.
func (c *client) open() error {
	if strings.Contains(c.server, ",") {
		return usagef("--server %q: a command asks one server: give one address", c.name())
	}
	if err := serverFlags.Check(c.server, c.login.Plain); err != nil {
		return wrongUsage(err)
	}
	c.login.Patience = c.timeout
	transport, err := dial.New(c.login)
	if err != nil {
		return wrongUsage(err)
	}
	c.http = dial.Client(transport)
	c.http.Timeout = c.timeout
	return nil
}

// Get asks for a path and decodes the answer into v.
func (c *client) Get(ctx context.Context, path string, v any) error {
	body, err := c.fetch(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("cannot understand the answer of %q (is it a Plimsoll server?): %w", c.name(), err)
	}
	return nil
}

// unreachable says why a server could not be asked, and what to do.
func (c *client) unreachable(err error) error {
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err // without the address, which is told once
	}
	fix := serverFlags.Fix(0, err)
	if errors.Is(err, unix.ECONNREFUSED) || fix == "" {
		fix = "is 'plimsoll run' there? give its address with --server" + c.otherwise
	}
	return dial.WithFix(fmt.Errorf("cannot reach %q: %w", c.name(), err), fix)
}

// fetch asks for a path and returns the answer as it is.
func (c *client) fetch(ctx context.Context, path string) ([]byte, error) {
	if c.http == nil {
		if err := c.open(); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.server, "/")+path, nil)
	if err != nil {
		return nil, usagef("--server %q: %w", c.name(), err)
	}
	resp, err := c.http.Do(req)
	if os.IsTimeout(err) && ctx.Err() == nil {
		return nil, fmt.Errorf("%q has not answered within %q; give a longer --timeout", c.name(), c.timeout)
	}
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 256<<20))
	if err != nil {
		return nil, fmt.Errorf("cannot read the answer of %q: %w", c.name(), err)
	}
	if resp.StatusCode != http.StatusOK {
		var p api.Problem
		if json.Unmarshal(body, &p) == nil && p.Error != "" {
			return nil, fmt.Errorf("%q answered %d: %s", c.name(), resp.StatusCode, table.Safe(p.Error))
		}
		return nil, dial.WithFix(fmt.Errorf("%q answered %s", c.name(), resp.Status), serverFlags.Fix(resp.StatusCode, nil))
	}
	return body, nil
}
