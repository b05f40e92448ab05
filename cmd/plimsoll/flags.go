package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/duration"
	"plimsoll.dev/plimsoll/internal/memory"
)

// loginFlags adds the flags of a login to another server, or several.
func loginFlags(f *pflag.FlagSet, login *dial.Options, names dial.Flags, whose string) {
	login.Flags = names
	f.StringVar(&login.CAFile, strings.TrimPrefix(names.CAFile, "--"), "", "PEM file with the certificate authority of "+whose)
	f.StringVar(&login.TokenFile, strings.TrimPrefix(names.TokenFile, "--"), "", "file with user:password, or a bearer token, for "+whose)
	f.StringVar(&login.CertFile, strings.TrimPrefix(names.Other("cert-file"), "--"), "", "PEM file with the certificate that is shown to "+whose)
	f.StringVar(&login.KeyFile, strings.TrimPrefix(names.Other("key-file"), "--"), "", "PEM file with that certificate's key")
	plainFlag(f, &login.Plain, names)
}

// plainFlag adds the flag that lets plain HTTP leave this machine.
func plainFlag(f *pflag.FlagSet, to *bool, names dial.Flags) {
	f.BoolVar(to, strings.TrimPrefix(names.Other("plain-http"), "--"), false, "let plain HTTP leave this machine: whoever is on the way reads and changes what passes")
}

// value is a flag whose text is read and written by two functions.
type value[T any] struct {
	to     *T
	kind   string // in help
	parse  func(string) (T, error)
	format func(T) string
}

func (v value[T]) String() string { return v.format(*v.to) }

// Type names the flag's kind in help.
func (v value[T]) Type() string { return v.kind }

// Set reads a value.
func (v value[T]) Set(s string) error {
	x, err := v.parse(s)
	if err == nil {
		*v.to = x
	}
	return err
}

// days is a duration flag that also knows days and weeks, as Prometheus' flags do: "15d", "2w" or what time.ParseDuration reads.
func days(to *time.Duration) pflag.Value {
	format := func(d time.Duration) string {
		if d == 0 {
			return "0" // which help does not show
		}
		return duration.Format(d)
	}
	return value[time.Duration]{to, "duration", duration.Parse, format}
}

// durationVar adds such a flag, with its default.
func durationVar(f *pflag.FlagSet, to *time.Duration, name string, otherwise time.Duration, usage string) {
	*to = otherwise
	f.Var(days(to), name, usage)
}

// quantity is a flag for bytes, as Kubernetes writes them: 512Mi, 1Gi, 2e9; 1GiB is understood too.
func quantity(to *int64) pflag.Value {
	parse := func(s string) (int64, error) {
		v, err := cluster.ParseQuantity(strings.TrimSuffix(s, "B"))
		if err != nil {
			return 0, fmt.Errorf("%q is no number of bytes: want one such as 512Mi or 1Gi", s)
		}
		if v.Sign() < 0 { // of which the library reads some wrong: -107421875000Ki as -2065088468
			return 0, fmt.Errorf("%q is less than no bytes: want a number such as 512Mi or 1Gi", s)
		}
		if v.CmpInt64(math.MaxInt64) >= 0 { // the library makes 8Ei and more that
			return 0, fmt.Errorf("%q is more bytes than there can be: want less than 8Ei", s)
		}
		return v.Value(), nil
	}
	return value[int64]{to, "bytes", parse, func(n int64) string { return resource.NewQuantity(n, resource.BinarySI).String() }}
}

// memoryFlag adds the flag for how much memory a process is to stay within.
func memoryFlag(f *pflag.FlagSet, to *int64, otherwise string) {
	f.Var(quantity(to), "memory", "how much memory to stay within whatever others send, such as 1Gi; more names than fit are refused, and said so; 0: "+otherwise)
}

func validMemory(n int64) error {
	if n != 0 && n < int64(memory.Least) {
		return usagef("--memory %q: want at least %s", quantity(&n), resource.NewQuantity(int64(memory.Least), resource.BinarySI))
	}
	return nil
}

// amount is a flag for a quantity over 0, as Kubernetes writes them; it is sent as it was written.
func amount(to *string) pflag.Value {
	parse := func(s string) (string, error) {
		if v, err := cluster.ParseQuantity(s); err != nil || v.Sign() <= 0 {
			return "", fmt.Errorf("%q is not an amount over 0: want one such as 500m, 2 or 1Gi", s)
		}
		return s, nil
	}
	return value[string]{to, "quantity", parse, func(s string) string { return s }}
}
