package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/aggregator/api"
)

// client asks a server's public API; the command line has no private door.
type client struct {
	server, caFile, tokenFile string
	timeout                   time.Duration
	otherwise                 string // what else a person can do where no server is
	http                      *http.Client
	auth                      string // the Authorization header
}

func (c *client) flags(cmd *cobra.Command) { c.patient(cmd, 10*time.Second) }

// patient adds the flags with another time to wait.
func (c *client) patient(cmd *cobra.Command, wait time.Duration) {
	f := cmd.Flags()
	f.StringVar(&c.server, "server", "http://127.0.0.1:8082", "the server's address")
	f.StringVar(&c.caFile, "server-ca-file", "", "PEM file with the certificate authority of the server")
	f.StringVar(&c.tokenFile, "server-token-file", "", "file with user:password, or a bearer token, for the server")
	f.DurationVar(&c.timeout, "timeout", wait, "how long to wait for the server")
}

// open reads the files that the flags name.
func (c *client) open() error {
	u, err := url.Parse(c.server)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return usagef("--server %q: want an address such as http://127.0.0.1:8082", c.server)
	}
	config, err := clientTLS(c.caFile)
	if err != nil {
		return err
	}
	if c.auth, err = readAuth(c.tokenFile); err != nil {
		return err
	}
	c.http = &http.Client{Timeout: c.timeout, Transport: &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment}}
	return nil
}

// clientTLS trusts the authority in the file, or the system's if none is named.
func clientTLS(caFile string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, usagef("cannot read --server-ca-file: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, usagef("--server-ca-file %q holds no PEM certificate", caFile)
	}
	return config, nil
}

// readAuth reads a login or a token and returns the Authorization header for it; "" without a file.
func readAuth(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", usagef("cannot read --server-token-file: %w", err)
	}
	text := strings.TrimSpace(string(raw))
	switch {
	case text == "" || strings.ContainsAny(text, "\r\n"):
		return "", usagef("--server-token-file %q: want user:password or a token, in one line", file)
	case strings.Contains(text, ":"):
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)), nil
	}
	return "Bearer " + text, nil
}

// get asks for a path and decodes the answer into v.
func (c *client) get(ctx context.Context, path string, v any) error {
	body, err := c.fetch(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("cannot understand the answer of %q (is it a Plimsoll server?): %w", c.server, err)
	}
	return nil
}

// unreachable says why a server could not be asked, and what to do.
func (c *client) unreachable(err error) error {
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err // without the address, which is told once
	}
	fix := serverDoor.fix(0, err)
	if errors.Is(err, unix.ECONNREFUSED) || fix == "" {
		fix = "is 'plimsoll run' there? give its address with --server" + c.otherwise
	}
	return withFix(fmt.Errorf("cannot reach %q: %w", c.server, err), fix)
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
		return nil, usagef("--server %q: %w", c.server, err)
	}
	if c.auth != "" {
		req.Header.Set("Authorization", c.auth)
	}
	resp, err := c.http.Do(req)
	var slow interface{ Timeout() bool }
	if errors.As(err, &slow) && slow.Timeout() && ctx.Err() == nil {
		return nil, fmt.Errorf("%q has not answered within %q; give a longer --timeout", c.server, c.timeout)
	}
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 256<<20))
	if err != nil {
		return nil, fmt.Errorf("cannot read the answer of %q: %w", c.server, err)
	}
	if resp.StatusCode != http.StatusOK {
		var p api.Problem
		if json.Unmarshal(body, &p) == nil && p.Error != "" {
			return nil, fmt.Errorf("%q answered %d: %s", c.server, resp.StatusCode, p.Error)
		}
		return nil, withFix(fmt.Errorf("%q answered %s", c.server, resp.Status), serverDoor.fix(resp.StatusCode, nil))
	}
	return body, nil
}
