package main

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"plimsoll.dev/plimsoll/internal/duration"
)

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
	text := s
	if n := len(s); n > 1 && s[n-1] == 'B' {
		text = s[:n-1]
	}
	v, err := resource.ParseQuantity(text)
	if err != nil {
		return fmt.Errorf("%q is no number of bytes: want one such as 512Mi or 1Gi", s)
	}
	*q = quantity(v.Value())
	return nil
}
