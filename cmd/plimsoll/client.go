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

	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/kube"
	"plimsoll.dev/plimsoll/internal/table"
	"plimsoll.dev/plimsoll/internal/view"
)

// client asks a server's public API; the command line has no private door.
type client struct {
	server    string
	usual     string // the server where none is named
	login     dial.Options
	timeout   time.Duration
	otherwise string // what else a person can do where no server is
	cluster   personOptions
	person    *kube.Person // not nil: asked through the API server of a cluster
	http      *http.Client
}

// personOptions say by which API server a person reads.
type personOptions struct {
	on                  bool
	kubeconfig, context string
}

func (o *personOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "ask through the API server that this file leads to, with your rights there, as kubectl does")
	f.StringVar(&o.context, "context", "", "ask through the API server of this context of the kubeconfig, with your rights there")
}

// person is who the kubeconfig says, or what is wrong with the flags.
func (o *personOptions) person() (*kube.Person, error) {
	p, err := kube.NewPerson(o.kubeconfig, o.context, "plimsoll")
	return p, wrongUsage(err)
}

// noAPIServer says why an API server could not be asked, and what to do.
func noAPIServer(server string, err error) error {
	return dial.WithFix(fmt.Errorf("cannot reach the API server %q: %w", server, err), "does kubectl reach it?")
}

// flags adds the flags by which the server is found, with the time that its answers usually take at most.
func (c *client) flags(f *pflag.FlagSet, wait time.Duration) {
	c.usual = "http://127.0.0.1:8082"
	f.StringVar(&c.server, "server", c.usual, "the server's address")
	c.cluster.flags(f)
	loginFlags(f, &c.login, serverFlags, "the server")
	durationVar(f, &c.timeout, "timeout", wait, "how long to wait for the server")
}

// name is the server's address as it may be shown.
func (c *client) name() string {
	if c.person != nil {
		return dial.Redact(c.person.Server.String())
	}
	return dial.Redact(c.server)
}

// through says whether a cluster's API server is asked, which it is too where this is kubectl's plugin and no server is named.
func (c *client) through() bool {
	return c.cluster.on && c.server == c.usual || c.cluster.kubeconfig != "" || c.cluster.context != ""
}

// open reads the files that the flags name.
func (c *client) open() error {
	if c.through() {
		if c.server != c.usual {
			return usagef("--server %q does not go with --kubeconfig and --context: leave either out", c.name())
		}
		person, err := c.cluster.person()
		if err != nil {
			return err
		}
		c.person, c.http = person, &http.Client{Transport: person.Transport, Timeout: c.timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		return nil
	}
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
	if c.person != nil {
		return noAPIServer(c.name(), err)
	}
	fix := serverFlags.Fix(0, err)
	if errors.Is(err, unix.ECONNREFUSED) || fix == "" {
		fix = "is 'plimsoll run' there? give its address with --server" + c.otherwise
	}
	return dial.WithFix(fmt.Errorf("cannot reach %q: %w", c.name(), err), fix)
}

const (
	mostOfAnswer = 128 << 20 // bytes of an answer
	mostOfError  = 64 << 10  // bytes of one that is an error
)

// fetch asks for a path and returns the answer as it is.
func (c *client) fetch(ctx context.Context, path string) ([]byte, error) {
	if c.http == nil {
		if err := c.open(); err != nil {
			return nil, err
		}
	}
	address := strings.TrimSuffix(c.server, "/") + path
	if c.person != nil {
		own, query, _ := strings.Cut(path, "?")
		at, ok := view.Path(own, query)
		if !ok {
			return nil, fmt.Errorf("the API server %q has nothing for %q", c.name(), own)
		}
		address = view.At(c.person.Server, at).String()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
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
	most := int64(mostOfAnswer)
	if resp.StatusCode != http.StatusOK {
		most = mostOfError
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err == nil && int64(len(body)) == most && resp.StatusCode == http.StatusOK {
		err = fmt.Errorf("it has %d bytes and more", most)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the answer of %q: %w", c.name(), err)
	}
	if resp.StatusCode != http.StatusOK {
		why, ours := saidBy(body)
		if c.person != nil && !ours && (resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusServiceUnavailable) {
			return nil, dial.WithFix(fmt.Errorf("%q answered %s for %s", c.name(), resp.Status, view.Group), "is Plimsoll there, does 'kubectl get apiservice "+view.Version+"."+view.Group+"' say that it is available?")
		}
		if why != "" {
			return nil, fmt.Errorf("%q answered %d: %s", c.name(), resp.StatusCode, table.Safe(why))
		}
		return nil, dial.WithFix(fmt.Errorf("%q answered %s", c.name(), resp.Status), serverFlags.Fix(resp.StatusCode, nil))
	}
	return body, nil
}

// saidBy is the sentence of an error's answer, Plimsoll's own or the API server's.
func saidBy(body []byte) (why string, ours bool) {
	var p struct {
		Error, Kind, Message string
	}
	switch {
	case json.Unmarshal(body, &p) != nil:
		return "", false
	case p.Error == "":
		return p.Message, false
	}
	return p.Error, true
}
