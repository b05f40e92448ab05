package main

import (
	"github.com/spf13/pflag"

	"plimsoll.dev/plimsoll/internal/dial"
)

// remoteOptions say where another remote-write engine is; without an URL there is none.
type remoteOptions struct {
	url, queryURL, tokenFile, caFile string
}

func (o *remoteOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.url, "remote-url", "", "keep the history in a remote-write engine (Prometheus, Mimir, VictoriaMetrics), such as http://127.0.0.1:9090/api/v1/write")
	f.StringVar(&o.queryURL, "remote-query-url", "", "where that engine answers PromQL; made of --remote-url if empty")
	f.StringVar(&o.tokenFile, "remote-token-file", "", "file with user:password, or a bearer token, for the engine")
	f.StringVar(&o.caFile, "remote-ca-file", "", "PEM file with the certificate authority of the engine")
}

func (o *remoteOptions) validate() error {
	if o.url == "" {
		if o.queryURL != "" || o.tokenFile != "" || o.caFile != "" {
			return usagef("--remote-query-url, --remote-token-file and --remote-ca-file need --remote-url")
		}
		return nil
	}
	err := remoteFlags.Check(o.url)
	if err == nil && o.queryURL != "" {
		err = dial.Flags{Address: "--remote-query-url", TokenFile: remoteFlags.TokenFile}.Check(o.queryURL)
	}
	if err != nil {
		return wrongUsage(err)
	}
	return nil
}

// remoteFlags are the flags by which an engine is found.
var remoteFlags = dial.Flags{Address: "--remote-url", CAFile: "--remote-ca-file", TokenFile: "--remote-token-file"}
