package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"plimsoll.dev/plimsoll/aggregator/api"
)

// client asks a server's public API; the command line has no private door.
type client struct {
	server, caFile, loginFile string
	timeout                   time.Duration
	http                      *http.Client
	user, password            string
}

func (c *client) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.server, "server", "http://127.0.0.1:8082", "the server's address")
	f.StringVar(&c.caFile, "server-ca-file", "", "PEM file with the certificate authority of the server")
	f.StringVar(&c.loginFile, "server-login-file", "", "file with user:password for the server")
	f.DurationVar(&c.timeout, "timeout", 10*time.Second, "how long to wait for the server")
}

// open reads the files that the flags name.
func (c *client) open() error {
	u, err := url.Parse(c.server)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return usagef("--server %q: want an address such as http://127.0.0.1:8082", c.server)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.caFile != "" {
		pem, err := os.ReadFile(c.caFile)
		if err != nil {
			return usagef("cannot read --server-ca-file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return usagef("--server-ca-file %q holds no PEM certificate", c.caFile)
		}
	}
	if c.loginFile != "" {
		raw, err := os.ReadFile(c.loginFile)
		if err != nil {
			return usagef("cannot read --server-login-file: %w", err)
		}
		var ok bool
		if c.user, c.password, ok = strings.Cut(strings.TrimSpace(string(raw)), ":"); !ok {
			return usagef("--server-login-file %q: want user:password in one line", c.loginFile)
		}
	}
	c.http = &http.Client{Timeout: c.timeout, Transport: &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment}}
	return nil
}

// get asks for a path and decodes the answer into v.
func (c *client) get(ctx context.Context, path string, v any) error {
	if c.http == nil {
		if err := c.open(); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.server, "/")+path, nil)
	if err != nil {
		return usagef("--server %q: %w", c.server, err)
	}
	if c.user != "" {
		req.SetBasicAuth(c.user, c.password)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("cannot reach %q (is 'plimsoll run' there? give --server, or --local to read this machine): %w", c.server, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 256<<20))
	if err != nil {
		return fmt.Errorf("cannot read the answer of %q: %w", c.server, err)
	}
	if resp.StatusCode != http.StatusOK {
		var p api.Problem
		if json.Unmarshal(body, &p) == nil && p.Error != "" {
			return fmt.Errorf("%q answered %d: %s", c.server, resp.StatusCode, p.Error)
		}
		return fmt.Errorf("%q answered %s", c.server, resp.Status)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("cannot understand the answer of %q (is it a Plimsoll server?): %w", c.server, err)
	}
	return nil
}
