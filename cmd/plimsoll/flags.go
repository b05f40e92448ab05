package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"

	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/duration"
)

// loginFlags adds the two flags of a login to another server, or several.
func loginFlags(f *pflag.FlagSet, login *dial.Options, names dial.Flags, whose string) {
	login.Flags = names
	f.StringVar(&login.CAFile, strings.TrimPrefix(names.CAFile, "--"), "", "PEM file with the certificate authority of "+whose)
	f.StringVar(&login.TokenFile, strings.TrimPrefix(names.TokenFile, "--"), "", "file with user:password, or a bearer token, for "+whose)
}

// days is a duration flag that also knows days and weeks, as Prometheus' flags do.
type days time.Duration

func (d *days) String() string { return duration.Format(time.Duration(*d)) }

// Type names the flag's kind in help.
func (d *days) Type() string { return "duration" }

// Set reads "15d", "2w" or what time.ParseDuration reads.
func (d *days) Set(s string) error {
	t, err := duration.Parse(s)
	if err == nil {
		*d = days(t)
	}
	return err
}

// quantity is a flag for bytes, as Kubernetes writes them: 512Mi, 1Gi, 2e9; 1GiB is understood too.
type quantity int64

func (q *quantity) String() string {
	return resource.NewQuantity(int64(*q), resource.BinarySI).String()
}

// Type names the flag's kind in help.
func (q *quantity) Type() string { return "bytes" }

// Set reads a quantity.
func (q *quantity) Set(s string) error {
	v, err := resource.ParseQuantity(strings.TrimSuffix(s, "B"))
	if err != nil {
		return fmt.Errorf("%q is no number of bytes: want one such as 512Mi or 1Gi", s)
	}
	*q = quantity(v.Value())
	return nil
}
